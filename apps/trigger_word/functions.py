"""The trigger word task's functions: data, model, export, evaluation, report, listen."""

import dataclasses
import functools

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

import zoo
from apps.config import read_json
from apps.data import encoder
from apps.data.audio import find_recordings, read_audio, write_audio
from apps.data.sound import RATE, backgrounds, recorded, room
from apps.fit import WarmupCosine
from apps.intervals import percent
from apps.run_folder import read_config, write_json
from apps.task import Data
from apps.train import evaluate_run as evaluate_test_data
from apps.train import train as train_run
from apps.trigger_word import checks, collecting, device, distillation, evaluation, labelled, pictures
from apps.trigger_word.bank import Bank, batches
from apps.trigger_word.calibration import calibrate, missed
from apps.trigger_word.config import TASK, Config
from apps.trigger_word.features import Features, features
from apps.trigger_word.recordings import SPLITS, Recordings, gather, hours, read_recordings
from apps.trigger_word.scenes import Ingredients, Scenes
from tflite.runtime import Detector
from tflite.runtime.__main__ import read_microphone
from tflite.runtime.randomness import Stream
from zoo.errors import InputError
from zoo.folders import new_folder
from zoo.losses.detection import DetectionCrossentropy

VALIDATION_SCENES = 96
OTHER_PASSES = 1.5  # how often the bank holds each hour of other speech
HARD = 100
ROOMS = 48
MASKED_FRAMES, MASKED_BANDS = 20, 10  # at most, each time
PAUSE_S = 0.8  # within a phrase of several words
EXAMPLE_S = 60.0
OFTEN = 10.0  # false accepts an hour that nobody wants all day
CHUNK = 1280  # samples that a microphone gives at a time, 80 ms
STREAM_SEEDS = {"val": 100, "test": 150}


@dataclasses.dataclass(frozen=True)
class Content:
    """What a detector is made of: recordings, ingredients by split, the features that it hears, its configuration."""

    recordings: Recordings
    ingredients: dict
    features: Features
    config: object

    @functools.cached_property
    def held_out(self):
        """The validation streams, words and other speech by condition: (stream, features) each."""
        parts = streams(self.recordings, self.ingredients["val"], self.config, "val", STREAM_SEEDS["val"])
        return [{name: (stream, self.features.of_stream(stream.samples)) for name, stream in part.items()} for part in parts]


def builder_arguments(config, data):
    """What `zoo.build` makes the configuration's detector from."""
    common = {"dropout": config.dropout, "words": len(config.words), "seed": config.seed}
    if config.size == "standard":
        return {**common, "units": config.channels}
    if config.size == "micro":
        base = _base(config.base)
        return {**common, "channels": base.get_layer("stage_3_block_1_mix").units} if base else common
    if config.model == "course_trigger_word":
        # as the notes have it, but for its linear spectrogram, which no front end of a device computes, and causal
        return {"num_bands": 40, "padding": "causal", "words": len(config.words), "seed": config.seed}
    common = {**common, "num_mels": 40, "channels": config.channels}
    return (
        {**common, "blocks": config.blocks} if config.model == "tcn_trigger_word" else {**common, "depth": min(config.blocks, 3)}
    )


def data(config):
    """The recordings of a configuration, as scenes."""
    features(config)  # a wrong encoder or base is refused before hours of speech are read
    if config.size == "micro":
        _base(config.base)
    return data_from(gather(config), config)


def data_from(recordings, config):
    """Recordings as training and validation scenes."""
    heard, ingredients = features(config), {}
    noises, rooms = recorded()
    for number, split in enumerate(SPLITS):
        draw = Stream(config.seed, 1_000_000 + number)
        negatives = [clip.samples for clip in recordings.negatives[split]]
        ingredients[split] = Ingredients(
            [[clip.samples for clip in recordings.words[word][split]] for word in config.words],
            negatives,
            backgrounds(draw, negatives, 30 if split == "train" else 10) + 2 * noises[split],
            [room(draw) for _ in range(ROOMS)] + rooms[split],
            _near(recordings) if split == "train" else (),
            pause_s=PAUSE_S if any(len(spelling.split()) > 1 for spelling in config.spellings) else 0.25,
        )
    content = Content(recordings, ingredients, heard, config)
    held_out = Scenes(ingredients["val"], config.seed + 2, config.scene_s, heard.score_s, config.positive_share)

    def measure(network, found):
        # a hundredth of the loss decides between models that miss the same
        return {
            "missed": missed(network, content.held_out, heard.score_s, config.target_false_accepts_per_hour) + found["loss"] / 100
        }

    samples = tf.data.Dataset.range(VALIDATION_SCENES).map(_reader(held_out, config), num_parallel_calls=2)
    validation = samples.batch(min(config.batch_size, 32)).map(lambda x, y: (heard.of_batch(x), {"score": y})).cache()
    train = _from_scenes(content) if config.size == "scratch" else _from_banks(content)
    return Data(train, validation, content, _summary(recordings, config), measure)


def _near(recordings):
    """What is to be told apart from the words: rendered near words, and what an earlier detector took for them, as often."""
    rendered, false = ([clip.samples for clip in clips] for clips in (recordings.near, recordings.false_accepts))
    return rendered + false * max(1, len(rendered) // max(len(false), 1))


def _reader(scenes, config):
    def read(index):
        samples, labels = tf.numpy_function(lambda i: scenes.scene(int(i)), [index], [tf.float32] * 2, stateful=False)
        samples.set_shape([scenes.length])
        labels.set_shape([scenes.scores, len(config.words)])
        return samples, labels

    return read


def _training_scenes(content, ingredients, seed, positive_share, **shares):
    config = content.config
    shares.update(near_share=config.near_share, clean=config.clean_share)
    return Scenes(ingredients, seed, config.scene_s, content.features.score_s, positive_share, **shares)


def _from_scenes(content):
    """Every batch of new scenes."""
    config, heard = content.config, content.features
    scenes = _training_scenes(content, content.ingredients["train"], config.seed + 1, config.positive_share)

    def train(first_step):
        indices = tf.data.Dataset.range(first_step * config.batch_size, np.iinfo(np.int64).max)
        # deterministic=True: batches come in order whatever thread makes them
        batches = indices.map(_reader(scenes, config), num_parallel_calls=2, deterministic=True).batch(config.batch_size)
        return batches.map(lambda x, y: (heard.of_batch(x), {"score": y})).prefetch(3)

    return train


def _from_banks(content):
    """Every batch half of scenes with words, half of other speech alone, drawn from two banks."""
    config, heard, train = content.config, content.features, content.ingredients["train"]
    words = _training_scenes(content, train, config.seed + 1, config.positive_share)
    # without words: the same bank serves every word
    wordless = dataclasses.replace(train, words=[[] for _ in config.words])
    other = _training_scenes(content, wordless, config.seed + 3, 0.0, part_share=0.0)
    speech_s = sum(len(samples) for samples in train.negatives) / 16000
    passes = max(config.batch_size, round(OTHER_PASSES * speech_s / config.scene_s))
    banks = (
        Bank(words, config.scenes, heard, "scenes with words"),
        Bank(other, passes, heard, "scenes of other speech"),
    )

    def batch(step):
        draw = Stream(config.seed + 4, int(step))
        counts = (config.batch_size - config.batch_size // 2, config.batch_size // 2)
        rows = [bank.drawn(draw, count) for bank, count in zip(banks, counts)]
        x, y = (np.concatenate(parts) for parts in zip(*rows))
        return (x if heard.encoder else masked(x, draw, config.masks)), y

    def train_from(first_step):
        for bank in banks:
            bank.make()
        return batches(batch, "score", first_step)

    return train_from


def masked(frames, draw, count):
    """Mel frames (batch, time, bands) with `count` stretches of time, and of bands, at the row's mean (SpecAugment: Park et al. 2019, arXiv:1904.08779)."""
    batch, size = len(frames), frames.shape[1:]
    mean = frames.mean(axis=(1, 2), keepdims=True)
    for axis, most in ((0, MASKED_FRAMES), (1, MASKED_BANDS)) * count:
        width = np.floor(draw.array(batch) * (most + 1))
        start = np.floor(draw.array(batch) * (size[axis] - width + 1))
        place = np.arange(size[axis])
        hidden = (place >= start[:, None]) & (place < (start + width)[:, None])
        frames = np.where(np.expand_dims(hidden, 2 - axis), mean, frames)
    return frames


def _summary(recordings, config):
    summary = {"sources": [list(line) for line in recordings.sources], "words": {}, "negatives": {}}
    summary["fingerprint"] = {split: recordings.fingerprint(split) for split in SPLITS}
    for word in config.words:
        summary["words"][word] = {split: len(recordings.words[word][split]) for split in SPLITS}
    summary["negatives"] = {
        split: {
            "hours": round(hours(recordings.negatives[split]), 3),
            "clips": len(recordings.negatives[split]),
            "speakers": len({c.speaker for c in recordings.negatives[split]} - {""}),
        }
        for split in SPLITS
    }
    return summary


def model(config, data):
    """What the configuration trains, compiled: the detector, or the head of one whose encoder stays as it is."""
    network = zoo.build(
        "embedding_trigger_word" if config.size == "standard" else config.builder, **builder_arguments(config, data)
    )
    if config.size == "micro" and (base := _base(config.base)):
        encoder.put_layers(network, [base], but=("score",))
    optimizer = keras.optimizers.AdamW(WarmupCosine(config.learning_rate, config.steps), weight_decay=0.01, clipnorm=1.0)
    network.compile(optimizer, loss={"score": DetectionCrossentropy(HARD)})
    return network


@functools.lru_cache(1)
def _base(name):
    """The model that the size micro starts from; None for random weights."""
    return None if name == "none" else encoder.pretrained("base", name, distillation.STUDENTS["micro"].builder, "'none'")


def finish(network, folder, config, data):
    """The detector to save: scores calibrated, head and encoder joined; so what is saved, exported and shipped is one model."""
    content, rate = data.content, config.target_false_accepts_per_hour
    found = calibrate(network, data.validation, content.held_out, content.features.score_s, rate)
    write_json(folder / "calibration.json", found)
    if not content.features.encoder:
        return network
    whole = zoo.build(config.builder, **builder_arguments(config, data))
    encoder.put_layers(whole, [content.features.encoder, network])
    return whole


def assets(data):
    """The words, one a line in the order of the scores."""
    return {"words.txt": "\n".join(data.content.recordings.words) + "\n"}


def export(network, folder, config, data):
    """Writes saved_model/ and device/ and proves that they agree; returns the parity figures."""
    content = data.content
    calibration = device.calibration_streams(content.recordings, content.ingredients, config)
    notices = {"ENCODER.md": encoder.notice(config.encoder)} if content.features.encoder else {}
    return device.export(network, folder, config, content.features.layer, calibration, content.recordings.sources, notices)


def evaluate(folder, config, data):
    """Chooses the threshold on the validation streams, writes it into the manifest and scores the test streams."""
    recordings, ingredients = data.content.recordings, data.content.ingredients
    detector = Detector(folder / "device")
    points, scored = {}, {}
    for split, seed in STREAM_SEEDS.items():
        words, speech = streams(recordings, ingredients[split], config, split, seed)
        scored[split] = (
            evaluation.score_streams(detector, words, f"scoring words, {split}"),
            evaluation.score_streams(detector, speech, f"scoring other speech, {split}"),
        )
        points[split] = evaluation.sweep(detector.rules, detector.score_s, *scored[split])
    threshold = evaluation.choose_threshold(points["val"], config.target_false_accepts_per_hour)
    device.set_threshold(folder / "device", threshold)
    rules = evaluation.at_threshold(detector.rules, threshold)
    small = Detector(folder / "device", "int8")
    scored["int8"] = tuple(
        evaluation.score_streams(small, {name: stream for name, (stream, _) in part.items()}, "scoring with int8")
        for part in scored["test"]
    )
    shipped = {
        split: evaluation.summarise({**evaluation.count_at(rules, detector.score_s, *scored[split]), "threshold": threshold})
        for split in scored
    }
    each = {}
    for index, word in enumerate(config.words if len(config.words) > 1 else ()):
        alone = [evaluation.of_word(part, index) for part in scored["test"]]
        each[word] = evaluation.summarise(evaluation.count_at(rules[index : index + 1], detector.score_s, *alone))
    rates = {}
    for rate in evaluation.RATES:
        point = evaluation.at_rate(points["test"], rate)
        rates[f"{rate:g}"] = evaluation.summarise(point) if point else None
    example = _write_example(folder, recordings, ingredients["test"], config)
    agreement = device.compare_precisions(folder / "device", read_audio(folder / "example.wav"))
    return {
        "threshold": threshold,
        "target_false_accepts_per_hour": config.target_false_accepts_per_hour,
        "shipped": shipped,
        "each_word": each,
        "missed_at_false_accepts_per_hour": rates,
        "curve": points["test"],
        "int8_against_float": agreement,
        "data": data.summary,
        "example": example,
    }


def streams(recordings, ingredients, config, split, seed):
    """(word streams, other speech) of a split by condition."""
    draw = Stream(seed, 3)
    clips = [(w, clip.samples) for w, word in enumerate(config.words) for clip in recordings.words[word][split]]
    order = np.argsort(draw.array(len(clips)), kind="stable")
    words = evaluation.word_stream([clips[i] for i in order], seed, pause_s=ingredients.pause_s)
    speech = evaluation.speech_stream([clip.samples for clip in recordings.negatives[split]], seed + 1)
    noises = ingredients.noises
    return evaluation.conditions(words, noises, seed + 10), evaluation.conditions(speech, noises, seed + 20)


def _write_example(folder, recordings, ingredients, config):
    """A recording of about a minute for the report and the first try: words and other speech in turn, at 10 dB."""
    draw = Stream(config.seed, 4)
    clips, length = [], 0.0
    while length < EXAMPLE_S:
        word = draw.integer(len(config.words))
        chosen = draw.choice(recordings.words[config.words[word]]["test"]) if draw.chance(0.5) else None
        other = draw.choice(recordings.negatives["test"]).samples[: 4 * 16000]
        clips.append((word, chosen.samples) if chosen else (-1, other))
        length += len(clips[-1][1]) / 16000 + 1.0
    stream = evaluation.word_stream(clips, config.seed, gap_s=(0.6, 1.4))
    noisy = evaluation.in_noise(stream, ingredients.noises, 10.0, config.seed)
    write_audio(folder / "example.wav", np.clip(noisy.samples, -1, 1))
    samples, detector = read_audio(folder / "example.wav"), Detector(folder / "device")
    found = [detection for start in range(0, len(samples), CHUNK) for detection in detector.push(samples[start : start + CHUNK])]
    return {
        "words": [[config.words[w], a, b] for w, a, b in noisy.words if w >= 0],
        "seconds": len(samples) / 16000,
        "detections": [[d.word, round(d.time_s, 2), round(d.score, 3)] for d in found],
    }


def headline(metrics):
    """The result in a few lines."""
    test = metrics["shipped"]["test"]
    accepts = test["false_accepts"]
    lines = [
        f"threshold {metrics['threshold']:.3f}, from validation; on the test streams:",
        f"{accepts['per_hour']:.2f} false accepts an hour ({accepts['interval'][0]:.2f} to {accepts['interval'][1]:.2f}; "
        f"{accepts['count']} in {accepts['hours']:.2f} h: {accepts['distinct_hours']:.2f} h of speech, heard clean and in noise)",
    ]
    allowed = evaluation.poisson(0, accepts["distinct_hours"])[1]
    wanted = metrics["target_false_accepts_per_hour"]
    if allowed > wanted:
        needed = evaluation.poisson(0, 1.0)[1] / max(wanted, 1e-9)
        lines.append(
            f"that is too little speech to claim {wanted:g} an hour: even none in it would allow {allowed:.1f}; none in {needed:.0f} h would show it"
        )
    for name, figure in test["missed"].items():
        low, high = (100 * bound for bound in figure["interval"])
        lines.append(
            f"missed, {name}: {100 * figure['rate']:.1f}% ({low:.1f} to {high:.1f}; {figure['misses']} of {figure['words']})"
        )
    for rate, point in metrics["missed_at_false_accepts_per_hour"].items():
        if point and float(rate) == 1:
            cells = ", ".join(f"{name} {percent(figure['rate'], figure['interval'])}" for name, figure in point["missed"].items())
            lines.append(f"missed at <= {rate} false accepts an hour: {cells}")
    for word, alone in metrics.get("each_word", {}).items():  # none in a run of an earlier release
        cells = " / ".join(f"{100 * figure['rate']:.1f}" for figure in alone["missed"].values())
        lines.append(
            f"{word}: {cells}% missed ({' / '.join(alone['missed'])}), {alone['false_accepts']['per_hour']:.1f} false accepts an hour"
        )
    return lines


def examples(metrics):
    """What the detector did on the example recording, a line for each firing."""
    example = metrics["example"]
    seconds, said = example["seconds"], len(example["words"])
    lines = [f"example.wav, {seconds:.0f} s at 10 dB, through the TFLite file: the word was said {said} times; it fired at"]
    for word, time_s, score in example["detections"]:
        lines.append(f"  {time_s:6.2f} s  {word}  score {score:.2f}  {_verdict(word, time_s, example['words'])}")
    return lines


def _verdict(word, time_s, said):
    span = next((span for span in said if span[0] == word and span[1] <= time_s <= span[2] + evaluation.LATE_S), None)
    return f"(said from {span[1]:.2f} to {span[2]:.2f})" if span else "(falsely)"


def card(metrics):
    """The limits that a preset's card states."""
    limits = "The figures are of continuous audio; see metrics.json for the whole curve.\n"
    if "bundled" in str(metrics["data"]["sources"]):
        limits = "Rendered voices are not people: figures on them say nothing about a real room.\n" + limits
    if metrics["shipped"]["test"]["false_accepts"]["per_hour"] > OFTEN:
        limits += "It fires falsely too often to listen all day: for the seconds after a wake word, or at a higher threshold.\n"
    return limits


def report(folder, config, data, metrics):
    """The sections of the HTML report."""
    return pictures.sections(folder, config, metrics)


def next_commands(folder, config):
    """What a person would type next."""
    return [
        f"python -m tflite.runtime {folder}/device {folder}/example.wav",
        "python -m apps trigger-word train --recordings MY_WORD --words my_word --output run_mine",
        f"python -m tflite.runtime {folder}/device --microphone",
    ]


def collect(options):
    """Records takes of a word from the microphone."""
    microphone = read_microphone(RATE)
    kept = collecting.collect(options.output, options.word, options.speaker, options.takes, options.seconds, microphone)
    tqdm.write(f"{len(kept)} takes in {options.output}; next: python -m apps trigger-word check --recordings {options.output}")


def check(options):
    """Prints what is odd about recordings, and writes the cut words where a folder is given."""
    if options.cut and options.cut.exists():
        raise InputError(f"`cut` is {options.cut}, which is there already; expected a new folder. Give another one.")
    clips = read_recordings(options.recordings)
    found = checks.look_over(clips, features(Config()))
    if options.cut:
        with new_folder(options.cut) as folder:
            for clip, row in zip(clips, found):
                path = (folder / clip.name).with_suffix(".wav")
                path.parent.mkdir(parents=True, exist_ok=True)
                write_audio(path, clip.samples[round(row["start"] * 16000) : round(row["end"] * 16000)] / 32768)
    odd = [row for row in found if row["notes"]]
    length, level = (np.median([row[key] for row in found]) for key in ("seconds", "level_db"))
    words = [row["end"] - row["start"] for row in found]
    tqdm.write(
        f"{len(found)} recordings of {length:.2f} s, cut to {np.median(words):.2f} s ({min(words):.2f} to {max(words):.2f}); "
        f"level {level:.0f} dB (medians)"
    )
    for row in sorted(odd, key=lambda row: row["agreement"]):
        tqdm.write(f"  {row['name']}, {row['start']:.2f} to {row['end']:.2f} s: {'; '.join(row['notes'])}")
    tqdm.write(f"listen to these {len(odd)}; remove or record again what is not the word" if odd else "nothing odd was found")


def distil(options):
    """Trains what the size standard or micro starts from."""
    distillation.distil(options)


def evaluate_run(options):
    """Measures a run again, or its detector on a labelled recording."""
    if options.stream is None:
        evaluate_test_data(TASK, options.run)
        return
    read_config(options.run, TASK)
    found = labelled.score(options.run / "device", options.stream, options.labels, options.precision)
    if options.output:
        write_json(options.output, found)
    for line in labelled.lines(found):
        tqdm.write(line)


def improve(options):
    """Trains again with what a detector got wrong; the test data stay the same."""
    before = read_config(options.run, TASK)
    changed = {}
    for name in ("false_accepts", "misses"):
        folder = getattr(options, name)
        if folder is not None:
            find_recordings(folder)  # a wrong one is refused before anything is written
            changed[name] = (*getattr(before, name), folder)
    if options.output.resolve() == options.run.resolve():
        raise InputError(f"`output` is {options.output}, the run itself; expected another folder, so that both can be compared.")
    old = read_json(options.run / "metrics.json")
    train_run(TASK, dataclasses.replace(before, **changed), options.output)
    new = read_json(options.output / "metrics.json")
    if old["data"].get("fingerprint", {}).get("test") != new["data"]["fingerprint"]["test"]:
        tqdm.write(
            "the test data are not those of the run before (other data sets are within reach now): the columns differ in more than the training"
        )
    tqdm.write(f"\n{'on the test streams':32} {'before':>10} {'after':>10}")
    for name, pick in _comparison(old):
        tqdm.write(f"{name:32} {pick(old):>10} {pick(new):>10}")


def _comparison(metrics):
    """(name, how to read it off metrics) of the figures that show what a change bought."""

    def cell(point, name):
        return f"{100 * point['missed'][name]['rate']:.1f}%" if point else "not reached"

    test = metrics["shipped"]["test"]
    rows = [("shipped: false accepts an hour", lambda m: f"{m['shipped']['test']['false_accepts']['per_hour']:.2f}")]
    for name in test["missed"]:
        rows.append((f"shipped: missed, {name}", lambda m, name=name: cell(m["shipped"]["test"], name)))
        rows.append(
            (f"<= 1 an hour: missed, {name}", lambda m, name=name: cell(m["missed_at_false_accepts_per_hour"]["1"], name))
        )
    return rows


def listen(options):
    """Prints the detections in recordings."""
    read_config(options.run, TASK)
    detector = Detector(options.run / "device", options.precision)
    for path in options.files:
        detector.reset()
        samples = read_audio(path, detector.sample_rate)
        found = detector.push(samples)
        for detection in found:
            tqdm.write(f"{path}\t{detection.time_s:9.2f} s\t{detection.word}\t{detection.score:.3f}")
        if not found:
            tqdm.write(f"{path}\tnothing detected in {len(samples) / detector.sample_rate:.1f} s")
