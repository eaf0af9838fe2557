"""Text is cut into tokens and joined again, the same on a device, in a graph, and in SentencePiece."""

import collections

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.data.subwords import learn_subwords, sentencepiece_model
from tflite.runtime import InputError
from tflite.runtime.text import Tokenizer, merged, pretokens

POEM = "The cat\u2019s hat (it\u2019s red), sat\u2014 on a mat. \u201cWhy?\u201d said the well-read rat!\nNobody knew; nobody asked.\n\nThe end"
SPECIAL = ("<padding>", "\n", "<unknown>")


def words_of(text, **options):
    return Tokenizer((*SPECIAL, *sorted(set(pretokens(text, "words", **options)) - {"\n"})), "words", **options)


RHYME = "abc aab bca cab abca. caba bcb \u00e9a\n" * 3
COUNTS = collections.Counter(word for word in pretokens(RHYME, "subwords") if word != "\n")
SUBWORDS = Tokenizer((*SPECIAL, *learn_subwords(COUNTS, 20)), "subwords")


def test_words_and_marks_are_tokens_and_join_as_english_is_written():
    tokenizer = words_of(POEM)
    assert pretokens(POEM, "words")[:8] == ["The", "cat\u2019s", "hat", "(", "it\u2019s", "red", ")", ","]
    assert tokenizer.decode(tokenizer.encode(POEM)) == POEM.replace("\u2014 on", "\u2014on")
    assert words_of("Ann an", lower=True).encode("AN ann") == [3, 4]


def test_words_that_are_not_known_are_the_unknown_token():
    tokenizer = words_of("the cat sat")
    assert tokenizer.encode("the dog sat") == [tokenizer.index["the"], 2, tokenizer.index["sat"]]
    with pytest.raises(InputError, match="`prefix` has 'dog', which the model's 6 tokens do not make"):
        tokenizer.encode_prefix("the dog")


TEXT = st.text(st.sampled_from("abc \n.\u00e9"), max_size=40)


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_characters_and_subwords_come_back_as_they_were(text):
    assert SUBWORDS.decode(SUBWORDS.encode(text)) == text
    assert 2 not in SUBWORDS.encode(text)
    characters = Tokenizer(("<padding>", "\n", *"abc .\u00e9"))
    assert characters.decode(characters.encode(text)) == text


ORACLE = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model(COUNTS, 20))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(st.sampled_from("abc\u00e9."), min_size=1, max_size=9), min_size=1, max_size=4).map(" ".join))
def test_subwords_are_sentencepieces_own(text):
    assert [SUBWORDS.vocabulary[token] for token in SUBWORDS.encode(text)] == ORACLE.encode(text, out_type=str)


def test_the_likeliest_pair_is_merged_first():
    ranks = {"ab": 0, "bc": 1, "abc": 2}
    assert merged("abc", ranks) == ["abc"] and merged("bcab", ranks) == ["bc", "ab"] and merged("cba", ranks) == ["c", "b", "a"]


def test_a_prefix_with_a_character_never_seen_is_refused():
    with pytest.raises(InputError, match="`prefix` has 'Z', which the model has never seen; it knows .*abc"):
        Tokenizer(("<padding>", "<boundary>", *"abc")).encode_prefix("aZ")


def test_a_prefix_brings_no_space_that_the_next_token_brings():
    tokenizer = words_of("the cat sat")
    assert tokenizer.encode_prefix("the ") == tokenizer.encode("the") and tokenizer.trimmed("the \n") == "the \n"
    assert SUBWORDS.encode_prefix("abc ") == SUBWORDS.encode("abc")
    assert Tokenizer(("<padding>", "<boundary>", *"ab ")).encode_prefix("a ") == [2, 4]
    with pytest.raises(InputError, match="which the model's 6 tokens do not make"):
        tokenizer.encode_prefix("the \u2581")


def test_endless_words_are_cut():
    assert max(map(len, pretokens("x" * 1000, "subwords"))) == 128
