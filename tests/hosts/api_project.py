"""Projects that mount the API, each with settings of its own: ``python -m tests.hosts.api_project NAME SQLITE_FILE``.

The named project answers as the API's page says, to its own client as well, or the program fails.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import django
import httpx
import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path, re_path

from obsku_checkpoint import errors
from obsku_checkpoint.client import HTTPCheckpointStore

DRF = "rest_framework"
HERE = "tests.hosts.api_project"
API = "obsku_checkpoint.api.urls"
APPS = ["django.contrib.auth", "django.contrib.contenttypes", "obsku_checkpoint"]


def versioned(name: str, **further: Any) -> dict[str, Any]:
    return {"REST_FRAMEWORK": {"DEFAULT_VERSIONING_CLASS": f"{DRF}.versioning.{name}", **further}}


def mounted(*at: Any, base: str) -> dict[str, Any]:
    """Where the project mounts the API, and where it is found there."""
    return {"MOUNTED": at, "BASE": base}


#: drf-spectacular describes the API; 3.0.3 is its default
DESCRIBED: dict[str, Any] = {
    "INSTALLED_APPS": [*APPS, "drf_spectacular", "rest_framework_simplejwt"],
    "REST_FRAMEWORK": {
        "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    },
}
#: the settings of each project, over those of `configure`
PROJECTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "URLPathVersioning": {
        **versioned("URLPathVersioning", ALLOWED_VERSIONS=["v1"]),
        **mounted((re_path, r"^api/(?P<version>v[12])/"), base="api/v2/"),
    },
    "NamespaceVersioning": {**versioned("NamespaceVersioning", ALLOWED_VERSIONS=["v1"])},
    "AcceptHeaderVersioning": versioned("AcceptHeaderVersioning", ALLOWED_VERSIONS=["1"], DEFAULT_VERSION="2"),
    "QueryParameterVersioning": versioned("QueryParameterVersioning", ALLOWED_VERSIONS=["1"], VERSION_PARAM="limit"),
    "HostNameVersioning": versioned("HostNameVersioning", ALLOWED_VERSIONS=["v1"]),
    "an envelope around errors": {"REST_FRAMEWORK": {"EXCEPTION_HANDLER": f"{HERE}.envelope"}},
    "a handler that answers 200": {"REST_FRAMEWORK": {"EXCEPTION_HANDLER": f"{HERE}.always_well"}},
    "renderers for browsers": {
        "INSTALLED_APPS": [*APPS, DRF],
        "REST_FRAMEWORK": {
            "DEFAULT_RENDERER_CLASSES": [
                f"{DRF}.renderers.BrowsableAPIRenderer",
                f"{DRF}.renderers.TemplateHTMLRenderer",
            ],
            "URL_FORMAT_OVERRIDE": "search",
            "DEFAULT_CONTENT_NEGOTIATION_CLASS": f"{HERE}.NoNegotiation",
        },
    },
    "parsers of forms": {"REST_FRAMEWORK": {"DEFAULT_PARSER_CLASSES": [f"{DRF}.parsers.FormParser"]}},
    "pages by number": {
        "REST_FRAMEWORK": {"DEFAULT_PAGINATION_CLASS": f"{DRF}.pagination.PageNumberPagination", "PAGE_SIZE": 1}
    },
    "filters": {
        "REST_FRAMEWORK": {
            "DEFAULT_FILTER_BACKENDS": [f"{DRF}.filters.SearchFilter", f"{DRF}.filters.OrderingFilter"],
            "SEARCH_PARAM": "workspace_id",
            "ORDERING_PARAM": "cursor",
        }
    },
    "names and formats": {
        "REST_FRAMEWORK": {
            "DATETIME_FORMAT": "%d.%m.%Y",
            "NON_FIELD_ERRORS_KEY": "general",
            "FORMAT_SUFFIX_KWARG": "id",
            "COMPACT_JSON": False,
            "UNICODE_JSON": False,
            "STRICT_JSON": False,
        }
    },
    "permissions for nobody": {"REST_FRAMEWORK": {"DEFAULT_PERMISSION_CLASSES": [f"{HERE}.Never"]}},
    "no anonymous user": {"REST_FRAMEWORK": {"UNAUTHENTICATED_USER": None, "UNAUTHENTICATED_TOKEN": None}},
    "throttles": {
        "REST_FRAMEWORK": {
            "DEFAULT_THROTTLE_CLASSES": [f"{DRF}.throttling.UserRateThrottle"],
            "DEFAULT_THROTTLE_RATES": {"user": "10000/day"},
        }
    },
    "JWT": {
        "INSTALLED_APPS": [*APPS, "rest_framework_simplejwt"],
        "REST_FRAMEWORK": {
            "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"]
        },
    },
    "a tenant in the path": mounted((path, "t/<slug:tenant>/api/"), base="t/acme/api/"),
    "a path argument called id": mounted((path, "<int:id>/"), base="7/"),
    "a group without a name": mounted((re_path, r"^(v\d)/"), base="v1/"),
    "a suffix in the path": mounted((path, "<str:format>/"), base="xml/"),
    "a namespace within another": {"NAMESPACES": ["outer", "inner"]},
    "mounted twice": mounted((path, "one/"), (path, "two/"), base="two/"),
    "no slashes appended": {"APPEND_SLASH": False, "MIDDLEWARE": ["django.middleware.common.CommonMiddleware"]},
    "below a prefix": {"FORCE_SCRIPT_NAME": "/shop"},
    "ATOMIC_REQUESTS": {"ATOMIC_REQUESTS": True},
    "rest_framework installed": {"INSTALLED_APPS": [*APPS, DRF, "django_filters", "drf_spectacular"]},
    "OpenAPI 3.0.3": DESCRIBED,
    "OpenAPI 3.1.0": {**DESCRIBED, "SPECTACULAR_SETTINGS": {"OAS_VERSION": "3.1.0"}},
    "another time zone, another language": {
        "USE_TZ": False,
        "TIME_ZONE": "America/New_York",
        "LANGUAGE_CODE": "de",
        "USE_THOUSAND_SEPARATOR": True,
        "MIDDLEWARE": ["django.middleware.locale.LocaleMiddleware"],
    },
    "conditional and compressed answers": {
        "MIDDLEWARE": ["django.middleware.gzip.GZipMiddleware", "django.middleware.http.ConditionalGetMiddleware"],
    },
}


def envelope(error: Exception, context: dict[str, Any]) -> Any:
    from rest_framework.views import exception_handler  # noqa: PLC0415 - settings name this module

    response = exception_handler(error, context)
    if response is not None:
        response.data = {"error": {"status": response.status_code, "info": response.data}}
    return response


def always_well(error: Exception, context: dict[str, Any]) -> Any:
    from rest_framework.response import Response  # noqa: PLC0415 - as above

    return Response({"foreign": type(error).__name__}, 200)


class Never:
    def has_permission(self, request: Any, view: Any) -> bool:
        return False

    has_object_permission = has_permission


class NoNegotiation:
    def select_renderer(self, *arguments: Any) -> Any:
        raise AssertionError("the project's negotiation was asked")


class Root:
    """Signs everybody in, as a user who may do everything."""

    def authenticate(self, request: Any) -> Any:
        from django.contrib.auth.models import User  # noqa: PLC0415 - settings name this module

        if request.META.get("HTTP_AUTHORIZATION") == "Token nobody":
            return None
        return User(username="root", is_superuser=True), None

    def authenticate_header(self, request: Any) -> str:
        return "Token"


def broken(request: Any) -> None:
    """A ``WORKSPACE_SCOPE`` that fails on demand."""
    if "broken" in request.META.get("HTTP_USER_AGENT", ""):
        raise LookupError


def configure(project: dict[str, Any], file: str) -> str:
    """Set Django up as the project does; the path at which it has the API."""
    project = dict(project)
    at = project.pop("MOUNTED", [(path, "api/")])
    base: str = project.pop("BASE", "api/")
    namespaces = project.pop("NAMESPACES", [])
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": file,
        "ATOMIC_REQUESTS": project.pop("ATOMIC_REQUESTS", False),
    }
    urls = ModuleType("project_urls")
    given = {
        "SECRET_KEY": "a key of the tests, long enough for signatures",
        "ALLOWED_HOSTS": ["*"],
        "INSTALLED_APPS": APPS,
        "DATABASES": {"default": database},
        "ROOT_URLCONF": urls,
        "OBSKU_CHECKPOINT": {"WORKSPACE_SCOPE": f"{HERE}.broken"},
        **project,
        "REST_FRAMEWORK": {
            "DEFAULT_AUTHENTICATION_CLASSES": [f"{HERE}.Root"],
            **project.get("REST_FRAMEWORK", {}),
        },
    }
    settings.configure(**given)
    django.setup()

    def routes(namespaces: list[str]) -> Any:
        if not namespaces:
            return include(API)
        return include(([path("", routes(namespaces[1:]))], namespaces[0]))

    urls.urlpatterns = [where(pattern, routes(namespaces)) for where, pattern in at]  # type: ignore[attr-defined]
    return base


@contextmanager
def client(base: str) -> Iterator[tuple[httpx.Client, HTTPCheckpointStore]]:
    script = settings.FORCE_SCRIPT_NAME or ""
    url = f"http://v1.example.com{script}/{base}"
    headers = {}
    if "JWT" in str(settings.REST_FRAMEWORK):
        from django.contrib.auth.models import User  # noqa: PLC0415 - Django is set up
        from rest_framework_simplejwt.tokens import AccessToken  # noqa: PLC0415 - as above

        user = User.objects.create_superuser("root")
        headers["Authorization"] = f"Bearer {AccessToken.for_user(user)}"
    application = get_wsgi_application()

    def behind_a_proxy(environ: dict[str, Any], start_response: Any) -> Any:
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(script)
        return application(environ, start_response)

    transport = httpx.WSGITransport(behind_a_proxy)
    with (
        httpx.Client(base_url=url, headers=headers, transport=transport) as raw,
        HTTPCheckpointStore(url, headers=headers, transport=transport, retries=0) as store,
    ):
        yield raw, store


def through_its_client(store: HTTPCheckpointStore) -> None:
    """What a server's answers come to: values, None, False, and the errors that programs catch."""
    session = store.create_session("/", title="T", workspace_id="w", metadata={"when": {1, 2}})
    assert store.create_session("/", title="T", workspace_id="w", metadata={"when": {1, 2}}, id=session.id) == session
    for number in range(5):
        store.add_message(session.id, "user", str(number))
    first, second = (store.save_checkpoint(session.id, step=step, node_results={}) for step in (1, 2))
    assert [one.content for one in store.get_messages(session.id)] == list("01234")
    assert store.list_checkpoints(session.id, limit=1) == [second]
    assert store.get_latest_checkpoint(session.id) == second
    assert store.get_lineage(first.id) == [first]
    fork = store.fork(first.id, title="F")
    assert store.update_session(fork.id, title="G").title == "G"
    assert {one.id for one in store.search_sessions("", "w")} == {session.id, fork.id}
    assert [one.id for one in store.list_sessions("w", before=fork.updated_at)] in ([], [session.id])
    assert len(store.get_messages(session.id, before=store.get_messages(session.id)[2].created_at)) == 2
    summary = store.get_session_summary(session.id)
    assert summary is not None
    assert (summary.message_count, summary.checkpoint_count) == (5, 2)
    latest = store.continue_latest("w")
    assert latest is not None
    assert latest.session.id in (session.id, fork.id)
    absent: list[Any] = [store.get_session("nope"), store.get_checkpoint("nope"), store.delete_session("nope")]
    assert absent == [None, None, False]
    refused: list[tuple[type[Exception], Callable[[], object]]] = [
        (errors.IdConflictError, lambda: store.create_session("/other", id=session.id)),
        (errors.VersionConflictError, lambda: store.save_checkpoint(session.id, step=1, node_results={}, version=1)),
        (errors.SessionNotFoundError, lambda: store.add_message("nope", "user")),
        (errors.CheckpointNotFoundError, lambda: store.fork("nope")),
    ]
    for error, call in refused:
        with pytest.raises(error):
            call()
    assert store.delete_session(session.id) is True


def as_documented(raw: httpx.Client) -> None:
    """Bodies, pages and headers."""
    ids = [raw.post("sessions/", json={"directory": "/", "workspace_id": "p"}).json()["id"] for _ in range(3)]
    page = raw.get("sessions/", params={"workspace_id": "p", "limit": "2"}).json()
    rest = raw.get(page["next"]).json()
    assert [one["id"] for one in page["results"] + rest["results"]] == ids[::-1]
    assert re.fullmatch(r"[-0-9]{10}T[:0-9]{8}\.[0-9]{3}Z", page["results"][0]["updated_at"])
    assert rest["previous"].startswith(str(raw.base_url))
    one = f"sessions/{ids[0]}/"
    answers = {
        404: raw.get("sessions/nope/"),
        405: raw.put(one),
        406: raw.get(one, headers={"Accept": "text/html"}),
        409: raw.post("sessions/", json={"directory": "/other", "id": ids[0]}),
        412: raw.patch(one, json={"title": "T"}, headers={"If-Match": '"x"'}),
        415: raw.post("sessions/", content=b"a=b", headers={"Content-Type": "application/x-www-form-urlencoded"}),
        400: raw.post("sessions/", json={"unknown": 1}),
    }
    assert {code: answer.status_code for code, answer in answers.items()} == {code: code for code in answers}
    codes = {code: answers[code].json().get("code") for code in (404, 409)}
    assert codes == {404: "session_not_found", 409: "id_conflict"}
    assert set(answers[400].json()) == {"unknown", "directory"}
    assert all(set(answers[code].json()) == {"detail"} for code in (405, 406, 412, 415))
    if "JWT" not in str(settings.REST_FRAMEWORK):
        refused = raw.get(one, headers={"Authorization": "Token nobody"})
        assert (refused.status_code, list(refused.json())) == (401, ["detail"])


def foreign_exceptions_are_the_projects(raw: httpx.Client) -> None:
    if "always_well" in str(settings.REST_FRAMEWORK):
        answer = raw.get("sessions/", headers={"User-Agent": "broken"})
        assert (answer.status_code, answer.json()) == (200, {"foreign": "LookupError"})


def main(name: str, file: str) -> None:
    base = configure(PROJECTS[name], file)
    call_command("migrate", verbosity=0)
    if "DEFAULT_SCHEMA_CLASS" in settings.REST_FRAMEWORK:
        call_command("spectacular", "--validate", "--fail-on-warn", "--file", f"{file}.yaml")
    with client(base) as (raw, store):
        through_its_client(store)
        as_documented(raw)
        foreign_exceptions_are_the_projects(raw)


if __name__ == "__main__":
    main(*sys.argv[1:])
