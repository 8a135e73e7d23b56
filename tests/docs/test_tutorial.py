"""The tutorial, command by command, in an empty folder; what a person does in the browser is done over HTTP."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from obsku_checkpoint.extras import DISTRIBUTION
from tests.docs.pages import PATIENCE, files, in_order, text_of
from tests.example.conftest import REPOSITORY

PAGE = text_of("docs/tutorial.md")
#: (language, code) of what the reader runs, writes and sees
STEPS = re.findall(r"^```(sh|python|text)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def environment() -> dict[str, str]:
    """A shell's, with this virtual environment active and our package in it, and nothing of a project's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "POSTGRES_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return {**environment, "PATH": path, "PYTHONPATH": str(REPOSITORY)}


def test_the_tutorial(environment: dict[str, str], tmp_path: Path) -> None:
    answered, shown, waiting = False, [""], files(PAGE)
    for language, code in STEPS:
        if language == "python":
            name = code.split()[1]
            with (tmp_path / name).open("a") as file:
                file.write(waiting[name])
        elif language == "text":
            assert in_order(code.splitlines(), shown), shown
        else:
            assert code.count("pip install") == code.count(f"pip install {DISTRIBUTION}\n")
            commands = re.sub(r"^pip install .*\n", "", code, flags=re.MULTILINE)
            if commands.endswith("runserver\n"):
                run(commands.removesuffix("python manage.py runserver\n"), environment, tmp_path)
                answer(environment, tmp_path)
                answered = True
            else:
                shown = run(commands, environment, tmp_path)
    assert answered
    assert (tmp_path / "letters.jsonl").read_text().count('"table":"sessions"') == 2


def run(commands: str, environment: dict[str, str], folder: Path) -> list[str]:
    done = subprocess.run(
        ["bash", "-ec", commands],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def answer(environment: dict[str, str], folder: Path) -> None:
    """Signs in, follows the session that waits, and says yes."""
    [path] = re.findall(r"<http://127\.0\.0\.1:8000(/[^>]*)>", PAGE)
    with (
        server(environment, folder) as address,
        httpx.Client(base_url=address, follow_redirects=True, timeout=PATIENCE) as browser,
    ):
        page = browser.get(path)
        form = {"username": "ada", "password": "secret", "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        page = browser.post(page.url, data=form)
        assert "waiting for a person" in page.text
        [session] = set(re.findall(r'<a href="([^"]+)"[^>]*><bdi[^>]*>A letter about order 17', page.text))
        page = browser.get(page.url.join(session))
        question = page.text.split('class="obsku-answer"')[0].rpartition('action="')[2].split('"')[0]
        [path_of_question] = re.findall(r'name="question" value="([^"]+)"', page.text)
        [option] = re.findall(r'name="option" value="([^"]+)" required>\s*<span[^>]*>yes<', page.text)
        form = {"question": path_of_question, "option": option, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        page = browser.post(page.url.join(question), data=form)
        assert "The answer was handed on." in page.text


@contextlib.contextmanager
def server(environment: dict[str, str], folder: Path) -> Iterator[str]:
    """``manage.py runserver``, and its address once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "manage.py", "runserver", "--noreload", str(port)]
    with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end and process.poll() is None:
                with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
