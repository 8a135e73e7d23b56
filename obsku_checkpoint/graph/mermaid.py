"""Mermaid flowcharts (https://mermaid.js.org/syntax/flowchart.html)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def flowchart(boxes: Mapping[str, bool], arrows: Iterable[tuple[str, str, str]]) -> str:
    """Boxes by name, rounded, or double where the value is true; arrows as (from, Mermaid's arrow, to)."""
    # Names can be anything, also words of Mermaid's own: the boxes are numbered, and the names are their labels.
    ids = {name: f"n{number}" for number, name in enumerate(boxes)}
    lines = ["flowchart TD"]
    for name, double in boxes.items():
        left, right = ("[[", "]]") if double else ("(", ")")
        lines.append(f"    {ids[name]}{left}{_quoted(name)}{right}")
    lines += [f"    {ids[source]} {arrow} {ids[target]}" for source, arrow, target in arrows]
    return "\n".join(lines) + "\n"


def _quoted(name: str) -> str:
    # Mermaid's own escapes: #34; is a quote, #35; a number sign.
    text = name.replace("#", "#35;").replace('"', "#34;").replace("<", "#lt;").replace("\n", " ")
    return f'"{text}"'
