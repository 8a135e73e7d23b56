"""The subcommands of ``manage.py checkpoints``. The first line of a module's docstring is what ``--help`` says."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

from obsku_checkpoint.maintenance.commands import check, erase, export, importing, index_embeddings, prune, stats
from obsku_checkpoint.maintenance.commands.output import Output


class Subcommand(Protocol):
    __doc__: str | None

    def add_arguments(self, parser: ArgumentParser) -> None: ...

    def run(self, using: str, options: Mapping[str, Any], output: Output) -> None:
        """Do it on a database, with the parsed arguments; errors are those of the store, or of files."""


SUBCOMMANDS: Final[dict[str, Subcommand]] = {
    "export": cast("Subcommand", export),
    "import": cast("Subcommand", importing),
    "prune": cast("Subcommand", prune),
    "check": cast("Subcommand", check),
    "erase": cast("Subcommand", erase),
    "index-embeddings": cast("Subcommand", index_embeddings),
    "stats": cast("Subcommand", stats),
}
