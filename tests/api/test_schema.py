"""The OpenAPI schema says what the routes do, and the routes do what it says."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from typing import Any

import hypothesis
import pytest
import schemathesis
import yaml
from django.contrib.auth.models import User
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given, strategies
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from obsku_checkpoint import records
from obsku_checkpoint.api import memory_serializers, serializers, urls
from obsku_checkpoint.api.openapi.operations import NEW_SESSION
from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.url_ids import RESERVED
from tests.api.conftest import Client

#: cases for each operation and database, and the share of the proper POSTs that must be accepted
CASES, SHARE = 10, 0.7
SIGNED_IN = {"Authorization": "Basic " + b64encode(b"scoped:scoped").decode()}
WORKSPACE = str(NEW_SESSION["workspace_id"])
INTEGERS = ("step", "version", "tokens_in", "tokens_out", "top_k")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PARAMETERS = re.compile(r"<obsku_id:(\w+)>")
ROUTES = [
    ("/api/" + PARAMETERS.sub(r"{\1}", str(pattern.pattern)), method)
    for pattern in urls.urlpatterns
    for method in pattern.callback.actions  # type: ignore[attr-defined]  # a viewset's view has them
    if method != "head"
]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """Made by drf-spectacular, with every warning an error, and valid OpenAPI."""
    written = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=written)
    loaded: dict[str, Any] = yaml.safe_load(written.getvalue())
    return loaded


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if path.startswith("/api/"):
                yield path, method, operation


def test_the_schema_is_openapi_3_1_and_has_every_route(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")
    assert len(list(operations(schema))) == 32


def test_every_operation_is_described_with_its_errors(schema: dict[str, Any]) -> None:
    for path, method, operation in operations(schema):
        assert operation["summary"], (path, method)
        for parameter in operation.get("parameters", []):
            described = parameter.get("description") or parameter["schema"].get("description")
            assert described, (path, method, parameter)
        wanted = {"401", "403", "406", "411", "413", "503"}
        if "{id}" in path:
            wanted |= {"404"}
        if "requestBody" in operation:
            wanted |= {"400", "415"}
        assert wanted <= set(operation["responses"]), (path, method)
        assert "Retry-After" in operation["responses"]["503"]["headers"]


def test_a_body_is_required_where_the_route_refuses_to_go_without(schema: dict[str, Any], api: Client) -> None:
    for path, method, operation in operations(schema):
        if method in ("post", "put", "patch"):
            address = re.sub(r"{\w+}", "1", path)
            refused = api.generic(method, address, content_type="application/json").status_code == 400
            required = operation.get("requestBody", {}).get("required", False)
            assert required == refused, (path, method)


def test_every_field_has_a_type_a_description_and_numbers_a_format(schema: dict[str, Any]) -> None:
    for name, component in schema["components"]["schemas"].items():
        for field, described in component.get("properties", {}).items():
            place = f"{name}.{field}"
            assert described.keys() & {"type", "$ref", "allOf", "oneOf"}, place
            assert described.get("description"), place
            if "integer" in described.get("type", ()):
                assert described["format"] in ("int32", "int64"), place


def test_the_schema_names_what_a_record_holds() -> None:
    own = (serializers.Session, serializers.Message, serializers.Checkpoint)
    for shown in (*own, memory_serializers.Entity, memory_serializers.Fact):
        record = getattr(records, f"{shown.__name__}Record")
        assert set(shown().fields) == {*record.__slots__, "corrupt"}


def scope(request: Any) -> list[str]:
    """The workspace of the examples."""
    return [WORKSPACE]


@pytest.fixture
def known(store: DjangoCheckpointStore, api: Client, settings: Any) -> dict[str, str]:
    """Where there is something that the scoped user sees: its ids, by the first part of a path."""
    settings.OBSKU_CHECKPOINT = {
        **settings.OBSKU_CHECKPOINT,
        "WORKSPACE_SCOPE": "tests.api.test_schema.scope",
        "STREAM_MAX_SECONDS": 1,
    }
    settings.ALLOWED_HOSTS = ["localhost", "testserver"]
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # each request signs in
    User.objects.filter(username="scoped").delete()
    User.objects.create_superuser("scoped", password="scoped")
    session = store.create_session("/", workspace_id=WORKSPACE)
    message = store.add_message(session.id, "user", "hello")
    return {
        "sessions": session.id,
        "messages": str(message.id),
        "checkpoints": store.save_checkpoint(session.id, step=1, node_results={}).id,
        "entities": store.save_entity(session.id, name="a", type="b", workspace_id=WORKSPACE, embedding=[1.0]).id,
        "facts": store.save_fact("a", workspace_id=WORKSPACE).id,
    }


def of_the_users_own(case: schemathesis.Case[Any], known: dict[str, str]) -> None:
    """Have a request say what the scoped user may: any workspace and session but theirs is refused, rightly."""
    case.query.pop("cursor", None)  # only an answer has one
    for name in case.path_parameters:
        case.path_parameters[name] = known[case.path.split("/")[2]]
    for body in case.body if isinstance(case.body, list) else [case.body]:
        if isinstance(body, dict):  # 5.0 is an integer to JSON Schema
            for name, value in body.items():
                body[name] = int(value) if name in INTEGERS and type(value) is float else value
    if isinstance(case.body, dict) and "search" not in case.path:
        own = {"workspace_id": WORKSPACE, "session_id": known["sessions"], "source_session_id": known["sessions"]}
        makes = case.method == "POST" and case.path in ("/api/sessions/", "/api/entities/", "/api/facts/")
        described = case.operation.body[0].definition["schema"]["properties"] if makes else {}
        case.body |= {name: value for name, value in own.items() if name in case.body or name in described}


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_answers_are_those_of_the_schema(
    schema: dict[str, Any], known: dict[str, str], path: str, method: str, mode: str
) -> None:
    # Anew for each test: it remembers answers to make requests of, and grows slow.
    loaded = schemathesis.openapi.from_dict(schema)
    streams = path.endswith("events/")
    loaded.app = get_asgi_application() if streams else get_wsgi_application()
    operation = loaded[path][method.upper()]
    if mode == "negative" and not (operation.query or operation.body):
        return  # any text is an id
    answers: Counter[bool] = Counter()
    own = mode == "positive" and method == "post"

    @hypothesis.settings(
        max_examples=2 if streams else CASES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=GenerationMode(mode)), strategies.booleans())
    def run(case: schemathesis.Case[Any], somewhere: bool) -> None:
        hypothesis.assume(case.path_parameters.get("id") not in RESERVED)  # which are other routes
        if own or (somewhere and not path.endswith("{id}/")):
            of_the_users_own(case, known)
        answer = case.call(headers=SIGNED_IN)
        case.validate_response(answer, checks=CHECKS)
        answers[answer.status_code < 300] += 1

    run()
    if own:
        assert answers[True] >= SHARE * answers.total(), answers
