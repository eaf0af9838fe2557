"""Subwords: the vocabulary that byte-pair encoding learns (Sennrich et al. 2016, arXiv:1508.07909), by SentencePiece."""

import io

from tflite.runtime.text import SPACE
from zoo.errors import InputError


def learn_subwords(counts, size):
    """The pieces of a vocabulary, at most `size`, in the order in which they were merged, then the single characters.

    counts: how often each word occurs, its space before it.
    """
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model(counts, size))
    return [processor.id_to_piece(i) for i in range(processor.get_piece_size()) if not processor.is_unknown(i)]


def sentencepiece_model(counts, size):
    """The content of SentencePiece's own file."""
    import sentencepiece

    characters = {character for word in counts for character in word} | {SPACE}
    if size <= len(characters):
        raise InputError(
            f"`vocabulary_size` is {size}; expected more than {len(characters)}, the characters of this text, each of which is a subword."
        )
    lines = (f"{word.lstrip(SPACE)}\t{count}" for word, count in counts.items() if word.strip(SPACE))
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
            input_format="tsv",
            model_writer=model,
            model_type="bpe",
            vocab_size=size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            bos_id=-1,
            eos_id=-1,
            max_sentence_length=1 << 20,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise InputError(f"no {size} subwords can be learnt from this text: {' '.join(str(error).split())[-200:]}") from None
    return model.getvalue()
