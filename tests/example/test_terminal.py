"""The scan at a terminal: bars that move, and a question that is asked there."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.example.conftest import REPOSITORY, Project

COLUMNS = 80
COLOURS = re.compile(r"\x1b\[[\d;]*m")
CTRL_C, CTRL_D = "\x03", "\x04"
#: starts a session of its own with the terminal as the controlling one, as a shell does, so that Ctrl-C is a signal;
#: which may be ignored where the tests run in the background
START = """
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Terminal:
    """A program at a pseudo terminal of 80 columns."""

    def __init__(self, project: Project, *command: str) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(REPOSITORY / "manage.py"), *command],
            cwd=REPOSITORY,
            env={**project.environment, "TERM": "xterm"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        self._written = b""

    def wait_for(self, text: str) -> None:
        """Wait until the program has written this since it was last asked."""
        self._read(text)
        _, _, self._written = self._written.partition(text.encode())

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def rest(self) -> str:
        """What it writes until its end, without colours."""
        self._read(None)
        self.process.wait(timeout=30)
        os.close(self._master)
        return COLOURS.sub("", self._written.decode()).replace("\r\n", "\n")

    def _read(self, text: str | None) -> None:
        deadline = time.monotonic() + 30
        while text is None or text.encode() not in self._written:
            assert time.monotonic() < deadline, self._written
            if not select.select([self._master], [], [], 1)[0]:
                continue
            try:
                self._written += os.read(self._master, 65536)
            except OSError:  # the other end is closed
                assert text is None, self._written
                return


def line(name: str, share: int, text: str) -> str:
    return f"  {name:<6} {'█' * share}{'░' * (24 - share)}  {text}\x1b[K\n"


def test_a_question_is_asked_and_answered_below_the_bars(project: Project, directory: Path) -> None:
    terminal = Terminal(project, "scan", str(directory))
    terminal.wait_for("yes/no: ")
    terminal.type("perhaps\n")
    terminal.wait_for("yes/no: ")
    terminal.type("Y\n")
    written = terminal.rest()
    assert terminal.process.returncode == 0
    bars = (
        line("list", 24, "61 files, 60 of them Python"),
        line("search", 24, "61 of 61 files, 1 finding"),
        line("parse", 24, "60 of 60 files, 20 findings"),
        line("rank", 24, "21 high"),
        line("report", 24, "61 files, 21 findings (21 high)"),
    )
    drawn = "\r".join(bars)
    assert drawn in written
    # The last drawing stays, and the report stands below it.
    below = written[written.rindex(drawn) + len(drawn) :]
    assert below.startswith(f"\r\x1b[K\nSecurity scan of {directory}\n")


def test_the_bars_show_how_far_each_node_is(project: Project, directory: Path) -> None:
    terminal = Terminal(project, "scan", str(directory), "--batch", "30", "--delay", "0.001", "--answer", "yes")
    written = terminal.rest()
    assert line("search", 0, "at work") in written
    assert line("search", 11, "30 of 61 files, 0 findings") in written
    assert line("parse", 12, "30 of 60 files, 10 findings") in written
    assert line("search", 24, "waits for an answer") in written
    bars = [drawn for drawn in re.split(r"[\r\n]|\x1b\[\d*[AK]", written) if "█" in drawn or "░" in drawn]
    assert max(map(len, bars)) < COLUMNS


@pytest.mark.parametrize(("key", "code"), [(CTRL_D, 3), (CTRL_C, 130)])
def test_a_question_without_an_answer_is_kept(project: Project, directory: Path, key: str, code: int) -> None:
    terminal = Terminal(project, "scan", str(directory))
    terminal.wait_for("yes/no: ")
    terminal.type(key)
    written = terminal.rest()
    assert terminal.process.returncode == code
    assert "manage.py scan --resume" in written
    assert "Traceback" not in written
    assert project.report("--resume")["files"] == 61


def test_ctrl_c_leaves_the_bars_and_says_how_to_go_on(project: Project, directory: Path) -> None:
    terminal = Terminal(project, "scan", str(directory), "--batch", "3", "--delay", "0.005", "--answer", "yes")
    terminal.wait_for("12 of 61 files")
    terminal.type(CTRL_C)
    written = terminal.rest()
    (session,) = project.query("SELECT id FROM sessions")[0]
    assert terminal.process.returncode == 130
    assert written.endswith(f"\r\x1b[K\nStopped. To go on: manage.py scan --resume {session}\n")
    assert "Traceback" not in written
    assert project.report("--resume")["files"] == 61
