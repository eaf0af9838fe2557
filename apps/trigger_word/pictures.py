"""The trigger word's report: tables and figures from a run folder."""

import numpy as np

from apps.config import read_json
from apps.data.audio import read_audio
from apps.report import COLOURS, GREY, Section, figure, history_figure, svg
from apps.trigger_word.evaluation import CONDITIONS, poisson, wilson
from tflite.runtime import Detector, FrontEnd


def outcome(config, metrics):
    """The first section: what the detector misses, how often it fires falsely, and what the figures mean."""
    test, target = metrics["shipped"]["test"], metrics["target_false_accepts_per_hour"]
    accepts = test["false_accepts"]
    words = ", ".join(repr(word) for word in config.words)
    clean = test["missed"]["clean"]
    low, high = accepts["interval"]
    lead = (
        f"A detector of {words}. Of words that it never heard it misses {percent(clean['rate'])} in quiet ({interval(clean['interval'])}). "
        f"It fires falsely {accepts['per_hour']:.2f} times an hour ({low:.2f} to {high:.2f}) on {accepts['distinct_hours']:.1f} hours of "
        "other speech, heard clean and in noise."
    )
    note = (
        f"The threshold {metrics['threshold']:.3f} was chosen on the validation streams to keep to {target:g} false accepts an hour; the test streams had no part in it. "
        "Intervals are 95%: Wilson for misses, Poisson for false accepts (none in one hour still allows 3.7).\n"
        "The same speech is heard clean and in noise. The pooled rate counts every hearing; its interval is as wide as if they told no "
        f"more than one. In the streams of words it fired {test['other_firings_in_word_streams']} times elsewhere than on a word."
    )
    return Section("What came out", lead, rows=shipped_rows(metrics), note=note)


def sections(folder, config, metrics):
    """The report's sections, in the order a reader asks."""
    return [
        outcome(config, metrics),
        *([Section("Each word", rows=word_rows(metrics))] if metrics.get("each_word") else []),
        Section(
            "Misses against false accepts",
            figures=(
                (
                    curve_figure(metrics),
                    "Each point is one threshold on the test streams; bands are 95% intervals; the dot is the threshold that ships.",
                ),
            ),
            rows=rate_rows(metrics),
            note="Read off the test curve: one threshold for all conditions, false accepts pooled over clean and noisy speech.",
        ),
        Section(
            "A recording, heard by the exported file",
            figures=(
                (
                    recording_figure(folder, config, metrics),
                    "Waveform, spectrogram, and score with threshold; shaded: where a word was said; marked: where the detector fired.",
                ),
            ),
            note="example.wav in the run folder, at 10 dB. Try it: python -m tflite.runtime "
            + f"{folder}/device {folder}/example.wav",
        ),
        Section(
            "Data",
            rows=data_rows(metrics),
            note="\n".join(text for _, text in metrics["data"]["sources"]) + "\nHours are of distinct audio.",
        ),
        Section(
            "Training",
            figures=(
                (
                    history_figure(folder, ("loss", "val_loss")),
                    "Cross-entropy of a score, on training scenes and on held-out ones.",
                ),
            ),
        ),
        Section("The exported files", rows=parity_rows(folder, metrics)),
    ]


def percent(rate):
    return f"{100 * rate:.1f}%"


def interval(pair):
    return f"{percent(pair[0])} to {percent(pair[1])}"


def word_rows(metrics):
    """What each word of several misses at the shipped threshold, and how often it fires falsely, at other words too."""
    each = metrics["each_word"]
    names = list(next(iter(each.values()))["missed"])
    rows = [("word", *(f"missed, {name}" for name in names), "false accepts an hour", "fired at other words")]
    for word, figures in each.items():
        accepts = figures["false_accepts"]
        missed = (percent(figures["missed"][name]["rate"]) for name in names)
        rows.append((word, *missed, f"{accepts['per_hour']:.2f}", figures["other_firings_in_word_streams"]))
    return rows


def shipped_rows(metrics):
    rows = [("", "missed", "95% interval", "false accepts an hour", "95% interval")]
    for split, name in (("test", "test"), ("int8", "test, int8 file"), ("val", "validation")):
        if split not in metrics["shipped"]:  # a run of an earlier release
            continue
        point = metrics["shipped"][split]
        accepts = point["false_accepts"]
        hours = accepts["hours"] / len(CONDITIONS)
        for condition, missed in point["missed"].items():
            count = accepts["by_condition"][condition]
            low, high = poisson(count, hours)
            rows.append(
                (
                    f"{name}, {condition}",
                    f"{percent(missed['rate'])} ({missed['misses']} of {missed['words']})",
                    interval(missed["interval"]),
                    f"{count / hours:.2f} ({count} in {hours:.2f} h)",
                    f"{low:.2f} to {high:.2f}",
                )
            )
    return rows


def rate_rows(metrics):
    rows = [("at most so many false accepts an hour", *(f"missed, {name}" for name, _ in CONDITIONS), "threshold")]
    for rate, point in metrics["missed_at_false_accepts_per_hour"].items():
        if point:
            cells = [f"{percent(m['rate'])} ({interval(m['interval'])})" for m in point["missed"].values()]
            rows.append((rate, *cells, f"{point['threshold']:.3f}"))
        else:
            rows.append((rate, *("not reached" for _ in CONDITIONS), ""))
    return rows


def data_rows(metrics):
    rows = [("", "train", "validation", "test")]
    for word, counts in metrics["data"]["words"].items():
        rows.append((f"recordings of {word!r}", counts["train"], counts["val"], counts["test"]))
    negatives = metrics["data"]["negatives"]
    rows.append(("other speech, hours", *(f"{negatives[split]['hours']:.2f}" for split in ("train", "val", "test"))))
    rows.append(("its known speakers", *(negatives[split]["speakers"] or "unknown" for split in ("train", "val", "test"))))
    return rows


def parity_rows(folder, metrics):
    rows = [("", "largest difference", "mean", "within tolerance")]
    rows += [
        (name, f"{f['largest']:.1e}", f"{f['mean']:.1e}", f"{100 * f['within']:.2f}% within {f['tolerance']:g}")
        for name, f in read_json(folder / "parity.json").items()
    ]
    int8 = metrics["int8_against_float"]
    same = (
        f"the same {int8['detections']} detections, at most {int8['largest_time_difference_s']:.2f} s apart"
        if int8["same_detections"]
        else "other detections"
    )
    scores = int8["scores"]
    rows.append(
        (
            f"int8 against float, {int8['seconds']:.0f} s of test recordings",
            f"{scores['largest']:.1e}",
            f"{scores['mean']:.1e}",
            f"{100 * scores['within']:.2f}% within {scores['tolerance']:g}, {same}",
        )
    )
    for precision, file in read_json(folder / "device" / "manifest.json")["files"].items():
        rows.append(
            (
                f"{file['name']} ({precision})",
                f"{file['bytes'] / 1000:.0f} kB",
                f"{len(file['operations'])} operations",
                ", ".join(o.split(":")[0] for o in file["operations"]),
            )
        )
    return rows


def curve_figure(metrics):
    drawing, axes = figure(height=3.8)
    points = metrics["curve"]
    for colour, (name, _) in zip(COLOURS, CONDITIONS):
        rate = np.array([p["false_accepts"] / p["hours"] for p in points])
        missed = np.array([100 * p["misses"][name] / p["words"][name] for p in points])
        bands = np.array([wilson(p["misses"][name], p["words"][name]) for p in points]) * 100
        shown = np.maximum(rate, 0.05)  # a logarithmic axis has no zero
        axes.plot(shown, missed, color=colour, label=name)
        axes.fill_between(shown, bands[:, 0], bands[:, 1], color=colour, alpha=0.15, linewidth=0)
        test = metrics["shipped"]["test"]
        axes.plot(max(test["false_accepts"]["per_hour"], 0.05), 100 * test["missed"][name]["rate"], "o", color=colour)
    low, high = (max(x, 0.05) for x in metrics["shipped"]["test"]["false_accepts"]["interval"])
    axes.axvspan(low, high, color=GREY, alpha=0.1, linewidth=0)
    axes.set_xscale("log")
    axes.set_xlim(0.05, 100)
    axes.set_ylim(0, 100)
    axes.set_xlabel("false accepts an hour (at the left edge: none)")
    axes.set_ylabel("missed, %")
    axes.legend()
    return svg(drawing)


def recording_figure(folder, config, metrics):
    detector = Detector(folder / "device")
    samples = read_audio(folder / "example.wav", detector.sample_rate)
    times, scores = detector.scores(samples)
    found = detector.push(samples)
    drawing, (wave, spectrum, score) = figure(width=11.0, height=6.0, panels=3, ratios=(1, 1.6, 1.4))
    coarse = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    seconds = np.arange(len(coarse)) / 100
    wave.fill_between(seconds, coarse.min(1), coarse.max(1), color=COLOURS[0], linewidth=0)
    wave.set_ylabel("waveform")
    front_end = {**detector.manifest["front_end"], "compression": "log", "log": {"floor": 1e-5}}
    frames = FrontEnd(front_end, detector.sample_rate).push(samples)
    frames = frames[: len(frames) // 4 * 4].reshape(-1, 4, frames.shape[1]).mean(1)
    spectrum.imshow(
        frames.T,
        origin="lower",
        aspect="auto",
        extent=(0, len(samples) / detector.sample_rate, 0, frames.shape[1]),
        cmap="viridis",
        interpolation="nearest",
    )
    spectrum.set_ylabel("mel band")
    for index, word in enumerate(config.words):
        score.plot(times, scores[:, index], color=COLOURS[index % len(COLOURS)], linewidth=1, label=word)
    score.axhline(
        metrics["threshold"], color=COLOURS[3], linestyle="--", linewidth=1, label=f"threshold {metrics['threshold']:.2f}"
    )
    for _, start, end in metrics["example"]["words"]:
        for axes in (wave, score):
            axes.axvspan(start, end, color=COLOURS[2], alpha=0.25, linewidth=0)
    for detection in found:
        score.plot(detection.time_s, 1.06, "v", color=COLOURS[1], clip_on=False)
    score.set_ylim(0, 1.1)
    score.set_ylabel("score")
    score.set_xlabel("seconds")
    score.legend(loc="upper left", ncols=3)
    return svg(drawing)
