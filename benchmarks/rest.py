"""``python -m benchmarks.rest``: requests per second of the API beside a plain `ModelViewSet` on the same tables.

Both are called as WSGI applications in one process, in turn, with the same authentication and permission class, so
that what differs is the view, the serializer and what they ask the database. Plain is what the documentation of Django
REST framework shows: a model serializer and cursor pages. Its POST writes the message and nothing else; ours checks
the values, and advances the session's time as well.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings

from tests.postgres_server import postgres_server

MESSAGE = {
    "role": "assistant",
    "content": "I look at the queries. " * 20,
    "tool_calls": [{"name": "explain", "toolUseId": "use-1", "input": {"page": "/orders", "rows": list(range(20))}}],
    "tokens_in": 812,
    "tokens_out": 64,
}
SESSIONS = 500
ROUNDS = 6
PAGE = 50
#: as PostgreSQL comes, fsync on
CONFIGURATION = ""


def configure(url: str, authentication: str = "benchmarks.rest_user.Root", **options: Any) -> None:
    """``options`` are further keys of OBSKU_CHECKPOINT."""
    parts = urlsplit(url)
    settings.configure(
        SECRET_KEY="benchmark",
        ALLOWED_HOSTS=["localhost"],
        USE_TZ=True,
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "obsku_checkpoint"],
        ROOT_URLCONF="benchmarks.rest_urls",
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "postgres",
                "USER": parts.username,
                "HOST": parse_qs(parts.query)["host"][0],
                "CONN_MAX_AGE": None,
            }
        },
        REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [authentication]},
        OBSKU_CHECKPOINT={"PAGE_SIZE": PAGE, **options},
    )
    django.setup()


def caller(application: Any, method: str, path: str, body: Any = None) -> Callable[[], Any]:
    raw = b"" if body is None else json.dumps(body).encode()
    path, _, query = path.partition("?")

    def call() -> Any:
        codes: list[str] = []
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(raw)),
            "wsgi.input": io.BytesIO(raw),
            "wsgi.url_scheme": "http",
        }

        def start(status: str, headers: Any, error: Any = None) -> None:
            codes.append(status)

        answer = application(environ, start)
        content = b"".join(answer)
        answer.close()
        assert codes[0][:3] in ("200", "201"), (codes, content[:500])
        return json.loads(content)

    return call


def per_second(call: Callable[[], Any], seconds: float) -> float:
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        call()
        count += 1
    return count / elapsed


def main(seconds: float) -> None:
    # Django's settings depend on the server, and these on Django's settings.
    from django.core.management import call_command  # noqa: PLC0415
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    application = get_wsgi_application()
    made = [
        caller(
            application, "POST", "/api/sessions/", {"directory": "/srv/shop", "title": str(n), "metadata": {"n": n}}
        )()
        for n in range(SESSIONS)
    ]
    id = made[0]["id"]
    work = {
        "POST messages/": {
            "ours": caller(application, "POST", f"/api/sessions/{id}/messages/", MESSAGE),
            "plain": caller(application, "POST", "/plain/messages/", {**MESSAGE, "session": made[1]["id"]}),
        },
        "GET sessions/": {
            "ours": caller(application, "GET", "/api/sessions/"),
            "plain": caller(application, "GET", "/plain/sessions/"),
        },
    }
    print(f"{'requests per second':<22}{'ours':>10}{'plain':>10}{'ratio':>8}")
    for name, calls in work.items():
        rates: dict[str, list[float]] = {system: [] for system in calls}
        for call in calls.values():
            per_second(call, seconds / 4)
        for turn in range(ROUNDS):
            for system in sorted(calls, reverse=turn % 2 == 1):
                rates[system].append(per_second(calls[system], seconds))
        ours, plain = (statistics.median(rates[system]) for system in ("ours", "plain"))
        print(f"{name:<22}{ours:>10.0f}{plain:>10.0f}{ours / plain:>8.2f}", flush=True)
    counted = {system: len(call()["results"]) for system, call in work["GET sessions/"].items()}
    assert counted == {"ours": PAGE, "plain": PAGE}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each round, of which each system has six")
    arguments = parser.parse_args()
    with postgres_server(CONFIGURATION) as server_url:
        configure(server_url)
        main(arguments.seconds)
