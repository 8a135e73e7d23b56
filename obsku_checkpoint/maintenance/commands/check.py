"""Read what is stored and say what is wrong, and where; the exit status is 1 where something is."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from obsku_checkpoint.maintenance.check import check
from obsku_checkpoint.maintenance.commands.output import Output

#: findings that a JSON object lists; all are counted
LISTED = 1000


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--sample", metavar="N", type=int, help="look at N sessions, chosen at random")


def run(using: str, options: Mapping[str, Any], output: Output) -> None:
    counts: Counter[str] = Counter()
    listed: list[dict[str, Any]] = []
    for finding in check(
        using, sample=options["sample"], progress=lambda done, all: output.progress(done, "sessions", all)
    ):
        counts[finding.level] += 1
        if output.as_json and len(listed) < LISTED:
            listed.append(asdict(finding))
        elif not output.as_json:
            output.remark(str(finding))
    figures = {"faults": counts["fault"], "notes": counts["note"], "findings": listed}
    output.result(figures, f"{counts['fault']:,} faults, {counts['note']:,} notes.")
    if counts["fault"]:
        raise SystemExit(1)
