"""Pictures of what each written token looked at."""

import numpy as np

from apps.report import GREY, figure, svg
from apps.translation.pairs import encoded_pair
from tflite.runtime.text import SPACE


def alignment(network, source_tokenizer, target_tokenizer, source, target):
    """What a model looks at as it writes a given target: {'source', 'target': tokens, 'weights': rows, one a target token}, or None.

    Only models with attention have it.
    """
    read, written = encoded_pair(source_tokenizer, target_tokenizer, source, target)
    memory = network.get_layer("encoder")(read[None], training=False)
    weights = network.get_layer("decoder").decode(written[None, :-1], memory)[1]
    if weights is None:
        return None
    sides = {"source": (read[:-1], source_tokenizer), "target": (written[1:-1], target_tokenizer)}
    shown = {side: [shown_token(tokenizer, token) for token in tokens] for side, (tokens, tokenizer) in sides.items()}
    shown = {side: [*tokens, "\u220e"] for side, tokens in shown.items()}
    return {**shown, "weights": np.round(np.asarray(weights)[0], 3).tolist()}


def shown_token(tokenizer, token):
    """A token as an axis shows it."""
    text = tokenizer.vocabulary[token]
    return {" ": "\u2423"}.get(text, text.replace(SPACE, ""))


def alignment_figure(found):
    """The matrix of an alignment as SVG: source along the top, target down the side, the darker the more it was looked at."""
    source, target = found["source"], found["target"]
    drawing, axes = figure(width=1.2 + 0.28 * len(source) + 0.06 * max(map(len, target)), height=0.9 + 0.28 * len(target))
    from matplotlib.colors import LinearSegmentedColormap

    # transparent where nothing was looked at, so that it stands on both backgrounds
    shades = LinearSegmentedColormap.from_list("looked at", [(0.165, 0.47, 0.785, 0.0), (0.165, 0.47, 0.785, 1.0)])
    axes.imshow(found["weights"], cmap=shades, vmin=0.0, vmax=1.0, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(source)), source, rotation=90 if max(map(len, source)) > 2 else 0, parse_math=False)
    axes.set_yticks(range(len(target)), target, parse_math=False)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY, linewidth=0.5)
    return svg(drawing)
