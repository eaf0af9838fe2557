"""Text is cut and joined inside a graph as tflite.runtime.text does it."""

import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.data.graph_text import GraphNormaliser, GraphTokenizer
from tflite.runtime.text import BOUNDARY, KINDS, Tokenizer
from tflite.runtime.translator import normalised

VOCABULARY = ["<padding>", "\n", "<unknown>", "\u2581a", "ab", "bb", *"ab'\u2019,_1\u0301\u00e9\u00df\u2060\u00a0\u2581"]
TOKENIZERS = {kind: Tokenizer(VOCABULARY, kind) for kind in KINDS}
GRAPHS = {kind: GraphTokenizer(tokenizer) for kind, tokenizer in TOKENIZERS.items()}
TEXTS = st.text(st.sampled_from("ab'\u2019 ,_1\u0301\u00e9\u00df\n\t\u00a0\u2060\u2003\x1c"), max_size=12)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_a_text_has_the_same_tokens(kind, text):
    """Spaces at its end apart, which tokens bring with them."""
    assert GRAPHS[kind].encode(tf.constant(text)).numpy().tolist() == TOKENIZERS[kind].encode(TOKENIZERS[kind].trimmed(text))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(tokens=st.lists(st.integers(2, len(VOCABULARY) - 1), min_size=1, max_size=8), after=st.integers(0, 2))
def test_tokens_are_the_same_text_up_to_their_end(kind, tokens, after):
    found = GRAPHS[kind].decode(tf.constant([tokens + [BOUNDARY] * after]), ends=True).numpy()[0].decode()
    assert found == TOKENIZERS[kind].decode(tokens)


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.sampled_from("ae\u00e9\u1ebf\u00fc\u00c5 \n\t\u00a0\x1c"), max_size=12))
def test_a_text_is_composed_and_spaced_as_outside(text):
    """\u1ebf has two marks; what is made of its first one alone is in no token."""
    found = GraphNormaliser(["<padding>", "a\u00e9", "\u1ebf", "\u00fc", "\u00c5"])(
        tf.constant([unicodedata.normalize("NFD", text), text])
    )
    assert [one.decode() for one in found.numpy()] == [normalised(text)] * 2


def test_capitals_of_known_letters_syllables_and_other_names_of_characters_are_composed():
    texts = ["\u00c9l", "\uac00\ub098\uac01", "\u212b"]
    normaliser = GraphNormaliser(["\u00e9l", "\uac00\ub098\uac01", "\u00e5"], lower=True)
    found = normaliser(tf.constant([unicodedata.normalize("NFD", text) for text in texts[:2]] + texts[2:])).numpy()
    assert [one.decode() for one in found] == [normalised(text) for text in texts]
