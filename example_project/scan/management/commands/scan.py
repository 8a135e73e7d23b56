from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from example_project.scan import agent, follow, history, question, report
from example_project.scan.colours import painter
from example_project.scan.progress import Progress
from example_project.scan.rules import RULESETS
from example_project.scan.search import BATCH_FILES, BATCH_SECONDS
from obsku_checkpoint.errors import CheckpointStoreError, VersionConflictError
from obsku_checkpoint.records import CheckpointRecord, SessionRecord
from obsku_checkpoint.run_state import read
from obsku_checkpoint.store import DjangoCheckpointStore

LATEST = ""
#: exit codes: the agent waits for an answer; Ctrl-C, as a shell has it
WAITING, STOPPED = 3, 130


class Command(BaseCommand):
    help = (
        "Scan a directory for secrets and dangerous code. The scan may be killed at any moment: --resume goes on "
        "without searching a finished file again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", nargs="?", metavar="PATH", help="the directory to scan")
        parser.add_argument(
            "--resume",
            nargs="?",
            const=LATEST,
            metavar="SESSION",
            help="go on with a session, by default with the latest; of a finished one the report is printed",
        )
        parser.add_argument("--fork", metavar="CHECKPOINT", help="go on from a checkpoint in a new session")
        parser.add_argument("--show", metavar="SESSION", help="show the transcript and the checkpoints of a session")
        parser.add_argument(
            "--follow",
            nargs="?",
            const=LATEST,
            metavar="SESSION",
            help="watch a session, by default the latest, while another process is at work on it",
        )
        parser.add_argument("--list", action="store_true", help="list the sessions (as the command runs does)")
        parser.add_argument("--title", metavar="TITLE", help="what to call the new session")
        parser.add_argument(
            "--ruleset", choices=sorted(RULESETS), help="what to look for in a new session or a fork (default: default)"
        )
        parser.add_argument(
            "--answer",
            choices=agent.ANSWERS,
            help="answer the question, now or when it comes, whether to go on where a secret is found",
        )
        parser.add_argument("--json", action="store_true", help="print the report as JSON")
        parser.add_argument("--top", type=positive, metavar="N", help="print only the first N findings")
        parser.add_argument(
            "--batch",
            type=positive,
            default=BATCH_FILES,
            metavar="FILES",
            help=f"save after so many files (default: {BATCH_FILES}), or after {BATCH_SECONDS} s",
        )
        parser.add_argument(
            "--delay",
            type=seconds,
            default=0.0,
            metavar="SECONDS",
            help="wait after each file, to watch the scan at work, or to have time to kill it",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        self.options = options
        self.paint = painter(self.stdout, no_color=options["no_color"])
        self.paint_errors = painter(self.stderr, no_color=options["no_color"])
        self.store = DjangoCheckpointStore()
        self._check_combination()
        try:
            if options["list"]:
                summaries = self.store.list_session_summaries(agent.WORKSPACE, limit=history.LISTED)
                self.stdout.write(history.table(summaries, paint=self.paint))
            elif options["show"] is not None:
                self.stdout.write(history.show(self.store, self._session("--show", options["show"]), paint=self.paint))
            elif options["follow"] is not None:
                self._follow(self._session("--follow", options["follow"]))
            else:
                self._run(self._session_to_run())
        except VersionConflictError as error:
            message = f"Another process is at work on session {error.session_id}: let it finish, or stop it first."
            raise CommandError(message) from error
        except CheckpointStoreError as error:
            raise CommandError(str(error)) from error

    def _check_combination(self) -> None:
        named = {"PATH": "path", "--resume": "resume", "--fork": "fork", "--show": "show", "--follow": "follow"}
        given = [name for name, option in named.items() if self.options[option] is not None]
        given += ["--list"] if self.options["list"] else []
        if not given:
            raise CommandError(
                "Give the PATH of a directory to scan, or one of --resume, --fork, --show, --follow, --list."
            )
        if len(given) > 1:
            raise CommandError(f"{' and '.join(given)} cannot be combined.")
        if given[0] not in ("PATH", "--fork"):
            for option in ("title", "ruleset"):
                if self.options[option] is not None:
                    raise CommandError(f"--{option} belongs to a new session: give it with PATH or --fork.")
        if given[0] in ("--show", "--follow", "--list"):
            for option, what in (("json", "a report"), ("answer", "a run")):
                if self.options[option]:
                    raise CommandError(f"--{option} belongs to {what}: it cannot be combined with {given[0]}.")

    # -- which session

    def _session_to_run(self) -> SessionRecord:
        if self.options["resume"] is not None:
            return self._session("--resume", self.options["resume"])
        if self.options["fork"] is not None:
            return self._fork(self.options["fork"])
        return self._start(self.options["path"])

    def _start(self, path: str) -> SessionRecord:
        directory = Path(path).resolve()
        if not directory.exists():
            raise CommandError(f"PATH does not exist: {report.printable(path)}")
        if not directory.is_dir():
            raise CommandError(f"PATH is not a directory: {report.printable(path)}")
        title = self.options["title"] or f"Scan of {report.printable(directory.name) or directory}"
        return agent.start(self.store, str(directory), title=title, ruleset=self.options["ruleset"] or "default")

    def _session(self, option: str, session_id: str) -> SessionRecord:
        if session_id == LATEST:
            latest = self.store.list_sessions(agent.WORKSPACE, limit=1)
            if not latest:
                raise CommandError(f"{option}: there is no session yet. Start one: manage.py scan PATH")
            return latest[0]
        session = self.store.get_session(session_id)
        if session is None:
            raise CommandError(f"{option}: no session has the id {session_id}. manage.py runs lists them.")
        if session.workspace_id != agent.WORKSPACE:
            raise CommandError(f"{option}: session {session_id} is not one of this agent.")
        return session

    def _fork(self, checkpoint_id: str) -> SessionRecord:
        checkpoint = self.store.get_checkpoint(checkpoint_id)
        if checkpoint is None:
            hint = "manage.py scan --show SESSION lists them"
            raise CommandError(f"--fork: no checkpoint has the id {checkpoint_id}. {hint}.")
        session = self._session("--fork", checkpoint.session_id)
        self._check_something_left(session, checkpoint)
        return agent.fork(self.store, checkpoint, title=self.options["title"], ruleset=self.options["ruleset"])

    def _check_something_left(self, session: SessionRecord, checkpoint: CheckpointRecord) -> None:
        hint = f"Fork an earlier one: manage.py scan --show {session.id} lists them."
        pending = read(checkpoint).pending
        if not pending:
            raise CommandError(f"--fork: nothing is left to do after this checkpoint. {hint}")
        if self.options["ruleset"] is not None and "search" not in pending:
            raise CommandError(f"--ruleset: all files are searched at this checkpoint. {hint}")

    def _follow(self, session: SessionRecord) -> None:
        async def write() -> None:
            async with contextlib.aclosing(follow.lines(self.store.using, session.id)) as lines:
                async for line in lines:
                    self.stdout.write(line)
                    self.stdout.flush()

        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(write())

    # -- running it

    def _run(self, session: SessionRecord) -> None:
        run = agent.Run(self.store, session, batch_files=self.options["batch"], delay=self.options["delay"])
        earlier, resumed = run.files_done, not run.finished and self.options["resume"] is not None
        try:
            with Progress(sys.stderr, run.graph.nodes, run.checkpoint, paint=self.paint_errors) as self.progress:
                result = run.to_the_end(self._ask, on_event=self.progress)
        except KeyboardInterrupt:
            self.stderr.write(f"Stopped. To go on: manage.py scan --resume {session.id}")
            sys.exit(STOPPED)
        if result.status == "failed":
            errors = "; ".join(f"{node}: {error}" for node, error in result.errors.items())
            raise CommandError(f"{errors}\nTo try again: manage.py scan --resume {session.id}")
        if result.question:
            self.stderr.write(f"{result.question['reason']} To answer yes or no:")
            self.stderr.write(f"  manage.py scan --resume {session.id} --answer yes")
            sys.exit(WAITING)
        found = run.report()
        if self.options["json"]:
            self.stdout.write(json.dumps(report.as_json(found), indent=2))
            return
        layout = {"width": shutil.get_terminal_size().columns} if self.stdout.isatty() else {}
        self.stdout.write(report.as_text(found, paint=self.paint, limit=self.options["top"], **layout))
        if resumed:
            new = report.count(run.files_done - earlier, "file")
            self.stdout.write(f"Resumed: {report.count(earlier, 'file')} finished before, {new} searched now.")
        self.stdout.write(f"Session {session.id}")

    def _ask(self, asked: dict[str, Any]) -> str | None:
        if self.options["answer"] is None and sys.stdin.isatty() and sys.stderr.isatty():
            self.progress.again()
            return question.ask(asked, sys.stdin, sys.stderr, paint=self.paint_errors)
        answer: str | None = self.options["answer"]
        return answer


def positive(value: str) -> int:
    """An argument that counts something; argparse turns the ValueError into a message that names the option."""
    if (number := int(value)) < 1:
        raise ValueError(value)
    return number


def seconds(value: str) -> float:
    if not 0 <= (number := float(value)) <= 3600:
        raise ValueError(value)
    return number
