from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from example_project.scan import agent, history
from example_project.scan.colours import painter
from obsku_checkpoint.errors import CheckpointStoreError
from obsku_checkpoint.store import DjangoCheckpointStore


class Command(BaseCommand):
    help = "List the scans in the database, the last active first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--limit", type=int, default=history.LISTED, metavar="N", help=f"show N of them (default: {history.LISTED})"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            summaries = DjangoCheckpointStore().list_session_summaries(agent.WORKSPACE, limit=options["limit"])
        except CheckpointStoreError as error:
            raise CommandError(str(error)) from error
        paint = painter(self.stdout, no_color=options["no_color"])
        self.stdout.write(history.table(summaries, paint=paint))
