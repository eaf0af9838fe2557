"""The picture of a recognition: frames, symbols at each time, the path through the trellis, the words."""

import numpy as np

from apps.report import COLOURS, GREY, figure, svg
from apps.speech_recognition import features
from apps.speech_recognition.alignment import frame_s, grouped
from tflite.runtime.front_end import FrontEnd

LIKELY = 0.2  # a symbol that is never likelier has no row in the picture
MOST = 24  # rows of symbols


def trellis(samples, rates, symbols, labels, spans, config):
    """What `trellis_figure` draws, JSON-able. rates: (frames, symbols) log probabilities. labels: what is said. spans: of each label."""
    chances = np.exp(rates)
    likely = [i for i in np.argsort(-chances.max(axis=0)) if i and (i in labels or chances[:, i].max() > LIKELY)][:MOST]
    rows = [0, *sorted(likely)]
    frames = FrontEnd(features.front_end(config).manifest(), features.RATE).push(features.with_tail(samples))
    return {
        "frames": np.round(frames, 2).tolist(),
        "shift_s": features.front_end(config).options["shift"] / features.RATE,
        "frame_s": frame_s(config),
        "symbols": [symbols.names[i] or "blank" for i in rows],
        "chances": np.round(chances[:, rows], 3).tolist(),
        "labels": [symbols.names[i] for i in labels],
        "of_labels": np.round(chances[:, labels], 3).tolist(),
        "spans": [(span.start_s, span.end_s) for span in spans],
        "words": [(word.text, word.start_s, word.end_s) for word in grouped(spans, symbols)],
    }


def trellis_figure(found):
    """Three panels over time as SVG: the frames, each symbol's probability, and the trellis with its path and words."""
    symbols, labels = (["\u2423" if name == " " else name for name in found[key]] for key in ("symbols", "labels"))
    heights = [1.1, 0.5 + 0.17 * len(symbols), 0.8 + 0.17 * len(labels)]
    drawing, (top, middle, bottom) = figure(height=sum(heights) + 0.4, panels=3, ratios=heights)
    from matplotlib.colors import LinearSegmentedColormap

    # transparent where nothing is, so that it stands on both backgrounds
    shades = LinearSegmentedColormap.from_list("likely", [(0.165, 0.47, 0.785, 0.0), (0.165, 0.47, 0.785, 1.0)])
    frames, chances = np.array(found["frames"]).T, np.array(found["chances"]).T
    end, said_until = frames.shape[1] * found["shift_s"], chances.shape[1] * found["frame_s"]
    options = {"aspect": "auto", "interpolation": "nearest", "cmap": shades}
    top.imshow(frames, origin="lower", extent=(0, end, 0, len(frames)), vmin=0.0, vmax=np.percentile(frames, 99), **options)
    top.set_ylabel("mel band")
    middle.imshow(chances, extent=(0, said_until, len(symbols) - 0.5, -0.5), vmin=0.0, vmax=1.0, **options)
    middle.set_yticks(range(len(symbols)), symbols, parse_math=False)
    middle.set_ylabel("symbol")
    of_labels = np.array(found["of_labels"]).T.reshape(len(labels), -1)
    bottom.imshow(of_labels, extent=(0, said_until, len(labels) - 0.5, -0.5), vmin=0.0, vmax=1.0, **options)
    bottom.set_yticks(range(len(labels)), labels, parse_math=False)
    bottom.set_ylabel("what is said")
    steps = [(time, place) for place, span in enumerate(found["spans"]) for time in span]
    if steps:
        bottom.plot(*zip(*steps), color=COLOURS[1], linewidth=1.5)
    for index, (text, start, stop) in enumerate(found["words"]):
        for panel in (top, middle, bottom):
            panel.axvspan(start, stop, color=COLOURS[2 + index % 2], alpha=0.12, linewidth=0)
        bottom.text(
            (start + stop) / 2, len(labels) - 0.4, text, ha="center", va="top", color=GREY, clip_on=False, parse_math=False
        )
    bottom.set_ylim(len(labels) + 0.3, -0.5)
    bottom.set_xlabel("seconds")
    bottom.set_xlim(0, end)
    return svg(drawing)
