"""Words with their times as JSON, WebVTT (W3C) or TextGrid (Praat)."""

import json


def written(words, suffix, name, symbols=()):
    """The content of a file. words, symbols: Spans, in order. suffix: .json, .vtt or .TextGrid. name: of the recording."""
    if suffix == ".json":
        content = {"recording": name, "words": [word.rounded() for word in words]}
        if symbols:
            content["symbols"] = [symbol.rounded() for symbol in symbols]
        return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    if suffix == ".vtt":
        cues = [f"{_clock(word.start_s)} --> {_clock(word.end_s)}\n{_escaped(word.text)}\n" for word in words]
        return "\n".join(["WEBVTT\n", *cues])
    return _textgrid({"words": words, **({"symbols": symbols} if symbols else {})})


def _clock(seconds):
    minutes, milliseconds = divmod(round(1000 * seconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds / 1000:06.3f}"


def _escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _textgrid(tiers):
    """Interval tiers without gaps: an empty text stands between two words."""
    end = max((span.end_s for spans in tiers.values() for span in spans), default=0.0)
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end:.3f}", "tiers? <exists>"]
    lines += [f"size = {len(tiers)}", "item []:"]
    for number, (name, spans) in enumerate(tiers.items(), 1):
        intervals, position = [], 0.0
        for span in spans:
            start, stop = max(span.start_s, position), max(span.end_s, position)
            if start > position:
                intervals.append((position, start, ""))
            if stop > start:
                intervals.append((start, stop, span.text))
            position = stop
        if position < end:
            intervals.append((position, end, ""))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"', "        xmin = 0"]
        lines += [f"        xmax = {end:.3f}", f"        intervals: size = {len(intervals)}"]
        for place, (start, stop, text) in enumerate(intervals, 1):
            quoted = text.replace('"', '""')
            lines += [f"        intervals [{place}]:", f"            xmin = {start:.3f}", f"            xmax = {stop:.3f}"]
            lines.append(f'            text = "{quoted}"')
    return "\n".join(lines) + "\n"
