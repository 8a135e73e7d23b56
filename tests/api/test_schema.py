"""The OpenAPI schema says what the routes do, and the routes do what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import hypothesis
import pytest
import schemathesis
import yaml
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
from obsku_checkpoint.store import DjangoCheckpointStore
from obsku_checkpoint.url_ids import RESERVED
from tests.api.conftest import Client

#: cases for each operation and database
CASES = 10
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


@pytest.fixture
def place(store: DjangoCheckpointStore, api: Client) -> dict[str, str]:
    """Where there is something: a session and a checkpoint of it."""
    session = store.create_session("/")
    store.add_message(session.id, "user", "hello")
    return {
        "sessions": session.id,
        "checkpoints": store.save_checkpoint(session.id, step=1, node_results={}).id,
        "entities": store.save_entity(session.id, name="a", type="b", embedding=[1.0]).id,
    }


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_answers_are_those_of_the_schema(
    api: Client, settings: Any, place: dict[str, str], path: str, method: str, mode: str
) -> None:
    settings.OBSKU_CHECKPOINT = {
        **settings.OBSKU_CHECKPOINT,
        "PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
    }
    settings.ALLOWED_HOSTS = ["localhost"]
    # Anew for each test: it remembers answers to make requests of, and grows slow.
    operation = schemathesis.openapi.from_wsgi("/schema/", get_wsgi_application())[path][method.upper()]
    if mode == "negative" and not (operation.query or operation.body):
        return  # any text is an id
    cases = operation.as_strategy(generation_mode=GenerationMode(mode))

    @hypothesis.settings(
        max_examples=CASES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(cases, strategies.booleans())
    def run(case: schemathesis.Case[Any], somewhere: bool) -> None:
        hypothesis.assume(case.path_parameters.get("id") not in RESERVED)  # which are other routes
        if somewhere and "id" in case.path_parameters and not path.endswith("{id}/"):
            case.path_parameters["id"] = place[path.split("/")[2]]
        answer = case.call()
        checks = list(CHECKS)
        if answer.status_code == 501:  # to say that there is no stream under WSGI is no failure of the server
            checks.remove(not_a_server_error)
        case.validate_response(answer, checks=checks)

    run()
