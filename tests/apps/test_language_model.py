"""The language model learns a toy language, writes the same text everywhere, and is scored honestly."""

import json
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

import zoo
from apps.language_model import functions, long_range
from apps.language_model.config import TASK, Complete, Config, Gradients, Sample, Score
from apps.language_model.corpus import inputs_and_targets, line_batches, read_corpus, window_batches
from apps.language_model.generation import TextSampler, texts
from apps.language_model.gradients import gradient_norms, step_gradients
from apps.train import train
from tflite.runtime import Generator, InputError
from zoo.decoding.ngram import NGramModel
from zoo.metrics.language import Perplexity

ABC = "abcdefgh"


@pytest.fixture(scope="session")
def cycle(tmp_path_factory):
    """A run on lines that walk through the alphabet from anywhere: after a comes b, after h comes a."""
    folder = tmp_path_factory.mktemp("cycle")
    lines = [(ABC * 4)[start : start + length] for start in range(8) for length in range(6, 18)]
    (folder / "cycle.txt").write_text("\n".join(lines))
    config = Config(
        text=folder / "cycle.txt",
        model="lstm_language_model",
        units=24,
        dimensions=8,
        steps=150,
        steps_per_epoch=50,
        batch_size=16,
        learning_rate=0.02,
        dropout=0.0,
    )
    train(TASK, config, folder / "run")
    return folder / "run", config


def test_the_toy_language_is_learnt(cycle):
    folder, config = cycle
    generator = Generator(folder / "device")
    right = total = 0
    for index in range(20):
        text = generator.sample(seed=1, index=index, prefix="ab")
        right += sum(b == ABC[(ABC.index(a) + 1) % 8] for a, b in zip(text, text[1:]))
        total += len(text) - 1
    assert right / total > 0.97
    metrics = functions.evaluate(folder, config, functions.data(config))
    rates = {name: row["nats"] for name, row in metrics["table"].items()}
    assert rates["lstm_language_model, float file"] < rates["2-grams, modified Kneser-Ney"] < 0.5


def test_keras_the_saved_model_and_the_file_write_the_same_texts(cycle):
    folder, config = cycle
    data = functions.data(config)
    model = functions.model(config, data)
    import keras

    model.set_weights(keras.saving.load_model(folder / "model.keras", compile=False).get_weights())
    sampler = TextSampler(model, data.content.tokenizer, config.max_length)
    generator = Generator(folder / "device")
    loaded = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    plain, other = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}, {"temperature": 1.7, "top_k": 4, "top_p": 0.95}
    for options in ({**plain, "prefix": ""}, {**other, "prefix": "dea"}):
        live = texts(sampler.sample, seed=9, first=5, count=25, **options)
        filed = [generator.sample(9, 5 + i, **options) for i in range(25)]
        assert live == filed == texts(loaded, seed=9, first=5, count=25, **options)
        assert len(set(live)) > 5


def test_text_is_yielded_while_it_is_made(cycle):
    stream = Generator(cycle[0] / "device").stream(seed=1, prefix="ab")
    assert next(stream) == "a" and next(stream) == "b"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prefix": "Z"}, "`prefix` has 'Z', which the model has never seen; it knows abcdefgh"),
        ({"temperature": float("nan")}, "`temperature` is nan"),
        ({"top_p": 0}, "`top_p` is 0"),
    ],
)
def test_wrong_options_are_refused(cycle, options, words):
    with pytest.raises(InputError, match=words):
        Generator(cycle[0] / "device").sample(**options)


def test_lines_are_scored_with_their_surprises_marked(cycle, tmp_path, capsys):
    folder, _ = cycle
    (tmp_path / "lines.txt").write_text("abcdefgh\nabcdhefg\nabcZ\n")
    functions.score(Score(run=folder, text=tmp_path / "lines.txt", surprises=1))
    head, good, bad, unknown, total = (line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert head == ["nats", "perplexity", "line"] and float(good[0]) < float(bad[0]) and bad[2] == "abcd[h]efg"
    assert unknown == ["inf", "inf", "abc[?]"]
    assert total[2].startswith("all 3 lines") and "1 characters that the model has never seen" in total[2]
    expected = -sum(np.log(1.0 / float(row[1])) * 9 for row in (good, bad))
    assert float(good[0]) + float(bad[0]) == pytest.approx(expected, rel=0.01)


def test_lines_are_distinct_and_on_one_side_only(tmp_path):
    (tmp_path / "x.txt").write_text("\n".join(f"word{i % 300}" for i in range(400)))
    corpus = read_corpus(Config(text=tmp_path / "x.txt"))
    train_lines, val, test = (set(corpus.parts[split]) for split in ("train", "val", "test"))
    assert not train_lines & val and not train_lines & test and not val & test
    assert len(train_lines) + len(val) + len(test) == 300 and corpus.duplicates == 100
    assert 0.05 < len(test) / 300 < 0.2


def test_repeated_lines_may_be_kept_and_are_counted(tmp_path):
    (tmp_path / "x.txt").write_text("\n".join(f"word{i % 300}" for i in range(400)))
    corpus = read_corpus(Config(text=tmp_path / "x.txt", repeated="kept"))
    assert [len(corpus.parts[split]) for split in ("train", "val", "test")] == [320, 40, 40] and corpus.duplicates == 0
    repeated = len([line for line in corpus.parts["test"] if line in corpus.parts["train"]])
    assert repeated > 5 and f"{repeated} of the tested ones also train" in corpus.summary
    held = read_corpus(Config(text=tmp_path / "x.txt", held_out=20))
    assert [len(held.parts[split]) for split in ("train", "val", "test")] == [260, 20, 20] and held.duplicates == 100
    assert len(set(sum(held.parts.values(), []))) == 300
    with pytest.raises(zoo.InputError, match="`held_out` is 90; expected at most 75"):
        read_corpus(Config(text=tmp_path / "x.txt", held_out=90))


def test_tokens_begin_and_end_with_the_boundary():
    corpus = read_corpus(Config())
    row = corpus.tokens(["anna"], 8)[0]
    assert row[0] == row[5] == 1 and list(row[6:]) == [0, 0] and "".join(corpus.vocabulary[i] for i in row[1:5]) == "anna"


def test_batches_go_on_from_any_step_and_visit_every_line_once_an_epoch():
    config, tokens = Config(batch_size=8), np.arange(64)[:, None] * np.ones((1, 3), int)
    stream, later = line_batches(tokens, config, 0), line_batches(tokens, config, 13)
    seen = [next(stream) for _ in range(16)]
    np.testing.assert_array_equal(seen[13][0], next(later)[0])
    for epoch in (seen[:8], seen[8:]):
        assert sorted(np.concatenate([x[:, 0] for x, _ in epoch])) == list(range(64))
    assert (seen[0][0] != seen[8][0]).any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layout": "running"}, "`layout` is 'running' without a text of yours; give --text"),
        ({"text": "x.txt", "dataset": "shakespeare"}, "`text` and `dataset` 'shakespeare' are both given"),
    ],
)
def test_contradicting_options_are_refused(options, words):
    with pytest.raises(zoo.InputError, match=words):
        read_corpus(Config(**options))


def test_long_lines_are_refused(tmp_path):
    (tmp_path / "x.txt").write_text("\n".join(["a" * 200] + [f"w{i}" for i in range(50)]))
    with pytest.raises(zoo.InputError, match="has 200 characters .* expected at most 64. Give --max-length"):
        read_corpus(Config(text=tmp_path / "x.txt"))


def test_perplexity_is_the_inverse_geometric_mean_of_the_probabilities():
    metric = Perplexity()
    probabilities = np.array([[[0.0001, 0.5, 0.4999], [0.0001, 0.0999, 0.9], [0.2, 0.3, 0.5]]])
    metric.update_state(np.array([[1, 2, 0]]), np.log(probabilities))
    assert float(metric.result()) == pytest.approx((0.5 * 0.9) ** -0.5, rel=1e-5)


def test_the_ngram_baseline_is_scored_on_the_same_characters(tmp_path):
    (tmp_path / "x.txt").write_text("\n".join(f"{a}{b}x" for a in "abcdefgh" for b in "abcdefgh"))
    corpus = read_corpus(Config(text=tmp_path / "x.txt"))
    nats = functions.ngram_nats(NGramModel.estimate(corpus.parts["train"], 3), corpus, "test", 100).reshape(-1, 4)
    assert len(nats) == len(corpus.sequences("test")) and {len(row) for row in corpus.sequences("test")} == {5}
    assert (nats[:, 2] < nats[:, 1]).all()  # any letter may come second, then often x


@pytest.fixture(scope="session")
def abc(tmp_path_factory):
    """A run on running text: the alphabet over and over, lines of 5."""
    folder = tmp_path_factory.mktemp("abc")
    (folder / "abc.txt").write_text("abcde\nfgh\n" * 2000)
    config = Config(
        text=folder / "abc.txt",
        layout="running",
        units=24,
        dimensions=8,
        steps=120,
        steps_per_epoch=40,
        checkpoint_steps=60,
        batch_size=8,
        window=16,
        learning_rate=0.02,
        clip="global_norm",
    )
    train(TASK, config, folder / "run")
    return folder / "run", config


def test_running_text_is_learnt_and_goes_on_past_the_end_of_a_line(abc):
    folder, config = abc
    text = Generator(folder / "device").sample(seed=3, max_length=200)
    assert len(text) == 200 and text.count("abcde\nfgh\n") > 15
    table = json.loads((folder / "metrics.json").read_text())["table"]
    carried, windows = (table[f"gru_language_model, float file, {how}"] for how in ("state carried", "in windows of 16"))
    assert carried["nats"] < windows["nats"] < 0.2
    assert carried["tokens"] == windows["tokens"] == 2000
    assert json.loads((folder / "parity.json").read_text())["10 sampled texts: float TFLite against Keras"]["within"] == 1
    assert "the last 2,000 test" in (folder / "report.html").read_text()


@pytest.fixture(scope="session")
def story(tmp_path_factory):
    """A folder of texts, and a function that trains a model of their words or subwords."""
    folder = tmp_path_factory.mktemp("story")
    (folder / "texts").mkdir()
    for number in range(12):
        lines = [
            f"The {'cat' if (number + i) % 2 else 'dog'} isn\u2019t {'in' if i % 3 else 'on'} it; it sleeps." for i in range(40)
        ]
        (folder / "texts" / f"{number}.txt").write_text("\n".join([*lines, f"Number{number} ends."]))

    def run(tokens):
        config = Config(
            text=folder / "texts",
            layout="running",
            tokens=tokens,
            vocabulary_size=30 if tokens == "words" else 45,
            lower=tokens == "words",
            units=24,
            dimensions=8,
            steps=300,
            steps_per_epoch=100,
            batch_size=4,
            window=10,
            learning_rate=0.02,
            dropout=0.0,
        )
        if not (folder / tokens).exists():
            train(TASK, config, folder / tokens)
        return folder / tokens, config

    return run


@pytest.mark.parametrize("tokens", ["words", "subwords"])
def test_words_and_subwords_are_learnt_and_written_the_same_everywhere(story, tokens):
    folder, config = story(tokens)
    generator = Generator(folder / "device")
    text = generator.sample(seed=3, prefix="The cat", max_length=150)
    assert text.count(" it; it sleeps.\n") > 5 and "<unknown>" not in text
    loaded = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    for prefix in ("", "The cat isn\u2019t in it; it ", "the dog.\nThe dog" if tokens == "words" else "The dog.\nThe dog"):
        filed = [generator.sample(1, 4 + i, prefix=prefix, temperature=1.2) for i in range(5)]
        assert texts(loaded, seed=1, first=4, count=5, temperature=1.2, prefix=prefix) == filed
        assert len(set(filed)) == 5
    table = json.loads((folder / "metrics.json").read_text())["table"]
    assert table["gru_language_model, float file, state carried"]["nats"] < 0.5
    assert any("interpolated" in name for name in table)


def test_whole_documents_train_validate_and_test(story):
    folder, config = story("words")
    corpus = read_corpus(config)
    assert {split: len(names) for split, names in corpus.documents.items()} == {"train": 10, "val": 1, "test": 1}
    assert len({name for names in corpus.documents.values() for name in names}) == 12
    # each document's last line has a name that only it has; what occurs once is unknown, so that training meets the unknown token
    assert not any(word.startswith("number") for word in corpus.vocabulary)
    for split, unknown in (("train", 10), ("val", 1), ("test", 1)):
        assert (corpus.tokens(split)[1:] == 2).sum() == unknown
    assert "unknown: 0.2% of train, 0.2% of val, 0.2% of test" in corpus.summary
    text = corpus.tokenizer.decode(corpus.tokens("train")[1:])
    assert text.count("<unknown> ends.\n") == 10  # no document runs into the next


@pytest.mark.parametrize("tokens", ["words", "subwords"])
def test_a_text_of_unusual_characters_is_read(tmp_path, tokens):
    strange = "a\tb\u00a0c\u3000 \u2581 cafe\u0301 \u0915\u094d\u0937 " + "\u4e2d" * 300 + " x\u2060y \ufeff\n"
    (tmp_path / "x.txt").write_text(strange * 200)
    config = Config(text=tmp_path / "x.txt", layout="running", tokens=tokens, vocabulary_size=100, batch_size=2, window=8)
    corpus = read_corpus(config)
    assert corpus.unknown["train"] == 0
    if tokens == "subwords":
        expected = strange.replace("\t", " ").replace("\u2581", " ")
        assert corpus.tokenizer.decode(corpus.tokenizer.encode(strange)) == expected


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a": "", "b": "", "c": ""}, "has 0 words to train; expected at least"),
        ({"a": "x y z " * 500}, "has 1 text files .*; expected at least 3"),
    ],
)
def test_a_folder_with_too_little_is_refused(tmp_path, files, words):
    for name, text in files.items():
        (tmp_path / f"{name}.txt").write_text(text)
    with pytest.raises(zoo.InputError, match=words):
        read_corpus(Config(text=tmp_path, layout="running", tokens="words"))
    with pytest.raises(zoo.InputError, match="is a folder; give --layout running"):
        read_corpus(Config(text=tmp_path))


def test_too_small_a_vocabulary_of_subwords_is_refused(tmp_path):
    (tmp_path / "x.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 2000)
    with pytest.raises(zoo.InputError, match="`vocabulary_size` is 20; expected more than 27"):
        read_corpus(
            Config(text=tmp_path / "x.txt", layout="running", tokens="subwords", vocabulary_size=20, batch_size=2, window=8)
        )


def test_the_best_weight_of_a_mixture_is_found():
    rng = np.random.default_rng(0)
    first = rng.random(20_000) < 0.7  # a source that is the first model 7 times in 10
    sure, unsure = -np.log(0.9), -np.log(0.1)
    nats = np.where(first, sure, unsure), np.where(first, unsure, sure)
    share = functions.best_share(*nats)
    assert 0.9 * share + 0.1 * (1 - share) == pytest.approx(first.mean(), abs=0.01)
    assert functions.best_share(nats[0], nats[0] + 1) == pytest.approx(0.99)


def test_continuations_are_offered_with_their_probabilities(cycle, capsys, monkeypatch):
    folder, _ = cycle
    functions.complete(Complete(run=folder, prefix="abc", count=2, length=3))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("1 ") and first.endswith("abc[def]") and float(first.split()[1].rstrip("%")) > 50
    assert float(second.split()[1].rstrip("%")) < 50
    typed = iter(["ab", "1", "Z", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    functions.complete(Complete(run=folder, count=1, length=2))
    out = capsys.readouterr().out
    assert "ab[cd]" in out and "abcd[ef]" in out and "error: `prefix` has 'Z'" in out


def test_a_sample_keeps_to_its_options(cycle, capsys):
    functions.sample(Sample(run=cycle[0], count=3, prefix="a", stop=("f",), banned=("h",)))
    assert capsys.readouterr().out.splitlines() == ["abcde"] * 3


def test_a_list_of_lines_that_is_too_long_for_memory_is_refused(tmp_path):
    with open(tmp_path / "x.txt", "wb") as file:
        file.truncate(300_000_000)  # sparse
    with pytest.raises(zoo.InputError, match="has 300,000,000 bytes; expected at most .* --layout running"):
        read_corpus(Config(text=tmp_path / "x.txt"))


def test_memory_does_not_grow_with_the_text(tmp_path):
    """Twice the text, a fifth more memory at most, as Python's own allocator counts it."""
    peaks = []
    for times in (30, 60):
        (tmp_path / "x.txt").write_text("It was the best of times, it was the worst of times,\n" * (4000 * times))
        tracemalloc.start()
        corpus = read_corpus(Config(text=tmp_path / "x.txt", layout="running", tokens="words"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(corpus.tokens("train")) > 4000 * times * 13 * 0.87
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize("task", ["adding", "copy"])
def test_the_long_tasks_are_what_they_say(task):
    rng = np.random.default_rng(0)
    frames, answers = getattr(long_range, task)(rng, 50, 20)
    if task == "adding":
        assert frames.shape == (50, 20, 2) and (frames[:, :10, 1].sum(1) == 1).all() and (frames[:, 10:, 1].sum(1) == 1).all()
        np.testing.assert_allclose((frames[:, :, 0] * frames[:, :, 1]).sum(1), answers[:, 0, 0], rtol=1e-6)
    else:
        tokens = frames.argmax(-1)
        np.testing.assert_array_equal(tokens[:, :5], answers)
        assert (tokens[:, 24] == 9).all() and (np.delete(tokens[:, 5:], 19, 1) == 8).all() and tokens.shape == (50, 30)
    untrained = long_range.measure("gru", task, 20, 1)
    assert not untrained["solved"] and untrained["updates"] == 1 and untrained["error"] > 0.05


def test_a_short_task_is_solved():
    found = long_range.measure("irnn", "adding", 6, 1000)
    assert found["solved"] and found["error"] < 0.01 and found["updates"] < 1000


def test_the_tasks_that_are_done_are_not_done_again(tmp_path):
    options = Gradients(output=tmp_path / "x.html", tasks=("copy",), task_steps=(2,), updates=1)
    functions.gradients(options)
    done = json.loads((tmp_path / "x.json").read_text())
    assert set(done) == {f"copy, 2 steps, {cell}, 1 updates" for cell in long_range.CELLS}
    done["copy, 2 steps, gru, 1 updates"] = {"solved": True, "updates": 1, "error": 0.00125}
    (tmp_path / "x.json").write_text(json.dumps(done))
    functions.gradients(options)
    assert "solved, 1 updates (0.0013)" in (tmp_path / "x.html").read_text()


def test_windows_without_a_carried_state_begin_elsewhere_on_every_pass():
    config, tokens = Config(batch_size=4, window=5, carry=False), np.arange(101)
    stream, later = window_batches(tokens, config, 0), window_batches(tokens, config, 9)
    seen = [next(stream) for _ in range(10)]
    np.testing.assert_array_equal(seen[9][0], next(later)[0])
    for x, y in seen:
        np.testing.assert_array_equal(x[:, 1:], y["logits"][:, :-1])
        assert (np.diff(x, axis=0) == 25).all() and x.max() < 101
    assert len({int(x[0, 0]) for x, _ in seen[::4]}) > 1


def test_windows_of_running_text_go_on_from_any_step():
    config, tokens = Config(batch_size=4, window=5), np.arange(101)
    stream, later = window_batches(tokens, config, 0), window_batches(tokens, config, 7)
    seen = [next(stream) for _ in range(8)]
    np.testing.assert_array_equal(seen[7][0], next(later)[0])
    np.testing.assert_array_equal(seen[0][0][1], np.arange(25, 30))
    np.testing.assert_array_equal(seen[1][0][1], np.arange(30, 35))
    np.testing.assert_array_equal(seen[1][1]["logits"][1], np.arange(31, 36))
    np.testing.assert_array_equal(seen[5][0], seen[0][0])  # 25 characters a row are five windows


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has 0 characters; expected at least"),
        (b"short", "has 5 characters; expected at least"),
        (b"\n" * 300_000, "has blank lines only"),
        (b"ab\0cd" * 100_000, "holds zero bytes, as binary files do"),
        ("h\u00e9".encode("latin-1") * 100_000, "is not UTF-8 text"),
    ],
)
def test_running_text_that_is_none_is_refused(tmp_path, content, words):
    (tmp_path / "x.txt").write_bytes(content)
    with pytest.raises(zoo.InputError, match=words):
        read_corpus(Config(text=tmp_path / "x.txt", layout="running"))


def test_shakespeare_is_cut_as_customary(mirror):
    corpus = read_corpus(Config(dataset="shakespeare"))
    assert len(corpus.vocabulary) == 66 and [len(corpus.tokens(split)) - 1 for split in ("train", "val", "test")] == [
        981546,
        22308,
        111540,
    ]


def test_the_public_names_are_read(mirror):
    corpus = read_corpus(Config(dataset="names"))
    assert corpus.duplicates == 32033 - 29494 and len(corpus.vocabulary) == 28


def test_the_loss_counts_each_character_and_the_end_once():
    """What follows the end is padding, and costs nothing."""
    import keras

    corpus = read_corpus(Config())
    tokens = corpus.tokens(["anna", "maximilian"], 14)
    x, y = inputs_and_targets(tokens)
    model = functions.model(Config(), functions.Data(None, None, corpus, {}))
    found = model.evaluate(x, y, verbose=0, return_dict=True)
    logits = np.asarray(model(x)["logits"], np.float64)
    nats = keras.ops.convert_to_numpy(keras.ops.sparse_categorical_crossentropy(y["logits"], logits, from_logits=True))
    real = y["logits"] != 0
    assert real.sum() == 4 + 10 + 2
    assert found["loss"] == pytest.approx(nats[real].mean(), rel=1e-5)
    assert found["perplexity"] == pytest.approx(np.exp(nats[real].mean()), rel=1e-4)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("name", ["rnn_language_model", "gru_language_model", "lstm_language_model"])
def test_gradients_by_step_are_the_parts_of_the_whole_models(name, residual):
    model = zoo.build(name, vocabulary=9, dimensions=4, units=4, depth=2, residual=residual, mask_padding=False)
    tokens = np.random.default_rng(0).integers(1, 9, (3, 13))
    inputs, of_sums, of_states, kernel = step_gradients(model, tokens)
    embedding, recurrent = model.layers[1], model.layers[2]
    with tf.GradientTape() as tape:
        logits = model(tokens[:, :-1])["logits"][:, -1]
        loss = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(tokens[:, -1], logits))
    of_kernel, of_embeddings = tape.gradient(loss, [recurrent.cell.kernel.value, embedding.embeddings.value])
    np.testing.assert_allclose(np.einsum("bti,btg->ig", inputs, of_sums), of_kernel, rtol=1e-3, atol=1e-6)
    if not residual:  # which would bring the last token's embedding to the logits past the layer
        by_token = np.zeros((9, 4))
        np.add.at(by_token, tokens[:, :-1], of_sums @ kernel.T)
        np.testing.assert_allclose(by_token, tf.convert_to_tensor(of_embeddings), rtol=1e-3, atol=1e-6)
    if name == "rnn_language_model":  # through the tanh
        a = np.asarray(recurrent(inputs.astype("float32")))
        np.testing.assert_allclose(of_sums, of_states * (1 - a**2), rtol=1e-3, atol=1e-6)
    norms = gradient_norms(model, tokens)
    assert list(norms) == ["input matrix", "input", "hidden state"] and all(len(n) == 12 for n in norms.values())


def test_the_gradients_report_shows_runs_before_and_after_training(abc, cycle, tmp_path):
    folder, _ = abc
    functions.gradients(Gradients(runs=(folder,), output=tmp_path / "gradients.html", steps=20))
    text = (tmp_path / "gradients.html").read_text()
    assert text.count("<svg") == 3 and "gru_language_model" in text and "before training" in text
    with pytest.raises(zoo.InputError, match="holds a model of lines; expected running text"):
        functions.gradients(Gradients(runs=(cycle[0],), output=tmp_path / "x.html"))
    assert not (tmp_path / "x.html").exists()
