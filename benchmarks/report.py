"""The results as JSON and as Markdown tables."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Figures, Results
from benchmarks.plot import plot
from benchmarks.systems import SYSTEMS
from benchmarks.workloads import WORKLOADS, Workload

OURS, OURS_ASYNC = "ours", "ours-async"
SECTIONS = (
    ("core", False, "One client"),
    ("concurrent", False, "Several clients"),
    ("core", True, "SQLite, one client"),
    ("concurrent", True, "SQLite, several clients"),
    ("codec", False, "The codec alone"),
)


@dataclass(frozen=True)
class Verdict:
    """One promise: how many times as fast ``ours`` is as ``system``, and how many it must be."""

    workload: Workload
    ours: str
    system: str
    wanted: float
    reached: float

    @property
    def holds(self) -> bool:
        return self.reached >= self.wanted


def verdicts(results: Results) -> Iterator[Verdict]:
    for name, figures in results.figures.items():
        workload = WORKLOADS[name]
        for ours, targets in ((OURS, workload.targets), (OURS_ASYNC, workload.async_targets)):
            for system, wanted in targets.items():
                if ours in figures and system in figures:
                    reached = _times_as_fast(workload, figures[ours], figures[system])
                    yield Verdict(workload, ours, system, wanted, reached)


def _times_as_fast(workload: Workload, ours: Figures, other: Figures) -> float:
    return ours.throughput / other.throughput if not workload.alone else other.median / ours.median


def write(folder: Path, results: Results, facts: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(_document(results, facts), indent=1) + "\n", encoding="utf-8")
    (folder / "results.md").write_text(markdown(results, facts), encoding="utf-8")
    (folder / "results.svg").write_text(plot(results), encoding="utf-8")


def machine() -> dict[str, Any]:
    return {"processors": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}


def _document(results: Results, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        **facts,
        "figures": {
            workload: {
                system: {
                    "median_ms": round(its.median / 1e6, 5),
                    "p99_ms": round(its.p99 / 1e6, 5),
                    "calls_per_second": round(its.throughput, 1),
                    "round_trips": its.round_trips,
                    "calls": len(its.times),
                }
                for system, its in figures.items()
            }
            for workload, figures in results.figures.items()
        },
        "verdicts": [
            {
                "workload": verdict.workload.name,
                "ours": verdict.ours,
                "against": verdict.system,
                "wanted": round(verdict.wanted, 3),
                "reached": round(verdict.reached, 3),
                "holds": verdict.holds,
            }
            for verdict in verdicts(results)
        ],
        "left_out": results.left_out,
    }


def markdown(results: Results, facts: dict[str, Any]) -> str:
    lines = ["# Benchmarks", "", "Written by `python -m benchmarks`. " + _facts(facts), ""]
    lines += ["![medians as multiples of the limit](results.svg)", "", *_legend(results), ""]
    for group, sqlite, title in SECTIONS:
        names = [n for n in results.figures if (WORKLOADS[n].group, WORKLOADS[n].sqlite) == (group, sqlite)]
        if names:
            lines += [f"## {title}", "", *_medians(results, names, group == "concurrent"), ""]
            lines += ["<details><summary>All figures</summary>", "", *_details(results, names), "", "</details>", ""]
    lines += ["## What was promised", "", *_verdicts(results), ""]
    if results.left_out:
        lines += ["## Left out", "", *(f"- {name}: {reason}" for name, reason in results.left_out.items()), ""]
    return "\n".join(lines)


def _legend(results: Results) -> list[str]:
    shown = [name for name in SYSTEMS if any(name in figures for figures in results.figures.values())]
    return [*_head(["column", "system"], right=False), *(_row([name, SYSTEMS[name].title]) for name in shown)]


def _facts(facts: dict[str, Any]) -> str:
    return "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in facts.items()) + "."


def _medians(results: Results, names: Sequence[str], throughput: bool) -> list[str]:
    systems = [system for system in SYSTEMS if any(system in results.figures[name] for name in names)]
    unit = "calls a second" if throughput else "median, ms; in brackets as a multiple of the limit"
    lines = _head([unit, *systems])
    for name in names:
        workload, figures = WORKLOADS[name], results.figures[name]
        lines.append(_row([workload.title, *(_cell(workload, figures, system, throughput) for system in systems)]))
    return lines


def _cell(workload: Workload, figures: dict[str, Figures], system: str, throughput: bool) -> str:
    if system not in figures:
        return ""
    if throughput:
        return f"{figures[system].throughput:,.0f}"
    text = _milliseconds(figures[system].median)
    if workload.limit in figures and system != workload.limit:
        text += f" ({figures[system].median / figures[workload.limit].median:.2f})"
    return text


def _details(results: Results, names: Sequence[str]) -> list[str]:
    lines = _head(["workload", "system", "median ms", "p99 ms", "calls/s", "round trips a call", "calls"])
    for name in names:
        for system, its in results.figures[name].items():
            trips = "" if its.round_trips is None else f"{its.round_trips:g}"
            figures = [_milliseconds(its.median), _milliseconds(its.p99), f"{its.throughput:,.0f}", trips]
            lines.append(_row([name, system, *figures, str(len(its.times))]))
    return lines


def _verdicts(results: Results) -> list[str]:
    lines = _head(["workload", "ours", "against", "times as fast", "wanted", "holds"])
    for verdict in verdicts(results):
        figures = [f"{verdict.reached:.2f}", f"{verdict.wanted:.2f}", "yes" if verdict.holds else "**no**"]
        lines.append(_row([verdict.workload.title, verdict.ours, verdict.system, *figures]))
    return lines


def _milliseconds(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e6:.3g}"


def _head(cells: Sequence[str], *, right: bool = True) -> list[str]:
    return [_row(cells), _row(["---", *["---:" if right else "---"] * (len(cells) - 1)])]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
