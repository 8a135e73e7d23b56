"""JSON without tags: the standard library's module, and bare orjson."""

from __future__ import annotations

import json
import os
from typing import Any

import orjson

from benchmarks.driver import Parameters, serve


class StandardJson:
    value: Any = None

    def prepare_encode(self, parameters: Parameters) -> None:
        self.value = json.loads(parameters["text"])

    def encode(self, parameters: Parameters, client: int, turn: int) -> str:
        return json.dumps(self.value, separators=(",", ":"), ensure_ascii=False)

    def decode(self, parameters: Parameters, client: int, turn: int) -> Any:
        return json.loads(parameters["text"])


class BareOrjson(StandardJson):
    def encode(self, parameters: Parameters, client: int, turn: int) -> str:
        return orjson.dumps(self.value).decode()

    def decode(self, parameters: Parameters, client: int, turn: int) -> Any:
        return orjson.loads(parameters["text"])


if __name__ == "__main__":
    serve(lambda url: BareOrjson() if os.environ.get("BENCHMARK_FORM") == "orjson" else StandardJson())
