"""The speech recognition task's functions: data, model, export, evaluation, report; transcribe and align come from recognizing.py, ngram from language.py."""

import dataclasses
import functools
import itertools
import json

import keras
import numpy as np
import tensorflow as tf
from rapidfuzz.distance import Levenshtein
from tqdm import tqdm

import zoo
from apps.config import read_json
from apps.data import encoder
from apps.data.splits import shuffled
from apps.fit import WarmupCosine, average
from apps.intervals import percent
from apps.report import Section, history_figure
from apps.run_folder import write_json
from apps.speech_recognition import criteria, features, scoring
from apps.speech_recognition.alignment import lateness, symbol_spans, word_spans
from apps.speech_recognition.config import EMBEDDED, TASK
from apps.speech_recognition.corpora import Corpus, read_corpus
from apps.speech_recognition.language import chosen
from apps.speech_recognition.language import ngram as ngram  # the commands look for the verbs here
from apps.speech_recognition.pictures import trellis, trellis_figure
from apps.speech_recognition.recognizing import align as align
from apps.speech_recognition.recognizing import decoding, hearing, spoken, timed, utterances
from apps.speech_recognition.recognizing import transcribe as transcribe
from apps.speech_recognition.text import Symbols, learnt
from apps.task import Data
from apps.train import evaluate_run as evaluate_test_data
from tflite.export import convert, write_device_folder, write_saved_model
from tflite.parity import compare, compare_files, record_steps, run_whole
from tflite.streaming import to_step_model
from zoo.decoding.ngram import NGramModel
from zoo.errors import InputError
from zoo.models.speech_embedding import FRAMES_PER_EMBEDDING

# clips: for int8, for parity, whose words tell how late the network is, that a language model is weighed on; pictures, examples
CALIBRATED, COMPARED, TIMED, WEIGHED, PICTURED, SHOWN = 40, 20, 100, 100, 3, 20
PICTURED_S = 5.0
LABELS = {"float": "float file", "int8": "int8 file", "saved_model": "SavedModel"}
README = """# A recogniser: {name}

`python -m tflite.runtime FOLDER FILE.wav` writes down what is said in a recording, `--microphone` what a microphone hears.
manifest.json has all that another runtime needs: docs/devices.md of Sequence Zoo explains each field.
"""
NOTICE = """# Notices

The model files were trained with Sequence Zoo, under the Apache License 2.0, on:

{sources}

The licences of recordings bind those who pass the recordings on; the model files hold none of them.
"""


@dataclasses.dataclass(frozen=True)
class Content:
    """A corpus and its symbols. train, validation: Examples, made when they are first asked for."""

    config: object
    corpus: Corpus
    symbols: Symbols

    @functools.cached_property
    def train(self):
        """Changed copies of the clips to train on, those that are too short for their labels left out."""
        examples, short = features.fitting(features.changed(self.sayable("train"), self.symbols, self.config), self.config)
        if short:
            tqdm.write(f"{short} copies of clips are too short for their transcripts, and are left out")
        if len(examples.frames) < self.config.batch_size:
            raise InputError(
                f"there are {len(examples.frames)} clips to train on; expected at least a batch, {self.config.batch_size}. "
                "Give more recordings, or a smaller --batch-size."
            )
        return examples

    @functools.cached_property
    def validation(self):
        """The clips to validate on."""
        return features.fitting(features.plain(self.sayable("val"), self.symbols, self.config), self.config)[0]

    def sayable(self, split):
        """The utterances of a split that the symbols can write."""
        return [said for said in self.corpus.parts[split] if self.labels(said.text) is not None]

    def labels(self, text):
        """The symbols of a text, or None."""
        try:
            return self.symbols.encode(text)
        except InputError:
            return None


def data(config):
    """The clips of a configuration, in batches."""
    if config.embedded:
        features.encoder_of(config.encoder)  # a wrong one is refused before anything is read
    corpus = read_corpus(config)
    symbols = learnt([said.text for said in corpus.parts["train"]], config.symbols, config.vocabulary_size)
    content, targets = Content(config, corpus, symbols), criteria.Targets(config)

    def train(first_step):
        batches = features.batches(content.train, config, first_step)
        for step, (frames, labels) in enumerate(batches, first_step):
            yield frames, *targets(step, frames, labels)

    validation = features.Validation(lambda: content.validation, config.batch_size, targets)

    def measure(network, found):
        errors = total = 0
        for frames, labels in validation.plain:
            rates = np.asarray(network.predict_on_batch(frames)["logits"])
            ends = features.outputs(criteria.frame_counts(frames), config)
            for row, wanted, end in zip(rates, labels, ends):
                wanted = wanted[wanted >= 0].tolist()
                errors += Levenshtein.distance(_said(row[:end], config), wanted)
                total += len(wanted)
        return {"error_rate": errors / max(total, 1)}

    hours = {split: sum(said.clip.seconds for said in said_in) / 3600 for split, said_in in corpus.parts.items()}
    split = "; ".join(f"{name}: {len(corpus.parts[name])} clips, {count:.2f} h" for name, count in hours.items())
    summary = {
        "source": corpus.name,
        "sources": [list(row) for row in corpus.sources],
        "split": f"{split}. {len(symbols.names)} symbols: {config.symbols} and the blank.",
        "fingerprint": corpus.fingerprint,
    }
    return Data(train, validation, content, summary, measure, (targets,))


def _said(logits, config):
    """The labels of greedy decoding; of a classifier the one at the end."""
    if config.criterion == "classify":
        label = int(np.argmax(logits[len(logits) // 2 :].mean(axis=0)))
        return [label] if label else []
    path = np.argmax(logits, axis=1)
    return [int(label) for before, label in zip([-1, *path], path) if label not in (before, 0)]


def builder_arguments(config, data):
    """What `zoo.build` makes the configuration's model from."""
    separable = {"channels": config.channels, "blocks": config.depth, "kernel_size": config.kernel_size}
    recurrent = {"channels": config.channels, "units": config.units, "depth": config.depth}
    sizes = {
        "separable_recognizer": separable,
        EMBEDDED: separable,
        "streaming_deep_speech": recurrent,
        "deep_speech": recurrent,
        "tdnn_recognizer": {"channels": config.channels},
        "conformer": {"dimensions": config.channels, "blocks": config.depth, "kernel_size": config.kernel_size},
    }[config.model]
    if config.embedded:
        sizes["per_embedding"] = FRAMES_PER_EMBEDDING // config.stride
    else:
        sizes |= {"num_mels": features.front_end(config).options["bands"], "stride": config.stride}
    shared = {name: getattr(config, name) for name in ("masks", "dropout", "seed")}
    return {"symbols": len(data.content.symbols.names), **sizes, **shared}


def model(config, data):
    """The configuration's model, or its head on a pretrained encoder, compiled with its criterion."""
    network = zoo.build(config.model, **builder_arguments(config, data))
    schedule = WarmupCosine(config.learning_rate, config.steps)
    network.compile(
        keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay, clipnorm=1.0, **average(config)),
        loss={"logits": criteria.loss(config)},
    )
    return network


def finish(network, folder, config, data):
    """The model as it was trained; a head together with its encoder."""
    if not config.embedded:
        return network
    whole = zoo.build(config.builder, **builder_arguments(config, data))
    encoder.put_layers(whole, [features.encoder_of(config.encoder), network])
    return whole


def assets(data):
    """The symbols, a JSON list."""
    return {"symbols.json": json.dumps(data.content.symbols.names, ensure_ascii=False) + "\n"}


def export(network, folder, config, data):
    """Writes saved_model/, and device/ where the model streams; returns how far both are from Keras."""
    content, layer = data.content, features.front_end(config)
    drawn = _drawn(content)
    frames = [some.astype(np.float32) for some in features.plain(drawn[:CALIBRATED], content.symbols, config, False).frames]
    write_saved_model(folder / "saved_model", network, layer, "logits")
    hear, timed_ones = hearing(folder, "saved_model"), [said for said in drawn if said.spans][:TIMED]
    late = lateness(_boundaries([hear(said.clip.samples) for said in timed_ones], timed_ones, content, config))
    write_json(folder / "assets" / "lateness.json", late)
    loaded = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    offline = run_whole(network, frames[:COMPARED], "logits")
    saved = [loaded(frames=tf.constant(some[None]))["logits"].numpy()[0] for some in frames[:COMPARED]]
    figures = {"SavedModel against Keras": compare(np.concatenate(saved), np.concatenate(offline), 1e-3)}
    if not config.streams:
        return figures
    step, states = to_step_model(network, config.frames_per_step)
    recorded = record_steps(step, states, frames, "logits")
    float_file = convert(step)
    if config.model in ("separable_recognizer", EMBEDDED):
        int8_file = convert(step, [given for inputs, _ in recorded for given in inputs])
    else:  # states of recurrent layers would gather rounding
        int8_file = convert(step, int8_weights=True)
    description = {
        "kind": "recognizer",
        "name": content.corpus.name,
        "sample_rate": layer.options["sample_rate"],
        "front_end": layer.manifest(),
        "frames_per_step": config.frames_per_step,
        **decoding(content.symbols, config),
    }
    sources = "\n".join(f"- {text}" for _, text in content.corpus.sources)
    notices = {"NOTICE.md": NOTICE.format(sources=sources)}
    if config.embedded:
        notices["ENCODER.md"] = encoder.notice(config.encoder)
    write_device_folder(
        folder / "device",
        step,
        states,
        float_file=float_file,
        int8_file=int8_file,
        description=description,
        readme=README.format(name=content.corpus.name),
        notices=notices,
    )
    streamed = [logits for _, logits in recorded[:COMPARED]]
    expected = np.concatenate([whole[: len(some)] for whole, some in zip(offline, streamed)])
    figures["one-step Keras against the whole clip"] = compare(np.concatenate(streamed), expected, 1e-3)
    files = (("float TFLite against Keras", float_file, 1e-3), ("int8 TFLite against Keras", int8_file, 1.0))
    return {
        **figures,
        **compare_files(read_json(folder / "device" / "manifest.json"), files, frames[:COMPARED], "logits", expected),
    }


def evaluate_run(options):
    """Measures a run again, with a language model if one is given."""
    words = options.language_model and NGramModel.read_arpa(options.language_model)
    weights = {"weight": options.weight, "word_bonus": options.word_bonus}
    evaluate_test_data(TASK, options.run, language=words and (options.language_model.name, words, weights))


def evaluate(folder, config, data, language=None):
    """Greedy and beam search through the exported files on speakers that training never heard.

    language: (name, NGramModel, {weight, word_bonus}, None each where they are to be chosen) that beam search is also measured with.
    """
    content, table, boundaries, first = data.content, {}, {}, {}
    searches, late = _searches(folder, config, content, language), read_json(folder / "assets" / "lateness.json")
    for file in ("float", "int8") if config.streams else ("saved_model",):
        hear = hearing(folder, file)
        for split in content.corpus.tested:
            said = content.corpus.parts[split]
            bar = tqdm(said, desc=f"{split}, {LABELS[file]}", unit="clip", leave=False)
            heard = [timed(hear, utterance.clip.samples) for utterance in bar]
            for name, decoder in searches.items():
                searched = [timed(spoken, rates, decoder) for rates, _ in heard]
                texts = [text for text, _ in searched]
                first.setdefault(split, [(u, rates, text) for u, (rates, _), text in zip(said, heard, texts)])
                table[f"{split}, {name}, {LABELS[file]}"] = {
                    **_measured(said, texts, content),
                    "cpu_share": sum(cpu_s for _, cpu_s in [*heard, *searched]) / sum(u.clip.seconds for u in said),
                }
            if any(utterance.spans for utterance in said) and config.criterion != "classify":
                pairs = _boundaries([rates for rates, _ in heard], said, content, config, late)
                boundaries[f"{split}, {LABELS[file]}"] = scoring.boundary_errors(pairs)
    rows = [[u.clip.name, _wanted(u, content), text] for u, _, text in first["test"]]
    rows.sort(key=lambda row: shuffled(config.seed, row[0] + row[1]))
    longest = sorted(first["test"], key=lambda one: -len(one[0].text))
    pictures = filter(None, (_picture(u, rates, content, config) for u, rates, _ in longest))
    write_json(folder / "trellis.json", list(itertools.islice(pictures, PICTURED)))
    return {
        "table": table,
        "boundaries": boundaries,
        "samples": rows[:SHOWN],
        "worst": sorted(rows, key=lambda row: -Levenshtein.normalized_distance(row[1].split(), row[2].split()))[:SHOWN],
        "data": data.summary,
    }


def _picture(utterance, rates, content, config):
    """What a picture shows of an utterance; None where it is long, or cannot be aligned."""
    labels = content.labels(utterance.text) if utterance.clip.seconds < PICTURED_S else None
    spans = symbol_spans(rates, labels, content.symbols, config) if labels else None
    return spans and trellis(utterance.clip.samples, rates, content.symbols, labels, spans, config)


def _boundaries(heard, said, content, config, late=(0.0, 0.0)):
    """[(found, true)] spans of words of those utterances whose times are known. heard: log probabilities of each."""
    symbols = content.symbols
    pairs = [
        word_spans(rates, utterance, content.labels(utterance.text), symbols, config, late)
        for rates, utterance in zip(heard, said)
    ]
    return [pair for pair in pairs if pair]


def _measured(said, texts, content):
    """The figures of what was written of some utterances."""
    return {
        **scoring.scored([_wanted(utterance, content) for utterance in said], texts),
        "clips": len(said),
        "silent_clips": sum(not utterance.text for utterance in said),
        "wrongly_said": sum(not utterance.text and bool(text) for utterance, text in zip(said, texts)),
    }


def _searches(folder, config, content, language):
    """{name: Utterances} of how to decode. language: as `evaluate` takes it."""
    if config.criterion == "classify":
        if language:
            raise InputError(f"{folder} was taught to tell clips of one word apart; expected no language model.")
        return {"the last half": utterances(folder, config, "last")}
    beam, name = functools.partial(utterances, folder, config, "beam", width=config.width), f"beam {config.width}"
    searches = {"greedy": utterances(folder, config, "greedy"), name: beam()}
    if language:
        file, model_of_words, weights = language
        beam = functools.partial(beam, language_model=model_of_words)
        if None in weights.values():
            drawn = _drawn(content)[:WEIGHED]
            hear = hearing(folder, config.exact_file)
            weights = chosen(
                [hear(said.clip.samples) for said in drawn], [_wanted(said, content) for said in drawn], beam, **weights
            )
        described = f"weight {weights['weight']:g}, bonus {weights['word_bonus']:g}"
        searches[f"{name} with {file} ({described})"] = beam(**weights)
    return searches


def _drawn(content):
    """The utterances to validate on that the symbols can write, in an order of chance."""
    return sorted(content.sayable("val"), key=lambda said: shuffled(content.config.seed, said.clip.name + said.text))


def _wanted(utterance, content):
    """What a recogniser should write: the words, or their phonemes."""
    if content.symbols.kind != "phonemes":
        return utterance.text
    return " ".join(content.symbols.parts(utterance.text) or [])


def headline(metrics):
    """The error rates in a few lines."""
    lines = []
    for name, row in metrics["table"].items():
        if row["silent_clips"] == row["clips"]:
            lines.append(f"{name}: something is written in {row['wrongly_said']} of {row['clips']} clips without a word to write")
            continue
        words = row["words"]
        lines.append(
            f"{name}: {percent(words['score'], words['interval'])} of words wrong, {percent(row['exact'], row['interval'])} of clips right, "
            f"{row['cpu_share']:.3f} of real time"
        )
    for name, row in metrics["boundaries"].items():
        lines.append(
            f"word boundaries, {name}: {1000 * row['median_s']:.0f} ms off in the middle, 90% within {1000 * row['percentile_90_s']:.0f} ms"
        )
    return lines


def examples(metrics):
    """Some transcripts."""
    return [f"{reference or '(nothing)'}  ->  {text or '(nothing)'}" for _, reference, text in metrics["samples"][:5]]


def card(metrics):
    """The limits that a preset's card states."""
    return (
        "It writes the words that it was taught, and takes others for the nearest of them. Figures are for the recordings named above; other "
        "microphones, rooms and accents do worse.\n"
    )


def report(folder, config, data, metrics):
    """The sections of the HTML report."""
    rows = [("tested", "words wrong (95%)", "characters wrong", "clips right (95%)", "share of real time")]
    for name, row in metrics["table"].items():
        if row["silent_clips"] == row["clips"]:
            rows.append((name, f"something in {row['wrongly_said']} of {row['clips']}", "", "", f"{row['cpu_share']:.3f}"))
            continue
        words, characters = row["words"], row["characters"]
        rows.append(
            (
                name,
                percent(words["score"], words["interval"]),
                f"{100 * characters['score']:.1f}%",
                percent(row["exact"], row["interval"]),
                f"{row['cpu_share']:.3f}",
            )
        )
    times = [("tested", "median", "90% within", "late by", "boundaries")]
    for name, row in metrics["boundaries"].items():
        values = (f"{1000 * row[key]:.0f} ms" for key in ("median_s", "percentile_90_s", "late_s"))
        times.append((name, *values, row["boundaries"]))
    pictures = tuple(
        (
            trellis_figure(picture),
            "Above, the clip's frames; in the middle, how sure the network is of each symbol at each time; below, the likeliest path through what was "
            "said (the trellis), and the words under it.",
        )
        for picture in read_json(folder / "trellis.json")
    )
    head = ("clip", "said", "written")
    return [
        Section("Data", metrics["data"]["split"], rows=[("", ""), *metrics["data"]["sources"]]),
        Section(
            "Training",
            figures=(
                (history_figure(folder, ("loss", "val_loss")), "Loss by step."),
                (history_figure(folder, ("val_error_rate",)), "Share of symbols wrong, greedy decoding, by step."),
            ),
        ),
        Section("Test", "On speakers that training never heard, through the exported files.", rows=rows),
        *([Section("Word boundaries", rows=times)] if metrics["boundaries"] else []),
        Section("Alignment", figures=pictures),
        Section("Examples", rows=[head, *metrics["samples"]]),
        Section("Worst first", rows=[head, *metrics["worst"]]),
    ]


def next_commands(folder, config):
    """What a person would type next."""
    commands = [f"python -m apps speech-recognition transcribe --run {folder} --files RECORDING.wav"]
    if config.streams:
        commands.append(f"python -m apps speech-recognition transcribe --run {folder} --microphone")
    return [*commands, "python -m apps speech-recognition train --recordings MY_RECORDINGS --output run_mine"]
