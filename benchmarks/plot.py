"""One drawing: how long each system takes, as a multiple of the limit's time, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from benchmarks.measure import Figures, Results
from benchmarks.systems import SYSTEMS
from benchmarks.workloads import WORKLOADS, Workload

COLOURS = {
    "ours": "#1b7837", "ours-async": "#5aae61", "ours-pool": "#a6dba0", "npm": "#762a83", "plain-orm": "#999999",
    "langgraph": "#e08214", "langgraph-async": "#fdb863", "openai-agents": "#2166ac",
    "ours-sqlite": "#1b7837", "plain-orm-sqlite": "#999999",
}  # fmt: skip
TITLE = "Median time of a call as a multiple of the least possible"
SUBTITLE = "one client; the scale is logarithmic; shorter is better"
LEFT, WIDTH, RIGHT, BAR, GAP = 300, 560, 60, 10, 14
LEGEND_COLUMNS, LEGEND_LINE, HEADING = 3, 16, 44
LEAST, MOST = 0.5, 200.0
MARKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200)


def plot(results: Results) -> str:
    rows = [
        (workload, figures)
        for name, figures in results.figures.items()
        if (workload := WORKLOADS[name]).alone and workload.limit in figures and _drawn(figures)
    ]
    parts = [f'<text x="12" y="24" font-size="16" font-weight="bold">{TITLE}</text>']
    parts.append(f'<text x="12" y="42" fill="#555">{SUBTITLE}</text>')
    y = 58
    for sqlite, heading in (
        (False, "PostgreSQL: as a multiple of psycopg by hand"),
        (True, "SQLite: as a multiple of sqlite3 by hand"),
    ):
        panel = [(workload, figures) for workload, figures in rows if workload.sqlite == sqlite]
        if panel:
            drawn, y = _panel(heading, panel, y)
            parts += drawn
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT} {y}" '
        'font-family="system-ui, sans-serif" font-size="11" fill="#222" role="img">\n'
        f"<title>{TITLE}; {SUBTITLE}</title>\n"
        '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _panel(heading: str, rows: list[tuple[Workload, dict[str, Figures]]], y: int) -> tuple[list[str], int]:
    """The panel's elements, and where the next one may begin."""
    systems = [system for system in COLOURS if any(system in figures for _, figures in rows)]
    legend_lines = math.ceil(len(systems) / LEGEND_COLUMNS)
    top = y + HEADING + legend_lines * LEGEND_LINE
    bottom = top + sum(len(_drawn(figures)) * BAR + GAP for _, figures in rows)
    parts = [f'<text x="12" y="{y + 16}" font-size="13" font-weight="bold">{escape(heading)}</text>']
    for number, system in enumerate(systems):
        x = 12 + number % LEGEND_COLUMNS * 280
        line = y + 26 + number // LEGEND_COLUMNS * LEGEND_LINE
        parts.append(f'<rect x="{x}" y="{line}" width="10" height="10" fill="{COLOURS[system]}"/>')
        parts.append(f'<text x="{x + 15}" y="{line + 9}">{escape(SYSTEMS[system].title)}</text>')
    parts += [*_rows(rows, top), *_scale(top, bottom), *_bars(rows, top)]
    return parts, bottom + 12


def _drawn(figures: dict[str, Figures]) -> list[str]:
    return [system for system in COLOURS if system in figures]


def _rows(rows: list[tuple[Workload, dict[str, Figures]]], y: int) -> Iterator[str]:
    """The titles, on bands of two shades."""
    for number, (workload, figures) in enumerate(rows):
        height = len(_drawn(figures)) * BAR + GAP
        if number % 2 == 0:
            yield f'<rect x="0" y="{y}" width="{LEFT + WIDTH + RIGHT}" height="{height}" fill="#f6f6f6"/>'
        yield f'<text x="{LEFT - 10}" y="{y + height / 2 + 4:g}" text-anchor="end">{escape(workload.title)}</text>'
        y += height


def _scale(top: int, bottom: int) -> Iterator[str]:
    for mark in MARKS:
        x = f"{_x(mark):.1f}"
        style = 'stroke="#222"' if mark == 1 else 'stroke="#ccc"'
        yield f'<line x1="{x}" y1="{top}" x2="{x}" y2="{bottom}" {style}/>'
        yield f'<text x="{x}" y="{top - 5}" text-anchor="middle" fill="#555">{mark:g}&#215;</text>'


def _bars(rows: list[tuple[Workload, dict[str, Figures]]], y: int) -> Iterator[str]:
    for workload, figures in rows:
        y += GAP // 2
        for system in _drawn(figures):
            ratio = figures[system].median / figures[workload.limit].median
            start, end = sorted((_x(1), _x(ratio)))
            box = f'x="{start:.1f}" y="{y}" width="{max(1, end - start):.1f}" height="{BAR - 1}"'
            yield f'<rect {box} fill="{COLOURS[system]}"/>'
            yield f'<text x="{end + 4:.1f}" y="{y + BAR - 2}" font-size="9">{_written(ratio)}</text>'
            y += BAR
        y += GAP - GAP // 2


def _written(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 1 else f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:.0f}"


def _x(ratio: float) -> float:
    share = math.log(min(max(ratio, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + share * WIDTH
