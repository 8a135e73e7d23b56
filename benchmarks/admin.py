"""``python -m benchmarks.admin``: statements, milliseconds and megabytes of the admin's pages, on tables of a million
sessions, and on runs whose results weigh megabytes.

A page is a request to Django in this process, from the URL to the last byte of HTML, by somebody who is signed in. Its
megabytes are what the process takes more at its peak, with all that the database has sent.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import parse_qs, urlsplit

import django
import orjson
from django.conf import settings
from django.db import connection

from tests.postgres_server import postgres_server

WORKSPACES = 20
LONG, SHORT = 100_000, 100
#: entries of each of the two results to compare: 1 MB of JSON
ENTRIES = 12_000
ROUNDS = 6
FIGURES = "/admin/obsku_checkpoint/session/figures/"
START = time.time_ns() // 1_000_000
#: characters of an output, and of a question, of the large runs; checkpoints of one of them, and characters of each;
#: names of pending nodes
OUTPUT, QUESTION, CHECKPOINTS, EACH, NAMES = 5_000_000, 2_000_000, 100, 3_000_000, 700_000
#: as PostgreSQL comes, fsync on
CONFIGURATION = ""

FILL = """
INSERT INTO sessions (id, workspace_id, title, directory, created_at, updated_at)
SELECT 's' || n, CASE WHEN n %% 50 = 0 THEN NULL ELSE 'workspace ' || n %% {workspaces} END,
       'Session number ' || n, '/srv/' || n %% 1000, {begin} + n * 997, {begin} + 60000 + n * 997
FROM generate_series(1, %(sessions)s) n;
INSERT INTO messages (session_id, role, content, tokens_in, tokens_out, created_at)
SELECT 's' || n, CASE m WHEN 0 THEN 'user' ELSE 'assistant' END, repeat('words of a message ', 10), 100, 20,
       {begin} + n * 997 + m
FROM generate_series(1, %(sessions)s) n, generate_series(0, 1) m;
INSERT INTO checkpoints (id, session_id, namespace, version, step, node_id, node_results, pending_nodes, source,
                         created_at)
SELECT 'c' || n, 's' || n, '', 1, 1, 'work',
       '{{"work":{{"status":"' || CASE WHEN n %% 500 = 0 THEN 'failed' ELSE 'completed' END
       || '","output":"' || repeat(md5(n::text), 20) || '","startedAt":1700000000000,"completedAt":1700000060000}}}}',
       '[]', CASE WHEN n %% 2000 = 0 THEN 'interrupt' ELSE 'loop' END, {begin} + 60000 + n * 997
FROM generate_series(1, %(sessions)s) n;
INSERT INTO sessions (id, workspace_id, title, directory, created_at, updated_at)
VALUES ('long', 'workspace 1', 'A long session', '/', 1600000000000, 1600100000000),
       ('short', 'workspace 1', 'A short session', '/', 1600000000000, 1600100000000);
INSERT INTO messages (session_id, role, content, tokens_in, tokens_out, created_at)
SELECT id, 'assistant', repeat('words of a message ', 10), 100, 20, 1600000000000 + n * 1000
FROM (VALUES ('long', {long}), ('short', {short})) many (id, count), generate_series(1, many.count) n;
INSERT INTO checkpoints (id, session_id, namespace, version, step, node_results, pending_nodes, source, created_at)
SELECT id || '-last', id, '', 1, 1, '{{"work":{{"status":"completed"}}}}', '["report"]', 'loop', 1600100000000
FROM (VALUES ('long'), ('short')) both_of_them (id);
INSERT INTO sessions (id, workspace_id, title, directory, created_at, updated_at)
SELECT id, 'large', id, '/', 1600000000000, 1600100000000
FROM (VALUES ('outputs'), ('question'), ('many'), ('names')) large (id);
INSERT INTO checkpoints (id, session_id, namespace, version, step, node_id, node_results, pending_nodes, source,
                         created_at)
SELECT 'outputs', 'outputs', '', 1, 1, 'b', '{{' || string_agg('"' || node || '":{{"status":"' || status ||
       '","output":"' || repeat('words ', {output} / 6) || '","startedAt":1600000000000,"completedAt":1600000060000}}',
       ',') || ',"c":{{"status":"failed","error":"the index is gone","startedAt":1600000060000}}}}', '["d"]', 'loop',
       1600100000000
FROM (VALUES ('a', 'completed'), ('b', 'completed')) nodes (node, status)
UNION ALL
SELECT 'question', 'question', '', 1, 1, 'ask', '{{"ask":{{"status":"pending","interrupt":{{"reason":"Publish it?",'
       || '"options":["yes","no"],"draft":"' || repeat('words ', {question} / 6) || '"}}}}}}', '["ask"]', 'interrupt',
       1600100000000
UNION ALL
SELECT 'many-' || n, 'many', '', n, n, 'work', '{{"work":{{"status":"completed","output":"'
       || repeat('words ', {each} / 6) || '","startedAt":' || 1600000000000 + n * 1000 || ',"completedAt":'
       || 1600000000900 + n * 1000 || '}}}}', '[]', 'loop', 1600000000900 + n * 1000
FROM generate_series(1, {checkpoints}) n
UNION ALL
SELECT 'names-' || n, 'names', '', n, n, 'work', '{{}}', '["name' || repeat('","name', {names} - 1) || '"]', 'loop',
       1600000000900 + n * 1000
FROM generate_series(1, 10) n
"""


def configure(url: str) -> None:
    parts = urlsplit(url)
    contrib = ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")
    processors = ("template.context_processors.request", "contrib.auth.context_processors.auth")
    settings.configure(
        SECRET_KEY="benchmark",
        ALLOWED_HOSTS=["testserver"],
        USE_TZ=True,
        INSTALLED_APPS=[*(f"django.contrib.{name}" for name in contrib), "obsku_checkpoint"],
        ROOT_URLCONF="benchmarks.admin_urls",
        STATIC_URL="static/",
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        *(f"django.{name}" for name in processors),
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "postgres",
                "USER": parts.username,
                "HOST": parse_qs(parts.query)["host"][0],
                "CONN_MAX_AGE": None,
            }
        },
    )
    django.setup()


def begin(sessions: int) -> int:
    """Milliseconds: the last session was active a minute ago, at the beginning of this process."""
    return START - 120_000 - sessions * 997


def fill(sessions: int) -> None:
    sizes = {
        "workspaces": WORKSPACES, "long": LONG, "short": SHORT, "begin": begin(sessions), "output": OUTPUT,
        "question": QUESTION, "each": EACH, "checkpoints": CHECKPOINTS, "names": NAMES,
    }  # fmt: skip
    with connection.cursor() as cursor:
        for statement in FILL.format(**sizes).split(";"):
            cursor.execute(statement, {"sessions": sessions} if "%(" in statement else None)
        for version in (2, 3):
            output = [
                {
                    "file": f"/srv/shop/{n}.py",
                    "line": n * version % 977,
                    "rule": "query-in-loop",
                    "text": "for order in orders:",
                }
                for n in range(ENTRIES)
            ]
            results = orjson.dumps({"work": {"status": "completed", "output": output}}).decode()
            cursor.execute(
                "INSERT INTO checkpoints (id, session_id, namespace, version, step, node_results, source, created_at)"
                " VALUES (%s, 'short', 'large', %s, 1, %s, 'loop', 1600100000000)",
                [f"large-{version}", version, results],
            )
            print(f"a checkpoint of {len(results):,} bytes", flush=True)
        cursor.execute("VACUUM ANALYZE")


def pages(sessions: int) -> Iterator[tuple[str, str]]:
    """(what it is, its address)"""
    listed = "/admin/obsku_checkpoint/session/"
    middle = f"{begin(sessions) + 60000 + sessions // 2 * 997},s{sessions // 2}"
    yield "list of sessions", listed
    yield "list, in the middle", f"{listed}?before={middle}"
    yield "list, one workspace", f"{listed}?workspace=workspace+7"
    yield "list, the last hour", f"{listed}?active=hour"
    yield "list, search", f"{listed}?q=number+{sessions - 7}"
    for state in ("waiting", "failed", "unfinished"):
        yield f"list, {state}", f"{listed}?state={state}"
    yield "index of the admin", "/admin/"
    yield "waiting for a person", f"{listed}waiting/"
    for name, id in (("100 messages", "short"), ("100,000 messages", "long")):
        yield f"overview, {name}", f"{listed}{id}/change/"
        yield f"transcript, {name}", f"{listed}{id}/transcript/"
        yield f"is there news? {name}", f"{listed}{id}/live/"
    yield "timeline", f"{listed}s7/timeline/"
    yield "tree of forks", f"{listed}s7/forks/"
    yield (
        "comparison of 1 MB",
        "/admin/obsku_checkpoint/checkpoint/large-3/compare/?with=large-2",
    )
    yield "list of the large ones", f"{listed}?workspace=large"
    yield "list of the large ones, failed", f"{listed}?workspace=large&state=failed"
    for page in ("change", "transcript", "timeline"):
        yield f"two outputs of 5 MB: {page}", f"{listed}outputs/{page}/"
    yield "two outputs of 5 MB: checkpoint", "/admin/obsku_checkpoint/checkpoint/outputs/change/"
    yield "a question of 2 MB", f"{listed}question/change/"
    for page in ("change", "transcript", "timeline", "checkpoints"):
        yield f"{CHECKPOINTS} checkpoints of 3 MB: {page}", f"{listed}many/{page}/"
    for page in ("change", "checkpoints"):
        yield f"{NAMES:,} pending nodes: {page}", f"{listed}names/{page}/"


def statements(see: Callable[[], object]) -> int:
    """How many are sent for a page."""
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415 - reads the settings when it is imported

    with CaptureQueriesContext(connection) as sent:
        see()
        return len(sent.captured_queries)


def figures(client: Any) -> Iterator[tuple[str, str, str, str, str]]:
    """The rows of the page of figures: when nothing has been counted, a minute after all was, and within the minute."""
    # They read the settings when they are imported.
    from django.core.cache import cache  # noqa: PLC0415

    from obsku_checkpoint.maintenance import figures as counting  # noqa: PLC0415

    def seen(name: str, rounds: int, before: Callable[[], object] = lambda: None) -> tuple[str, str, str, str, str]:
        times = []
        for _ in range(rounds):
            before()
            start = time.perf_counter()
            size = len(client.get(FIGURES).content) / 1000
            times.append(time.perf_counter() - start)
        before()
        count = statements(lambda: client.get(FIGURES))
        before()
        most = megabytes(lambda: client.get(FIGURES))
        return f"figures, {name}", str(count), f"{median(times) * 1000:.1f}", f"{most:.1f}", f"{size:.0f}"

    yield seen("the first of a day", 3, cache.clear)
    fresh, counting.FRESH = counting.FRESH, 0  # what was counted is kept, and no page
    for _ in range(counting.DAYS):
        client.get(FIGURES)
    yield seen("a minute later", 9)
    counting.FRESH = fresh
    client.get(FIGURES)
    yield seen("within a minute", 9)


def megabytes(see: Callable[[], object]) -> float:
    """What a process takes more at its peak to see a page that it has seen before."""

    def peak() -> int:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0])

    read, write = os.pipe()
    if (child := os.fork()) == 0:
        connection.connection = None  # the parent's
        connection.ensure_connection()
        before = peak()
        see()
        os.write(write, str(peak() - before).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        kilobytes = int(told.read())
    os.waitpid(child, 0)
    return kilobytes / 1000


def main(sessions: int, seconds: float, out: Path) -> None:
    # Django's settings depend on the server, and these on Django's settings.
    from django.contrib.auth.models import User  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    fill(sessions)
    client = Client()
    client.force_login(User.objects.create_superuser("root"))

    addresses = dict(pages(sessions))
    times: dict[str, list[float]] = {name: [] for name in addresses}
    for _ in range(ROUNDS):  # all pages in turn: the machine may have other things to do for a while
        for name, address in addresses.items():
            end = time.perf_counter() + seconds / ROUNDS
            while not times[name] or time.perf_counter() < end:
                start = time.perf_counter()
                assert client.get(address).status_code == 200, address
                times[name].append(time.perf_counter() - start)

    rows = [("page", "statements", "median ms", "peak, MB", "HTML, kB")]
    for name, address in addresses.items():
        size = len(client.get(address).content) / 1000
        count = statements(lambda address=address: client.get(address))  # type: ignore[misc]  # a default binds it
        most = megabytes(lambda address=address: client.get(address))  # type: ignore[misc]  # as above
        rows.append((name, str(count), f"{median(times[name]) * 1000:.1f}", f"{most:.1f}", f"{size:.0f}"))
        print(*rows[-1], sep="\t", flush=True)
    for row in figures(client):
        rows.append(row)
        print(*row, sep="\t", flush=True)
    head = f"Written by `python -m benchmarks.admin`: {sessions:,} sessions and checkpoints, twice as many messages."
    rules = [("---", "---:", "---:", "---:", "---:")]
    table = "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], *rules, *rows[1:]])
    machine = f"PostgreSQL on a socket, {os.cpu_count()} processors, Python {platform.python_version()}"
    out.write_text(f"# The admin's pages\n\n{head} {machine}.\n\n{table}\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.admin", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each page")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks/admin.md"))
    arguments = parser.parse_args()
    with postgres_server(CONFIGURATION) as server_url:
        configure(server_url)
        main(arguments.sessions, arguments.seconds, arguments.out)
