"""What `make demo` shows. It does nothing that a person could not do with the same commands, and says which."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from example_project.scan import agent, history, report, transcript
from example_project.scan.colours import painter
from example_project.scan.files import list_files
from example_project.scan.management.commands import scan
from example_project.scan.rules import RULES
from obsku_checkpoint.records import CheckpointRecord, MessageRecord, SessionRecord
from obsku_checkpoint.run_state import read
from obsku_checkpoint.store import DjangoCheckpointStore

#: the scan to be killed is slowed down to about so many seconds, and saves about so many batches
SCAN_SECONDS = 1.6
BATCHES = 12
PATIENCE_SECONDS = 30.0
TOP = 4
WIDTH = 79


class Command(BaseCommand):
    help = "Scan this repository, kill the scan in the middle, resume it, answer its question, look at it, and fork it."

    def handle(self, *_args: Any, **options: Any) -> None:
        self.paint = painter(self.stdout, no_color=options["no_color"])
        self.colour = ["--no-color"] if options["no_color"] else []
        self.directory = str(settings.BASE_DIR)
        self.store = DjangoCheckpointStore()

        self.title("An agent that survives", "a security scan, kept by obsku_checkpoint")
        call_command("migrate", verbosity=0)

        self.title("1. Start the scan, and kill it in the middle")
        session = self.start_and_kill()
        before = list(self.store.iter_messages(session.id))
        last = self.store.get_latest_checkpoint(session.id)

        self.title("2. Resume it: another process goes on from the last checkpoint")
        self.run("scan", "--resume", session.id, expected=scan.WAITING)
        self.say("It has found a secret, and asks whether to go on. Nobody is there to answer: the")
        self.say("question is kept in its last checkpoint, and the process has ended.")

        self.title("3. Answer it: a third process goes on, and it might be days later")
        self.run("scan", "--resume", session.id, "--answer", "yes", "--top", str(TOP))
        self.prove_nothing_was_repeated(session, before)

        self.title("4. The run, as the database has it")
        self.show_run(session, before, last)

        self.title("5. Fork it from the middle, with another ruleset")
        forked = self.fork(session)

        self.title("What to type next")
        self.next_steps(session, forked)

    # -- the steps

    def start_and_kill(self) -> SessionRecord:
        files = len(list_files(self.directory).files)
        known = {session.id for session in self.store.list_sessions(agent.WORKSPACE)}
        command = ["scan", ".", "--title", "Demo", "--batch", str(math.ceil(files / BATCHES))]
        command += ["--delay", f"{SCAN_SECONDS / files:.3f}"]
        self.announce(command)
        child = subprocess.Popen(
            self.command_line(command),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            session = self.wait_until_half_done(child, known)
        finally:
            child.kill()
            _, errors = child.communicate()
        if session is None:
            raise CommandError(f"The scan ended before it could be killed (exit code {child.returncode}).\n{errors}")
        written = transcript.read(self.store.iter_messages(session.id))
        secrets, code = len(written.search.done), report.count(len(written.parse.done), "Python file")
        self.say(f"{self.paint('Killed', 'bad')} with SIGKILL. By then it had searched {secrets} of {files} files for")
        self.say(f"secrets, and {code} for dangerous calls.")
        return session

    def wait_until_half_done(self, child: subprocess.Popen[str], known: set[str]) -> SessionRecord | None:
        """Watch the scan through the store, as any other process can. None if it ended too early."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while child.poll() is None and time.monotonic() < deadline:
            for session in self.store.list_sessions(agent.WORKSPACE, limit=1):
                if session.id not in known and self.half_done(session):
                    return session
            time.sleep(0.02)
        return None

    def half_done(self, session: SessionRecord) -> bool:
        checkpoint = self.store.get_latest_checkpoint(session.id)
        # Not the search for secrets, which may have stopped with its question.
        progress = counted(checkpoint, "parse") if checkpoint else None
        return progress is not None and progress["more"] and progress["done"] * 2 >= progress["of"]

    def prove_nothing_was_repeated(self, session: SessionRecord, before: list[MessageRecord]) -> None:
        after = [message for message in self.store.iter_messages(session.id) if message.id > before[-1].id]
        first, second = files_searched(before), files_searched(after)
        if repeated := [file for (_, file), times in (first + second).items() if times > 1]:
            raise CommandError(f"Searched twice: {', '.join(sorted(repeated))}")
        self.say()
        self.say(f"{self.paint('Nothing was repeated.', 'good')} By the messages in the database:")
        for node, purpose in (("search", "secrets"), ("parse", "dangerous calls")):
            early, late = (sum(name == node for name, _ in files) for files in (first, second))
            self.say(f"  {purpose:<15}  {early:>3} files before the kill, {late:>3} after it, none twice")

    def show_run(self, session: SessionRecord, before: list[MessageRecord], last: CheckpointRecord | None) -> None:
        messages = list(self.store.iter_messages(session.id))
        checkpoints = self.store.list_checkpoints(session.id)[::-1]
        self.announce(["scan", "--show", session.id], "shows all of it; here in short")

        self.say(self.paint(f"{len(messages)} messages", "title"))
        asked = next(at for at, message in enumerate(messages) if is_question(message))
        self.say_in_short([history.message_line(each) for each in messages], len(before), asked)

        self.say()
        self.say(self.paint(f"{len(checkpoints)} checkpoints", "title"))
        asked = max(at for at, checkpoint in enumerate(checkpoints) if checkpoint.source == "interrupt")
        self.say_in_short(
            [history.checkpoint_line(each) for each in checkpoints], last.version if last else 0, asked + 1
        )

    def say_in_short(self, lines: list[str], killed: int, asked: int) -> None:
        """The lines with a mark where the run was killed, and one where it was asked (or both at the same place)."""
        marks = {killed: "killed here, and resumed", asked: "answered here, and resumed"}
        start = 0
        for at, mark in sorted(marks.items()):
            self.say("\n".join(shortened(lines[start:at], 2, 2)))
            self.say(self.paint(f"  {'- ' * 15}{mark}", "bad"))
            start = at
        self.say("\n".join(shortened(lines[start:], 2, 3)))

    def fork(self, session: SessionRecord) -> SessionRecord:
        middle = self.last_before_the_first_finding(session)
        known = transcript.read(self.messages_up_to(session, middle))
        command = ["scan", "--fork", middle.id, "--title", "Demo, strict", "--ruleset", "strict", "--answer", "yes"]
        strict = json.loads(self.run(*command, "--json", capture=True))
        default = report.as_json(agent.Run(self.store, session).report())

        def rest(findings: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
            done = {
                "secret": {*map(report.printable, known.search.done)},
                "code": {*map(report.printable, known.parse.done)},
            }
            return [
                (finding["rule"], finding["file"], finding["line"])
                for finding in findings
                if finding["file"] not in done[RULES[finding["rule"]].kind]
            ]

        rest_default, rest_strict = rest(default["findings"]), rest(strict["findings"])
        extra = Counter(rule for rule, *_ in set(rest_strict) - set(rest_default))
        more = ", ".join(f"{number} {rule}" for rule, number in extra.most_common()) or "nothing"
        done = report.count(len(known.search.done), "file")
        self.say(f"The fork has the {done} finished by then; in the others it finds:")
        self.say(f"  ruleset default  {report.count(len(rest_default), 'finding'):>12}")
        self.say(f"  ruleset strict   {report.count(len(rest_strict), 'finding'):>12}")
        self.say(f"  more             {more}")
        forked = self.store.get_session(strict["session"])
        if forked is None:
            raise CommandError(f"The fork is not in the database: {strict['session']}")
        self.say()
        self.say("\n".join(history.family_tree(self.store, forked, self.store.list_checkpoints(forked.id)[::-1])))
        return forked

    def last_before_the_first_finding(self, session: SessionRecord) -> CheckpointRecord:
        """From there on, two rulesets have something to differ about."""
        parsing = [(each, counted(each, "parse")) for each in self.store.list_checkpoints(session.id)]
        begun = [(each, progress) for each, progress in parsing if progress]
        return next((each for each, progress in begun if not progress["findings"]), begun[-1][0])

    def messages_up_to(self, session: SessionRecord, checkpoint: CheckpointRecord) -> list[MessageRecord]:
        return [each for each in self.store.iter_messages(session.id) if each.created_at <= checkpoint.created_at]

    def next_steps(self, session: SessionRecord, forked: SessionRecord) -> None:
        steps = [
            ("scan ~/your/project", "scan something of yours; stop it with Ctrl-C if you like"),
            ("scan --resume", "go on with the latest scan, or print its report"),
            ("runs", "all scans so far"),
            (f"scan --show {forked.id}", "the fork: transcript, checkpoints, family"),
            (f"scan --resume {session.id}", "the whole report of the demo"),
            ("serve", "all of it in the admin, beside runs that failed and that wait (make serve)"),
        ]
        for command, purpose in steps:
            self.say(f"  {self.paint(f'{python()} manage.py {command}', 'command')}")
            self.say(f"      {purpose}")

    # -- running and printing

    def command_line(self, command: list[str]) -> list[str]:
        return [sys.executable, str(Path(self.directory, "manage.py")), *command, *self.colour]

    def run(self, *command: str, capture: bool = False, expected: int = 0) -> str:
        """Run a command of this project in a process of its own; with ``capture`` its output is returned."""
        self.announce(list(command))
        done = subprocess.run(
            self.command_line(list(command)),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.PIPE if capture else None,
            text=True,
            check=False,
        )
        if done.returncode != expected:
            raise CommandError(
                f"manage.py {' '.join(command)} ended with exit code {done.returncode}\n{done.stderr or ''}"
            )
        return done.stdout or ""

    def title(self, text: str, more: str = "") -> None:
        self.say()
        self.say(self.paint(text, "title") + (f": {more}" if more else ""))
        self.say("─" * WIDTH)

    def announce(self, command: list[str], purpose: str = "") -> None:
        words = " ".join(f'"{word}"' if " " in word else word for word in command)
        self.say(self.paint(f"$ {python()} manage.py {words}", "command"))
        if purpose:
            self.say(f"  ({purpose})")

    def say(self, text: str = "") -> None:
        self.stdout.write(text)
        # The children write to the same terminal.
        self.stdout.flush()


def counted(checkpoint: CheckpointRecord, node: str) -> dict[str, Any] | None:
    """How far the node was at this checkpoint; None if it had not begun."""
    result = read(checkpoint).results.get(node)
    return result.get("output") if result else None


def files_searched(messages: list[MessageRecord]) -> Counter[tuple[str, str]]:
    """(node, file) -> how often the messages say that it was searched."""
    results = [result for message in messages for result in message.tool_results or ()]
    searched = [(result["toolUseId"].partition("-")[0], result.get("data")) for result in results]
    return Counter((node, file) for node, data in searched if node in agent.KINDS and data for file in data["files"])


def is_question(message: MessageRecord) -> bool:
    return any(call["name"] == "ask_person" for call in message.tool_calls or ())


def shortened(lines: list[str], first: int, last: int) -> list[str]:
    left_out = len(lines) - first - last
    if left_out <= 1:
        return lines
    return [*lines[:first], f"  … {left_out} more", *lines[-last:]]


def python() -> str:
    """How a person in the repository calls this Python."""
    executable = Path(sys.executable)
    return str(executable.relative_to(settings.BASE_DIR)) if executable.is_relative_to(settings.BASE_DIR) else "python"
