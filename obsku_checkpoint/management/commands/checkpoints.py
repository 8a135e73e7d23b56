"""``manage.py checkpoints SUBCOMMAND``; each subcommand is a module of `obsku_checkpoint.maintenance.commands`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from obsku_checkpoint import conf
from obsku_checkpoint.errors import CheckpointStoreError
from obsku_checkpoint.maintenance.commands import SUBCOMMANDS
from obsku_checkpoint.maintenance.commands.output import Output


class Command(BaseCommand):
    help = "What is done with sessions as a whole: moved, thinned out, checked, counted."

    def add_arguments(self, parser: CommandParser) -> None:
        subparsers = parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")
        for name, module in SUBCOMMANDS.items():
            summary = (module.__doc__ or "").partition("\n")[0]
            subparser = subparsers.add_parser(name, help=summary, description=summary)
            subparser.add_argument("--database", help="the alias in DATABASES; by default that of the app's tables")
            subparser.add_argument("--json", action="store_true", help="print the result as a JSON object")
            module.add_arguments(subparser)

    def handle(self, *args: Any, **options: Any) -> None:
        using = options.pop("database") or conf.current().DATABASE
        if using not in connections:
            raise CommandError(f"DATABASES has no alias {using!r}")
        output = Output(self.stdout, self.stderr, as_json=options.pop("json"))
        try:
            SUBCOMMANDS[options["subcommand"]].run(using, options, output)
        except CheckpointStoreError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{error.filename or 'the file'}: {error.strerror or error}") from error
