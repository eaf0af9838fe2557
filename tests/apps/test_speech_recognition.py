"""Speech recognition: nobody is both trained and tested on, a small recogniser learns, and says the same in any chunks and files."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import soxr

from apps.cli import main
from apps.config import read_json
from apps.data import encoder as encoder_module
from apps.data.audio import audio_blocks, read_audio
from apps.data.speech import Clip, read_set
from apps.run_folder import read_config
from apps.speech_recognition import corpora, criteria, features, functions, language, recognizing, scoring, subtitles
from apps.speech_recognition.alignment import grouped, lateness, placed, symbol_spans
from apps.speech_recognition.config import TASK, Config, Transcribe
from apps.speech_recognition.recognizing import hearing, spoken, utterances
from apps.speech_recognition.text import Symbols, learnt
from apps.train import open_run, train
from tflite.runtime import Recognizer
from tflite.runtime.ctc import Span
from tflite.runtime.recognizer import Utterances, log_softmax
from zoo.decoding.ngram import NGramModel
from zoo.errors import InputError

SMALL = Config(
    model="separable_recognizer",
    channels=64,
    depth=4,
    kernel_size=7,
    stride=4,
    strings=700,
    copies=1,
    clean_share=0.9,
    masks=1,
    dropout=0.0,
    steps=240,
    steps_per_epoch=80,
    batch_size=32,
    learning_rate=0.01,
)


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A run that writes down rendered digits."""
    folder = tmp_path_factory.mktemp("digits") / "run"
    train(TASK, SMALL, folder)
    return folder


@pytest.fixture(scope="session")
def said():
    """The utterances that it is tested on."""
    return corpora.read_corpus(SMALL).parts["test"]


@pytest.fixture(scope="session")
def clip(said, tmp_path_factory):
    """A recording of three digits at 8 kHz in two channels, and what is said in it."""
    utterance = next(u for u in said if len(u.text.split()) == 3)
    path = tmp_path_factory.mktemp("clip") / "three digits.wav"
    samples = soxr.resample(utterance.clip.samples.astype(np.float32) / 32768, 16000, 8000)
    soundfile.write(path, np.stack([samples, samples], axis=1), 8000)
    return path, utterance.text


def test_no_voice_is_both_trained_and_tested_on_and_each_take_is_tested_once():
    corpus = corpora.read_corpus(SMALL)
    voices = {split: {said.clip.speaker for said in part} for split, part in corpus.parts.items()}
    assert not voices["train"] & (voices["val"] | voices["test"]) and not voices["val"] & voices["test"]
    takes = [Clip(np.full(400 + i, i, np.int16), f"{i}", "x", "aab"[i % 3], f"d{i}") for i in range(90)]
    strings = corpora._strings(takes, None, 0, "test")
    assert sorted(word for said in strings for word in said.text.split()) == sorted(take.text for take in takes)
    for said in strings:
        for word, (start, end) in zip(said.text.split(), said.spans):
            part = said.clip.samples[round(start * 16000) : round(end * 16000)]
            assert set(part.tolist()) == {int(word[1:])} and len(part) == 400 + int(word[1:])


@pytest.mark.parametrize("dataset", ["commands", "english", "digits"])
def test_no_speaker_of_a_public_set_is_both_trained_and_tested_on(mirror, dataset, monkeypatch):
    def undecoded(file, name, row):
        return Clip(np.ones(800, np.int16), row["path"], name, row["speaker"], row["text"], row["split"])

    monkeypatch.setattr("apps.data.speech._clip", undecoded)
    monkeypatch.setattr(corpora, "kept", lambda name, make: list(make()))
    corpus = corpora.read_corpus(Config(dataset=dataset, strings=100))
    trained = {said.clip.speaker for said in corpus.parts["train"]} - {""}
    for split in corpus.tested:
        tested = {said.clip.speaker for said in corpus.parts[split]} - {""}
        assert tested - {""} and not tested & trained or split == "other words and silence"
    texts = [said.text for said in corpus.parts["train"]]
    assert any(texts) and corpora.normalised(" ".join(texts)) == " ".join(filter(None, texts))


def test_text_is_cut_into_symbols_and_what_is_none_is_refused(monkeypatch):
    texts = ["one two", "two", ""]
    assert learnt(texts, "words", 0).names == ["", "one", "two"] and learnt(texts, "words", 0).encode("two one") == [2, 1]
    letters = learnt(texts, "characters", 0)
    assert "".join(letters.names[i] for i in letters.encode("two one")) == "two one" and letters.boundary == "space"
    with pytest.raises(InputError, match="'three' has 'h', which is none of the symbols"):
        letters.encode("three")
    pieces = learnt(["the cat sat on the mat"] * 20, "subwords", 30)
    assert "".join(pieces.names[i] for i in pieces.encode("the cat")) == "\u2581the\u2581cat"
    monkeypatch.setattr("apps.speech_recognition.text.read_set_rows", lambda *_: [(1, "TWO 1 T UW1"), (2, "ONE 1 W AH1 N")])
    phonemes = learnt(texts, "phonemes", 0)
    assert [phonemes.names[i] for i in phonemes.encode("two one")] == ["T", "UW", "W", "AH", "N"]
    with pytest.raises(InputError, match="not in CMUdict"):
        phonemes.encode("two three")
    with pytest.raises(InputError, match="no clip to train on has a transcript"):
        learnt(["", ""], "words", 0)


def test_an_alignment_begins_evenly_spread_then_follows_the_network():
    targets = criteria.Targets(SimpleNamespace(criterion="align", stride=2, steps=100, symbols="characters", embedded=False))
    frames = np.ones((2, 12, 3), np.float32)
    frames[1, 8:] = 0
    labels = np.array([[1, 1], [2, -1]])
    rows, counts = criteria.with_silence(labels, False)
    assert criteria.with_silence(np.array([[2, 1, -1]]), True)[0].tolist() == [[0, 2, 0, 1, 0]]
    assert rows.tolist() == [[0, 1, 0, 1, 0], [0, 2, 0, 0, 0]] and counts.tolist() == [5, 3]
    ((y, weights),) = [(a["logits"], b["logits"]) for a, b in [targets(0, frames, labels)]]
    assert y.tolist()[0] == [0, 0, 1, 0, 1, 0] and y.tolist()[1][:4] == [0, 0, 2, 0]
    assert weights.tolist() == [[1] * 6, [1, 1, 1, 1, 0, 0]]
    said = np.full((2, 6, 3), -9.0)
    for row, path in enumerate(([0, 1, 0, 0, 1, 0], [0, 2, 2, 0, 0, 0])):
        said[row, np.arange(6), path] = 9.0
    targets.set_model(SimpleNamespace(predict_on_batch=lambda _: {"logits": said}))
    y, weights = (found["logits"] for found in targets(50, frames, labels))
    assert y.tolist() == [[0, 1, 0, 0, 1, 0], [0, 2, 2, 0, 0, 0]] and weights.sum() == 10


@pytest.mark.parametrize("criterion", ["align", "classify"])
def test_the_notes_other_ways_to_train_take_steps_that_help(criterion, monkeypatch):
    config = dataclasses.replace(SMALL, criterion=criterion, batch_size=16, strings=100)
    one_word = [said for said in corpora._rendered_digits(config).parts["train"] if " " not in said.text][:16]
    monkeypatch.setattr(functions, "read_corpus", lambda _: corpora.Corpus({"train": one_word, "val": one_word}, "", ()))
    data = functions.data(config)
    network = functions.model(config, data)
    (targets,) = data.callbacks
    targets.set_model(network)
    batches = data.train(config.steps // 2 if criterion == "align" else 0)
    losses = [float(network.train_on_batch(*next(batches), return_dict=True)["loss"]) for _ in range(25)]
    assert np.isfinite(losses).all() and np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    assert np.isfinite(data.measure(network, {})["error_rate"])
    assert np.isfinite(network.evaluate(data.validation, verbose=0, return_dict=True)["loss"])


def test_a_small_recogniser_learns_and_its_figures_are_there(digits):
    metrics = read_json(digits / "metrics.json")
    row = metrics["table"]["test, greedy, float file"]
    assert row["words"]["score"] < 0.5 and row["words"]["interval"][0] < row["words"]["score"] < row["words"]["interval"][1]
    assert set(metrics["boundaries"]) == {"test, float file", "test, int8 file"}
    parity = read_json(digits / "parity.json")
    assert all(figure["within"] == 1 for name, figure in parity.items() if "int8" not in name)
    page = (digits / "report.html").read_text("utf8")
    assert "what is said" in page and "Worst first" in page


def test_a_head_on_the_pretrained_encoder_is_trained_alone_and_exported_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "STRINGS", {"val": 20, "test": 20})
    sizes = {"strings": 100, "channels": 24, "depth": 1, "kernel_size": 3, "steps": 30, "steps_per_epoch": 15}
    config = dataclasses.replace(SMALL, model="embedding_recognizer", stride=2, **sizes)
    train(TASK, config, tmp_path / "run")
    _, data, network = open_run(TASK, tmp_path / "run")
    head = functions.model(config, data)
    encoder_module.put_layers(head, [network])
    assert network.name == "speech_embedding_recognizer" and head.count_params() < 10_000 < network.count_params()
    encoder = encoder_module.speech_embedding(config.encoder)
    for layer in encoder.layers:
        for ours, published in zip(network.get_layer(layer.name).get_weights(), layer.get_weights()):
            np.testing.assert_array_equal(ours, published)
    assert "speech_embedding/1" in (tmp_path / "run" / "device" / "ENCODER.md").read_text("utf8")
    utterances, symbols = data.content.corpus.parts["test"][:2], data.content.symbols
    embeddings, frames = (features.plain(utterances, symbols, config, encoded) for encoded in (True, False))
    (heard, _), (mel, _) = (features.batch(examples, [0, 1]) for examples in (embeddings, frames))
    of_head, whole = head(heard)["logits"], network(mel)["logits"]
    assert of_head.shape == whole.shape and whole.shape[1] == features.outputs(heard.shape[1], config) == 4 * heard.shape[1]
    mask = np.asarray(whole._keras_mask)
    np.testing.assert_array_equal(mask, np.asarray(of_head._keras_mask))
    assert mask.sum(axis=1).tolist() == features.outputs(embeddings.lengths()[:, 0], config).tolist()
    np.testing.assert_allclose(np.asarray(whole)[mask], np.asarray(of_head)[mask], atol=0.05)  # embeddings are kept in 16 bits
    streamed = Recognizer(tmp_path / "run" / "device").log_probabilities(utterances[0].clip.samples)
    assert streamed.shape[1] == whole.shape[2] and len(streamed)


@pytest.mark.parametrize("options", [{"stride": 3}, {"stride": 4, "frames_per_step": 12}])
def test_a_head_says_something_a_whole_number_of_times_for_each_embedding(options):
    with pytest.raises(InputError, match="takes 1, 2, 4 or 8|expected a multiple of the stride"):
        Config(model="embedding_recognizer", **options)


def test_keras_and_the_device_file_write_the_same_in_any_chunks(digits, said):
    config, data, network = open_run(TASK, digits)
    layer = features.front_end(config)
    recognizer, whole = Recognizer(digits / "device"), hearing(digits, "float")
    random, decoder = np.random.default_rng(0), utterances(digits, config)
    differ = 0
    for utterance in said[:100]:
        samples = utterance.clip.samples
        padded = np.concatenate([samples.astype(np.float32) / 32768, np.zeros(int(0.4 * 16000), np.float32)])
        logits = np.asarray(network(layer(padded[None]), training=False)["logits"])[0]
        streamed = whole(samples)
        np.testing.assert_allclose(streamed[-8:], log_softmax(logits)[: len(streamed)][-8:], atol=1e-2)
        differ += spoken(log_softmax(logits)[: len(streamed)], decoder) != spoken(streamed, decoder)
        found, position = [], 0
        while position < len(samples):
            size = int(random.integers(1, 9000))
            found += recognizer.push(samples[position : position + size])
            position += size
        found += recognizer.finish()
        assert " ".join(u.text for u in found) == spoken(streamed, decoder)
    assert differ == 0


def test_no_utterance_goes_on_over_a_pause(digits, said):
    gap = int(2.0 * 16000)
    first, last = said[0].clip.samples, said[1].clip.samples
    stream = np.concatenate([first, np.zeros(gap, np.int16), last])
    recognizer = Recognizer(digits / "device")
    heard = [found for chunk in np.array_split(stream, 7) for found in recognizer.push(chunk)] + recognizer.finish()
    decoder = utterances(digits, read_config(digits, TASK))
    rates = recognizer.log_probabilities(stream)

    def timed(found):
        return [[(word.text, word.start_s, word.end_s) for word in one.words] for one in found]

    assert timed(heard) == timed([*decoder.push(rates), *decoder.finish()])
    middle = (len(first) + gap / 2) / 16000
    assert heard and all(found.words[-1].end_s < middle or found.words[0].start_s > middle for found in heard)
    assert recognizer.finish() == []


def test_transcribe_prints_and_writes_words_with_times(digits, clip, tmp_path, capsys):
    path, text = clip
    outputs = []
    for suffix in (".json", ".vtt", ".TextGrid"):
        words = tmp_path / f"words{suffix}"
        assert main(["speech-recognition", "transcribe", "--run", str(digits), "--files", str(path), "--words", str(words)]) == 0
        outputs.append(capsys.readouterr().out.split())
        content = words.read_text("utf8")
        if suffix == ".json":
            rows = json.loads(content)["words"]
            assert [row["text"] for row in rows] == outputs[0]
            assert all(0 <= row["start_s"] < row["end_s"] and 0 <= row["confidence"] <= 1 for row in rows)
        assert content.count("-->") == len(outputs[0]) * (suffix == ".vtt")
    assert outputs[0] == outputs[1] and set(outputs[0]) <= set(corpora.DIGITS)
    beam = ["--method", "beam", "--width", "8", "--hot-words", "nine"]
    assert main(["speech-recognition", "transcribe", "--run", str(digits), "--files", str(path), str(path), *beam]) == 0
    lines = capsys.readouterr().out.splitlines()
    once = lines[: len(lines) // 2]
    assert lines == once * 2 and once and all(line.startswith(f"{path}\t") for line in once)


def test_a_language_model_is_heard(digits, clip, tmp_path, capsys):
    arpa = tmp_path / "digits.arpa"
    NGramModel.estimate([["four"], ["four", "four"], ["four"] * 3], 2, vocabulary=corpora.DIGITS).write_arpa(arpa)
    options = ["--language-model", str(arpa), "--weight", "9", "--word-bonus", "9"]
    assert main(["speech-recognition", "transcribe", "--run", str(digits), "--files", str(clip[0]), *options]) == 0
    assert "four" in capsys.readouterr().out.split()


def test_a_language_model_is_made_from_text_and_weighed_on_clips_to_validate(digits, tmp_path, capsys, monkeypatch):
    text, arpa = tmp_path / "text.txt", tmp_path / "digits.arpa.gz"
    text.write_text("One two three. Four; five, six!\nSeven eight? " * 60 + "Nine\u2019s nine.\n", "utf8")
    made = ["speech-recognition", "ngram", "--output", str(arpa), "--text", str(text), "--vocabulary-size", "8"]
    assert main(made) == 0
    assert "11 1-grams" in (said := capsys.readouterr().out) and "perplexity" in said
    assert "nine" not in NGramModel.read_arpa(arpa)

    def few(config, read=functions.read_corpus):
        corpus = read(config)
        corpus.parts.update({split: corpus.parts[split][:6] for split in ("val", "test")})
        return corpus

    monkeypatch.setattr(functions, "read_corpus", few)
    config = read_config(digits, TASK)
    metrics = functions.evaluate(
        digits, config, functions.data(config), ("d.arpa", NGramModel.read_arpa(arpa), {"weight": None, "word_bonus": 2.0})
    )
    rows = [name for name in metrics["table"] if "d.arpa (weight" in name]
    assert len(rows) == 2 and all("bonus 2)" in name for name in rows) and "test, greedy, float file" in metrics["table"]


def test_a_language_model_counts_for_what_it_is_worth():
    """The clip's words are clear to a network: no weight can help, and too much harms; then they are not."""
    symbols = {
        "symbols": ["", "a", "b"],
        "word_boundary": "symbol",
        "decoding": {"method": "beam", "width": 8},
        "endpoint_s": 9.0,
    }
    model = NGramModel.estimate([["a"]] * 9 + [["b"]], 2)

    def search(**weights):
        return Utterances(symbols, 0.1, "beam", language_model=model, **weights)

    sure, torn = (np.log([[0.02, 0.98 - p, p]] + [[0.98, 0.01, 0.01]]) for p in (0.9, 0.55))
    assert language.chosen([sure], ["b"], search, word_bonus=0.0)["weight"] == language.WEIGHTS[0]
    heavy = language.chosen([torn], ["a"], search, word_bonus=0.0)
    assert spoken(torn, search(**heavy)) == "a" and heavy["word_bonus"] == 0.0
    assert language.chosen([], [], None, 0.3, 1.0) == {"weight": 0.3, "word_bonus": 1.0}


def test_an_encoder_that_is_none_is_refused_before_a_run_is_begun(tmp_path, capsys):
    command = ["speech-recognition", "train", "--model", "embedding_recognizer", "--output", str(tmp_path / "run")]
    for name in ("nonsense", "commands"):
        assert main([*command, "--encoder", name]) == 2 and "`encoder`" in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


def test_a_preset_and_weights_without_a_model_are_not_evaluated(capsys):
    root = Path(__file__).resolve().parent.parent.parent
    evaluate = ["speech-recognition", "evaluate", "--run", str(root / "saved_models" / "commands")]
    assert main(evaluate) == 2 and "is a preset; expected a run folder" in capsys.readouterr().err
    assert main([*evaluate, "--weight", "1"]) == 2 and "expected it with --language-model" in capsys.readouterr().err


def test_a_text_without_words_makes_no_language_model(tmp_path, capsys):
    text = tmp_path / "numbers.txt"
    text.write_text("1984 2001\n")
    assert main(["speech-recognition", "ngram", "--output", str(tmp_path / "a.arpa"), "--text", str(text)]) == 2
    assert "no word of the letters a to z" in capsys.readouterr().err and not (tmp_path / "a.arpa").exists()


def test_align_tells_when_words_are_said(digits, said, tmp_path, capsys):
    utterance = next(u for u in said if len(u.text.split()) == 4)
    path, picture = tmp_path / "four.flac", tmp_path / "four.html"
    soundfile.write(path, utterance.clip.samples, 16000)
    command = ["speech-recognition", "align", "--run", str(digits), "--file", str(path), "--text", utterance.text.upper()]
    assert main([*command, "--picture", str(picture)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[3] for row in rows] == utterance.text.split() and "<svg" in picture.read_text("utf8")
    starts = [float(row[0]) for row in rows]
    assert starts == sorted(starts)
    assert main([*command, "--output", str(tmp_path / "four.TextGrid")]) == 0
    assert 'name = "symbols"' in (tmp_path / "four.TextGrid").read_text("utf8")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("...", "expected the words that are said"),
        ("one eleven", "'eleven', which is none of the symbols"),
        ("one " * 200, "too short for 200 words"),
    ],
)
def test_texts_that_cannot_be_aligned_are_refused(digits, clip, text, words, capsys):
    command = ["speech-recognition", "align", "--run", str(digits), "--file", str(clip[0]), "--text", text]
    assert main(command) == 2 and words in capsys.readouterr().err


def test_recordings_that_cannot_be_read_are_named_and_the_others_go_on(digits, clip, tmp_path, capsys):
    empty, text = tmp_path / "empty.wav", tmp_path / "text.wav"
    empty.write_bytes(b"")
    text.write_text("no sound")
    files = [str(empty), str(clip[0]), str(text), str(tmp_path / "none.wav")]
    assert main(["speech-recognition", "transcribe", "--run", str(digits), "--files", *files]) == 2
    heard = capsys.readouterr()
    assert str(clip[0]) in heard.out and "3 of 4 recordings could not be read" in heard.err
    for words in ("empty file", "cannot be read as audio", "does not exist"):
        assert words in heard.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "expected --files or --microphone"),
        ({"files": ("a.wav",), "words": "b.txt"}, "ends in .json, .vtt or .TextGrid"),
        ({"files": ("a.wav",), "method": "greedy", "hot_words": ("a",)}, "`hot_words` is given"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, words):
    options = {key: Path(value) if key == "words" else value for key, value in options.items()}
    with pytest.raises(InputError, match=words):
        Transcribe(run=Path("run"), **options)


def test_files_are_read_block_by_block_as_they_are_whole(tmp_path):
    random = np.random.default_rng(0)
    for rate, channels in ((16000, 1), (8000, 2), (44100, 2)):
        path = tmp_path / f"{rate}.wav"
        soundfile.write(path, 0.3 * random.standard_normal((3 * rate + 7, channels)), rate)
        blocks = np.concatenate(list(audio_blocks(path, seconds=0.21)))
        whole = read_audio(path)
        assert abs(len(blocks) - len(whole)) <= 1
        np.testing.assert_allclose(blocks[: len(whole)], whole[: len(blocks)], atol=1e-4)
    cut = tmp_path / "cut.wav"
    cut.write_bytes((tmp_path / "16000.wav").read_bytes()[:50_000])
    with pytest.raises(InputError, match="cut short"):
        list(audio_blocks(cut))


def test_own_recordings_are_read_with_their_texts(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = ["path,text,speaker"]
    for i in range(9):
        soundfile.write(folder / f"{i}.wav", np.random.default_rng(i).standard_normal(16000) * 0.1, 16000)
        rows.append(f'{i}.wav,"Good morning, Ann\u2019s cat!",{"abc"[i % 3]}')
    with pytest.raises(InputError, match="no metadata.csv"):
        corpora.read_corpus(Config(recordings=folder))
    (folder / "metadata.csv").write_text("\n".join(rows), "utf8")
    corpus = corpora.read_corpus(Config(recordings=folder))
    assert {split: len(part) for split, part in corpus.parts.items()} == {"train": 3, "val": 3, "test": 3}
    assert corpus.parts["test"][0].text == "good morning ann's cat" and "by speaker (3)" in corpus.sources[0][1]
    every = corpora.read_corpus(Config(recordings=folder, all_speakers=True))
    assert {said.clip.speaker for said in every.parts["train"]} == {
        said.clip.speaker for said in corpus.parts["train"] + corpus.parts["val"]
    }
    (folder / "metadata.csv").write_text("\n".join(row.replace("Good morning, Ann\u2019s cat!", "1984") for row in rows), "utf8")
    with pytest.raises(InputError, match="has the text '1984'; expected words"):
        corpora.read_corpus(Config(recordings=folder))


def test_error_rates_are_those_counted_by_hand():
    found = scoring.scored(["one two three", "four", ""], ["one three", "five", "six"])
    assert found["words"]["score"] == pytest.approx((1 + 1 + 1) / 4) and found["exact"] == 0
    perfect = scoring.scored(["one two"] * 5, ["one two"] * 5)
    assert perfect["words"]["score"] == perfect["characters"]["score"] == 0 and perfect["exact"] == 1
    errors = scoring.boundary_errors([([(0.1, 0.5)], [(0.0, 0.5)]), ([(1.0, 2.0)], [(1.02, 1.9)])])
    assert errors["boundaries"] == 4 and errors["median_s"] == pytest.approx(0.06) and errors["late_s"] == pytest.approx(0.05)


def test_words_are_put_together_from_symbols():
    spans = [Span(text, i, i + 1, 0.5 + 0.1 * i) for i, text in enumerate("ab c")]
    letters = Symbols(["", " ", "a", "b", "c"], "characters")
    assert [(w.text, w.start_s, w.end_s) for w in grouped(spans, letters)] == [("ab", 0, 2), ("c", 3, 4)]
    pieces = [Span(text, i, i + 1, 1.0) for i, text in enumerate(["\u2581a", "b", "\u2581", "c"])]
    assert [w.text for w in grouped(pieces, Symbols(["", "\u2581a", "b", "\u2581", "c"], "subwords"))] == ["ab", "c"]
    assert [w.text for w in grouped(spans[:2], Symbols(["", "a", "b"], "words"))] == ["a", "b"]
    rates = log_softmax(5.0 * np.eye(3)[[0, 1, 0, 2, 0]])
    config = SimpleNamespace(criterion="ctc", stride=2, embedded=False)
    assert [(s.start_s, s.end_s) for s in symbol_spans(rates, [1, 2], Symbols(["", "a", "b"], "words"), config)] == [
        (pytest.approx(0.02), pytest.approx(0.04)),
        (pytest.approx(0.06), pytest.approx(0.08)),
    ]
    assert symbol_spans(rates, [1] * 4, Symbols(["", "a", "b"], "words"), config) is None


def test_words_are_moved_by_how_late_a_network_is():
    late = lateness([([(0.5, 0.6), (1.5, 1.7)], [(0.1, 0.5), (1.0, 1.5)]), ([(2.0, 2.2)], [(1.6, 2.0)])])
    assert late == [pytest.approx(0.4), pytest.approx(0.2)]
    words = placed([Span("a", 0.3, 0.4, 1.0), Span("b", 0.5, 0.6, 1.0)], late)
    assert [(w.start_s, w.end_s) for w in words] == [(0.0, pytest.approx(0.2)), (pytest.approx(0.2), pytest.approx(0.4))]
    assert lateness([]) == [0.0, 0.0]


def test_times_are_written_as_others_read_them():
    words = [Span("one", 0.5, 0.75, 0.9), Span('"two" & <b>', 3661.0, 3661.5, 0.8)]
    vtt = subtitles.written(words, ".vtt", "a.wav")
    assert vtt.startswith("WEBVTT\n\n00:00:00.500 --> 00:00:00.750\none\n") and "01:01:01.000" in vtt and "&lt;b&gt;" in vtt
    grid = subtitles.written(words, ".TextGrid", "a.wav")
    assert 'text = """two"" & <b>"' in grid and "intervals: size = 4" in grid
    assert "nothing" not in subtitles.written([], ".TextGrid", "a.wav")


def test_the_device_runtime_writes_recordings_down(digits, clip, tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, read_audio(clip[0]), 16000, subtype="PCM_16")
    command = [sys.executable, "-m", "tflite.runtime", str(digits / "device"), str(path)]
    rows = [json.loads(line) for line in subprocess.run([*command, "--json"], capture_output=True, text=True).stdout.splitlines()]
    lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    assert [row["text"] for row in rows] == [line.split("\t")[2] for line in lines] and rows[0]["words"]
    refused = subprocess.run([*command, "--threshold", "0.5"], capture_output=True, text=True)
    assert refused.returncode == 2 and "holds a recognizer" in refused.stderr


def test_a_model_that_reads_both_ways_needs_the_whole_clip(digits, clip, capsys, monkeypatch):
    monkeypatch.setattr(recognizing, "LONGEST_S", 0.5)
    config = Config(model="tdnn_recognizer", stride=4)
    with pytest.raises(InputError, match="needs all of it at once"):
        whole = recognizing._Whole(digits, config, None, {})
        for chunk in audio_blocks(clip[0], seconds=0.2):
            whole.push(chunk)
    monkeypatch.setattr(recognizing, "LONGEST_S", 60.0)
    whole = recognizing._Whole(digits, config, None, {})
    for chunk in audio_blocks(clip[0], seconds=0.2):
        assert whole.push(chunk) == []
    assert all(word in corpora.DIGITS for u in whole.finish() for word in u.text.split())


def test_a_preset_is_made_and_listens(digits, clip, tmp_path, capsys):
    preset = tmp_path / "my_digits"
    assert main(["speech-recognition", "preset", "--run", str(digits), "--output", str(preset)]) == 0
    capsys.readouterr()
    outputs = []
    for run in (digits, preset):
        assert main(["speech-recognition", "transcribe", "--run", str(run), "--files", str(clip[0])]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] and "Licence" in (preset / "card.md").read_text("utf8")


def test_help_of_each_verb_is_quick_and_whole(capsys):
    for verb in ("train", "transcribe", "align"):
        with pytest.raises(SystemExit):
            main(["speech-recognition", verb, "--help"])
        assert "--" in capsys.readouterr().out


def test_the_shipped_preset_writes_down_commands_of_strangers(mirror):
    root = Path(__file__).resolve().parent.parent.parent
    chosen = []

    def keep(row):
        wanted = row["split"] == "test" and row["text"] in corpora.COMMANDS and sum(text == row["text"] for text in chosen) < 5
        chosen.extend([row["text"]] * wanted)
        return wanted

    clips, recognizer = (
        read_set("speech_commands_test_v0.02", keep),
        Recognizer(root / "saved_models" / "commands" / "device", "int8"),
    )
    heard = [" ".join(one.text for one in [*recognizer.push(clip.samples), *recognizer.finish()]) for clip in clips]
    assert len(clips) == 50 and sum(text == clip.text for text, clip in zip(heard, clips)) >= 40
