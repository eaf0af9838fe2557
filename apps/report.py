"""The HTML report: one self-contained file, figures as inline SVG, nothing loaded, light and dark."""

import csv
import dataclasses
import html
import io

from apps.run_folder import write_text

# the palette's colours stand on both backgrounds
COLOURS = ("#2a78c8", "#d9822b", "#2e9b6a", "#b5485d", "#7a5fb5")
GREY = "#808890"
STYLE = """
:root { color-scheme: light dark; --text: #1d2329; --quiet: #59636e; --ground: #ffffff; --line: #d9dee3; --card: #f6f8fa; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ec; --quiet: #9aa4ae; --ground: #14181c; --line: #333a42; --card: #1c2228; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 62rem; font: 16px/1.55 system-ui, sans-serif; color: var(--text); background: var(--ground); }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { margin-top: 2.6rem; font-size: 1.25rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
p { max-width: 46rem; } .lead { font-size: 1.12rem; } .note { color: var(--quiet); font-size: .92rem; }
figure { margin: 1rem 0; overflow-x: auto; } svg { max-width: 100%; height: auto; } figcaption { color: var(--quiet); font-size: .9rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .9rem .32rem 0; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; } th { color: var(--quiet); font-weight: 600; }
code { background: var(--card); padding: .1rem .3rem; border-radius: .2rem; } pre { background: var(--card); padding: .8rem 1rem; overflow-x: auto; border-radius: .3rem; }
"""


@dataclasses.dataclass(frozen=True)
class Section:
    """A heading with text, a table (rows, the first its head), figures (SVG, caption) and a note, each optional.

    text and note: plain text, a paragraph for each line. code: shown as typed.
    """

    title: str
    text: str = ""
    rows: list = ()
    figures: tuple = ()
    note: str = ""
    code: str = ""


def figure(width=9.0, height=3.2, panels=1, ratios=None):
    """A matplotlib figure and its axes, drawn for both backgrounds: transparent, grey frames."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams.update(
        {
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 10,
            "text.color": GREY,
            "axes.labelcolor": GREY,
            "axes.edgecolor": GREY,
            "xtick.color": GREY,
            "ytick.color": GREY,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "legend.frameon": False,
            "svg.hashsalt": "sequence-zoo",
        }
    )
    drawing, axes = pyplot.subplots(
        panels,
        1,
        figsize=(width, height),
        sharex=panels > 1,
        layout="constrained",
        gridspec_kw={"height_ratios": ratios} if ratios else None,
    )
    return drawing, axes


def svg(drawing):
    """The figure as inline SVG; closes it."""
    from matplotlib import pyplot

    buffer = io.StringIO()
    drawing.savefig(buffer, format="svg", metadata={"Date": None})
    pyplot.close(drawing)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def history_figure(folder, metrics):
    """Training curves of a run folder: one line for each of these columns of its history.csv."""
    with open(folder / "history.csv", newline="", encoding="utf8") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    drawing, axes = figure(height=2.8)
    for colour, metric in zip(COLOURS, metrics):
        axes.plot(
            [row["step"] for row in rows],
            [row[metric] for row in rows],
            color=colour,
            label=metric.replace("val_", "validation "),
        )
    axes.set_xlabel("step")
    axes.legend()
    return svg(drawing)


def write_report(path, title, sections):
    """Writes the report whole or not at all."""
    body = "\n".join(_section(section) for section in sections)
    write_text(
        path,
        f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{html.escape(title)}</title><style>{STYLE}</style></head>
<body><h1>{html.escape(title)}</h1>
{body}
</body></html>
""",
    )


def _section(section):
    parts = [f"<h2>{html.escape(section.title)}</h2>"]
    parts += [f"<p>{html.escape(line)}</p>" for line in section.text.splitlines()]
    if section.rows:
        head, *rows = section.rows
        parts.append("<table><thead><tr>" + "".join(f"<th>{html.escape(str(c))}</th>" for c in head) + "</tr></thead><tbody>")
        parts += ["<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in row) + "</tr>" for row in rows]
        parts.append("</tbody></table>")
    for picture, caption in section.figures:
        parts.append(
            f'<figure role="img" aria-label="{html.escape(caption, quote=True)}">{picture}<figcaption>{html.escape(caption)}</figcaption></figure>'
        )
    if section.code:
        parts.append(f"<pre>{html.escape(section.code)}</pre>")
    parts += [f'<p class="note">{html.escape(line)}</p>' for line in section.note.splitlines()]
    return f"<section>{''.join(parts)}</section>"
