"""Language models of words: made from text, and weighed against what the network hears."""

import collections
import itertools
import math

import numpy as np
from rapidfuzz.distance import Levenshtein
from tqdm import tqdm

from apps.data.text import text_chunks
from apps.run_folder import replacing
from apps.speech_recognition.corpora import book_sentences, split_sentences
from apps.speech_recognition.recognizing import spoken
from zoo.decoding.ngram import NGramModel
from zoo.errors import InputError

HELD_OUT = 50  # every so many-th sentence tells how good a language model is
WEIGHTS, BONUSES = (0.25, 0.5, 0.75, 1.0), (0.0, 1.0, 2.0)


def ngram(options):
    """Estimates an n-gram model and writes it as an ARPA file."""
    sentences = [text.split() for text in _sentences(options.text)]
    held, taught = sentences[::HELD_OUT], [sentence for number, sentence in enumerate(sentences) if number % HELD_OUT]
    if not taught:
        raise InputError("there is one sentence to learn from; expected more text.")
    counts = collections.Counter(itertools.chain.from_iterable(taught))
    known = [word for word, _ in counts.most_common(options.vocabulary_size)]
    model = NGramModel.estimate(taught, options.order, known)
    if options.prune:
        model = model.pruned(options.prune)
    with replacing(options.output) as temporary:
        model.write_arpa(temporary)
    sizes = ", ".join(f"{count:,} {n}-grams" for n, count in enumerate(model.counts, 1))
    print(f"{options.output}: {sizes} from {sum(counts.values()):,} words")
    unknown = sum(word not in model for sentence in held for word in sentence) / sum(map(len, held))
    print(
        f"every {HELD_OUT}th sentence kept apart: perplexity {perplexity(model, held):.0f}, {100 * unknown:.1f}% of words unknown"
    )


def _sentences(paths):
    """The sentences of text files, or of the books; at least one."""
    chunks = (chunk for path in paths for chunk in text_chunks(path))
    found = [said for chunk in chunks for said in split_sentences(chunk)] if paths else book_sentences()
    if not found:
        named = ", ".join(map(str, paths)) or "the books"
        raise InputError(f"{named}: no word of the letters a to z in there; expected English text.")
    return found


def perplexity(model, sentences):
    """Of each word and sentence's end; unknown words count as one word."""
    rates = np.concatenate(model.score(sentences))
    return math.exp(-rates.mean())


def chosen(heard, wanted, search, weight=None, word_bonus=None):
    """{weight, word_bonus}: those given, and for None what gets the fewest words wrong.

    heard: log probabilities of each clip. wanted: its text. search(weight=, word_bonus=) -> Utterances.
    """
    weights, bonuses = (given if own is None else (own,) for given, own in ((WEIGHTS, weight), (BONUSES, word_bonus)))
    pairs = [{"weight": w, "word_bonus": b} for w in weights for b in bonuses]

    def errors(pair):
        decoder = search(**pair)
        return sum(Levenshtein.distance(spoken(rates, decoder).split(), text.split()) for rates, text in zip(heard, wanted))

    return min(tqdm(pairs, desc="weighing the language model", leave=False), key=errors) if len(pairs) > 1 else pairs[0]
