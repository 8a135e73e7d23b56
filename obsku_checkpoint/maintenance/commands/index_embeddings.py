"""Index the vectors of entities, facts and adapters, so that searches stay fast; on PostgreSQL with pgvector 0.8."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from obsku_checkpoint.maintenance.commands.output import Output
from obsku_checkpoint.maintenance.indexing import index_embeddings

MEGABYTE = 1_000_000


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--dimension", metavar="N", type=int, required=True, help="how many numbers a vector has")


def run(using: str, options: Mapping[str, Any], output: Output) -> None:
    def begin(name: str) -> None:
        output.remark(f"Making {name}: a minute for each 100,000 rows or so. Everybody may work on.")

    indexes = list(index_embeddings(using, dimension=options["dimension"], begin=begin))
    said = (
        f"{index.name}: "
        + (f"made in {index.seconds:,.1f} s" if index.made else "was there")
        + f", {index.bytes / MEGABYTE:,.1f} MB."
        for index in indexes
    )
    output.result({"indexes": [asdict(index) for index in indexes]}, "\n".join(said))
