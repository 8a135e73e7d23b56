"""Values with types on their way in and out: bodies are JSON-plus, as the columns are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from obsku_checkpoint import codec
from obsku_checkpoint.api.turns import HEAVY, turn_of
from obsku_checkpoint.errors import CheckpointCorruptionError


class JsonPlusParser(BaseParser):
    """Reads a body as the store reads a column: tagged objects become dates, sets, bytes and maps.

    Integers beyond 64 bits are exact: in a column JavaScript wrote them, whose numbers they are; here any client did.
    """

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = stream.read()  # which takes as long as the client likes
        if len(body) > HEAVY and parser_context:
            turn_of(parser_context["request"])()
        try:
            return codec.loads(codec.tag_integers(body.decode()))
        except UnicodeDecodeError as error:
            raise ParseError(f"The body is not UTF-8 at byte {error.start}") from error
        except CheckpointCorruptionError as error:
            raise ParseError(f"The body is not JSON-plus: {error.path}: {error.reason}") from error


class JsonPlusRenderer(BaseRenderer):
    """Writes JSON. Stored values are in it as `column` gives them."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return b"" if data is None else orjson.dumps(data)


class JsonOnly(DefaultContentNegotiation):
    """The header Accept decides; no parameter does, whatever the project calls it (``URL_FORMAT_OVERRIDE``)."""

    def filter_renderers(self, renderers: Any, format: str) -> Any:
        return renderers


def column(value: Any) -> orjson.Fragment:
    """A stored value in its tagged form; `SerializationError` where it is nested deeper than can be written."""
    return orjson.Fragment(codec.dumps(value))
