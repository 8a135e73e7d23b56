"""Values with types on their way in and out: bodies are JSON-plus, as the columns are."""

from __future__ import annotations

from collections.abc import Mapping
from shutil import copyfileobj
from tempfile import TemporaryFile
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
        request = (parser_context or {}).get("request")
        waits = request is not None and is_heavy(request) and not request.parser_context["view"].turn.taken
        body = _in_turn(stream, request) if waits else stream.read()
        try:
            return codec.loads(codec.tag_integers(body.decode()))
        except UnicodeDecodeError as error:
            raise ParseError(f"The body is not UTF-8 at byte {error.start}") from error
        except CheckpointCorruptionError as error:
            raise ParseError(f"The body is not JSON-plus: {error.path}: {error.reason}") from error


def is_heavy(request: Any) -> bool:
    """Whether the body is."""
    return int(request.META.get("CONTENT_LENGTH") or 0) > HEAVY


def _in_turn(stream: IO[Any], request: Any) -> bytes:
    """A long body. It takes as long to come as its client likes, and those that wait are in no memory."""
    with TemporaryFile() as kept:
        copyfileobj(stream, kept)
        turn_of(request)()
        kept.seek(0)
        return kept.read()


class JsonPlusRenderer(BaseRenderer):
    """Writes JSON. Stored values are in it as `serializers.column` gives them."""

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
