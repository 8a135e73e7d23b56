"""One drawing: how long each system takes, as a multiple of the limit's time, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from benchmarks.measure import Figures, Results
from benchmarks.workloads import WORKLOADS

COLOURS = {
    "ours": "#1b7837", "ours-async": "#7fbf7b", "ours-pool": "#a6dba0", "npm": "#762a83", "plain-orm": "#999999",
    "langgraph": "#e08214", "langgraph-async": "#fdb863", "openai-agents": "#2166ac",
}  # fmt: skip
LEFT, WIDTH, BAR, GAP, TOP = 330, 620, 9, 12, 56
LEAST, MOST = 0.5, 200.0


def plot(results: Results) -> str:
    rows = [
        (WORKLOADS[name].title, figures)
        for name, figures in results.figures.items()
        if "limit" in figures and WORKLOADS[name].alone
    ]
    systems = [system for system in COLOURS if any(system in figures for _, figures in rows)]
    bars = "\n".join(_rows(rows))
    height = TOP + sum(len(_drawn(figures)) * BAR + GAP for _, figures in rows) + 10
    legend = "\n".join(
        f'<rect x="{10 + 118 * n}" y="8" width="10" height="10" fill="{COLOURS[system]}"/>'
        f'<text x="{24 + 118 * n}" y="17">{escape(system)}</text>'
        for n, system in enumerate(systems)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 60} {height}" '
        'font-family="sans-serif" font-size="11" role="img">\n'
        "<title>Median time as a multiple of the least possible with psycopg; shorter is better</title>\n"
        f'<rect width="100%" height="100%" fill="white"/>\n{legend}\n{_scale(height)}\n{bars}\n</svg>\n'
    )


def _drawn(figures: dict[str, Figures]) -> list[str]:
    return [system for system in COLOURS if system in figures]


def _rows(rows: list[tuple[str, dict[str, Figures]]]) -> Iterator[str]:
    y = TOP
    for title, figures in rows:
        systems = _drawn(figures)
        middle = y + len(systems) * BAR / 2 + 4
        yield f'<text x="{LEFT - 8}" y="{middle:.1f}" text-anchor="end">{escape(title)}</text>'
        for system in systems:
            ratio = figures[system].median / figures["limit"].median
            start, end = sorted((_x(1), _x(ratio)))
            box = f'x="{start:.1f}" y="{y}" width="{max(1, end - start):.1f}" height="{BAR - 1}"'
            yield f'<rect {box} fill="{COLOURS[system]}"/>'
            yield f'<text x="{end + 3:.1f}" y="{y + BAR - 1}" font-size="9">{ratio:.2g}</text>'
            y += BAR
        y += GAP


def _scale(height: int) -> str:
    return "\n".join(
        f'<line x1="{_x(mark):.1f}" y1="40" x2="{_x(mark):.1f}" y2="{height}" stroke="#ddd"/>'
        f'<text x="{_x(mark):.1f}" y="36" text-anchor="middle">{mark:g}&#215;</text>'
        for mark in (0.5, 1, 2, 5, 10, 20, 50, 100)
    )


def _x(ratio: float) -> float:
    share = math.log(min(max(ratio, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * WIDTH
