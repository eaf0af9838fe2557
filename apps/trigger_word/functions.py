"""The trigger word task's functions: data, model, export, evaluation, report, listen."""

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

import zoo
from apps.data.audio import read_audio, write_audio
from apps.fit import WarmupCosine
from apps.run_folder import read_config, write_json
from apps.task import Data
from apps.trigger_word import device, evaluation, pictures
from apps.trigger_word.calibration import calibrate
from apps.trigger_word.config import TASK
from apps.trigger_word.recordings import SPLITS, gather, hours
from apps.trigger_word.scenes import Ingredients, Scenes
from apps.trigger_word.sound import backgrounds, room
from tflite.runtime import Detector
from tflite.runtime.randomness import Stream
from zoo.layers.audio import MelFrontEnd

STRIDE = {"tcn_trigger_word": 2, "conv_gru_trigger_word": 4}
VALIDATION_SCENES = 96
EXAMPLE_S = 60.0
RATES = (0.5, 1.0, 2.0, 5.0)
CHUNK = 1280  # samples that a microphone gives at a time, 80 ms
STREAM_SEEDS = {"val": 100, "test": 150}


def front_end(config):
    """The layer that turns samples into the model's frames."""
    return MelFrontEnd(compression=config.compression)


def score_s(config):
    """The time from one score to the next, seconds."""
    return STRIDE[config.model] * 0.01


def builder_arguments(config, data):
    """What `zoo.build` makes the configuration's model from."""
    common = {
        "num_mels": 40,
        "channels": config.channels,
        "dropout": config.dropout,
        "words": len(config.words),
        "seed": config.seed,
    }
    if config.model == "tcn_trigger_word":
        return {**common, "blocks": config.blocks}
    return {**common, "depth": min(config.blocks, 3)}


def data(config):
    """The recordings of a configuration, as scenes."""
    return data_from(gather(config), config)


def data_from(recordings, config, noises=None):
    """Recordings as training and validation scenes. noises: further (train, validation and test) backgrounds, float32 arrays."""
    ingredients = {}
    for number, split in enumerate(SPLITS):
        draw = Stream(config.seed, 1_000_000 + number)
        negatives = [clip.samples for clip in recordings.negatives[split]]
        ingredients[split] = Ingredients(
            [[clip.samples for clip in recordings.words[word][split]] for word in config.words],
            negatives,
            backgrounds(draw, negatives, 30 if split == "train" else 10) + list((noises or {}).get(split, [])),
            [room(draw) for _ in range(48)],
        )
    scenes = Scenes(ingredients["train"], config.seed + 1, config.scene_s, score_s(config), config.positive_share)
    held_out = Scenes(ingredients["val"], config.seed + 2, config.scene_s, score_s(config), config.positive_share)
    layer = front_end(config)

    def features(samples, labels, weights):
        return layer(samples), {"score": labels}, weights

    def read(scenes):
        def one(index):
            samples, labels, weights = tf.numpy_function(
                lambda i: scenes.scene(int(i)), [index], [tf.float32] * 3, stateful=False
            )
            samples.set_shape([scenes.length])
            labels.set_shape([scenes.scores, len(config.words)])
            weights.set_shape([scenes.scores])
            return samples, labels, weights

        return one

    def train(first_step):
        indices = tf.data.Dataset.range(first_step * config.batch_size, np.iinfo(np.int64).max)
        # deterministic=True: batches come in order whatever thread makes them
        batches = indices.map(read(scenes), num_parallel_calls=2, deterministic=True).batch(config.batch_size)
        return batches.map(features).prefetch(3)

    batch = min(config.batch_size, 32)
    validation = (
        tf.data.Dataset.range(VALIDATION_SCENES).map(read(held_out), num_parallel_calls=2).batch(batch).map(features).cache()
    )
    summary = {"sources": [list(line) for line in recordings.sources], "words": {}, "negatives": {}}
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
    return Data(train, validation, (recordings, ingredients), summary)


def model(config, data):
    """The configuration's model, compiled."""
    network = zoo.build(config.model, **builder_arguments(config, data))
    optimizer = keras.optimizers.AdamW(WarmupCosine(config.learning_rate, config.steps), weight_decay=0.01, clipnorm=1.0)
    network.compile(optimizer, loss={"score": keras.losses.BinaryCrossentropy()}, weighted_metrics=[])
    return network


def finish(network, folder, config, data):
    """Calibrates the scores, so that what is saved, exported and shipped is one model."""
    recordings, ingredients = data.content
    held_out = streams(recordings, ingredients["val"], config, "val", STREAM_SEEDS["val"])
    rate = config.target_false_accepts_per_hour
    found = calibrate(network, data.validation, held_out, front_end(config), score_s(config), rate)
    write_json(folder / "calibration.json", found)


def assets(data):
    """The words, one a line in the order of the scores."""
    return {"words.txt": "\n".join(data.content[0].words) + "\n"}


def export(network, folder, config, data):
    """Writes saved_model/ and device/ and proves that they agree; returns the parity figures."""
    recordings, ingredients = data.content
    calibration = device.calibration_streams(recordings, ingredients, config)
    return device.export(network, folder, config, front_end(config), calibration, recordings.sources)


def evaluate(folder, config, data):
    """Chooses the threshold on the validation streams, writes it into the manifest and scores the test streams."""
    recordings, ingredients = data.content
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
    shipped = {
        split: evaluation.summarise({**evaluation.count_at(rules, detector.score_s, *scored[split]), "threshold": threshold})
        for split in scored
    }
    rates = {}
    for rate in RATES:
        point = evaluation.at_rate(points["test"], rate)
        rates[f"{rate:g}"] = evaluation.summarise(point) if point else None
    example = _write_example(folder, recordings, ingredients["test"], config)
    int8 = device.compare_precisions(folder / "device", read_audio(folder / "example.wav"))
    return {
        "threshold": threshold,
        "target_false_accepts_per_hour": config.target_false_accepts_per_hour,
        "shipped": shipped,
        "missed_at_false_accepts_per_hour": rates,
        "curve": points["test"],
        "int8_against_float": int8,
        "data": data.summary,
        "example": example,
    }


def streams(recordings, ingredients, config, split, seed):
    """(word streams, other speech) of a split by condition."""
    draw = Stream(seed, 3)
    clips = [(w, clip.samples) for w, word in enumerate(config.words) for clip in recordings.words[word][split]]
    order = np.argsort(draw.array(len(clips)), kind="stable")
    words = evaluation.word_stream([clips[i] for i in order], seed)
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
    for name, missed in test["missed"].items():
        low, high = (100 * bound for bound in missed["interval"])
        lines.append(
            f"missed, {name}: {100 * missed['rate']:.1f}% ({low:.1f} to {high:.1f}; {missed['misses']} of {missed['words']})"
        )
    for rate, point in metrics["missed_at_false_accepts_per_hour"].items():
        if point and float(rate) == 1:
            cells = ", ".join(
                f"{name} {100 * m['rate']:.1f}% ({100 * m['interval'][0]:.1f} to {100 * m['interval'][1]:.1f})"
                for name, m in point["missed"].items()
            )
            lines.append(f"missed at <= {rate} false accepts an hour: {cells}")
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
    return (
        "Rendered voices are not people: figures on them say nothing about a real room.\n"
        if "bundled" in str(metrics["data"]["sources"])
        else ""
    ) + "The figures are of continuous audio; see metrics.json for the whole curve.\n"


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
