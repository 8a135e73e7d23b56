"""A model that says what it is told to, through the SDK's own interface: no network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from agents import ModelResponse, Usage, set_tracing_disabled
from agents.models.interface import Model
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
    ResponseUsage,
)
from openai.types.responses.response_reasoning_item import Summary
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

set_tracing_disabled(True)  # without it the SDK looks for a key

#: of each response
TOKENS_IN, TOKENS_OUT = 11, 7


def says(text: str) -> ResponseOutputMessage:
    content = ResponseOutputText(type="output_text", text=text, annotations=[], logprobs=[])
    return ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[content])


def calls(name: str, id: str, arguments: str = "{}") -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(type="function_call", call_id=id, name=name, arguments=arguments)


def thinks(text: str) -> ResponseReasoningItem:
    return ResponseReasoningItem(
        id="r", type="reasoning", summary=[Summary(type="summary_text", text=text)], encrypted_content="gAAA"
    )


class ScriptedModel(Model):
    """Each turn of the script is a list of output items, or an exception."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.inputs: list[Any] = []

    async def get_response(self, system_instructions: Any, input: Any, *rest: Any, **more: Any) -> ModelResponse:
        return ModelResponse(output=self._turn(input), usage=usage(), response_id=None)

    async def stream_response(
        self, system_instructions: Any, input: Any, *rest: Any, **more: Any
    ) -> AsyncIterator[ResponseCompletedEvent]:
        response = Response(
            id="response",
            created_at=0,
            model="scripted",
            object="response",
            output=self._turn(input),
            tool_choice="none",
            tools=[],
            parallel_tool_calls=False,
            usage=ResponseUsage(
                input_tokens=TOKENS_IN,
                output_tokens=TOKENS_OUT,
                total_tokens=TOKENS_IN + TOKENS_OUT,
                input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
                output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
            ),
        )
        yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=0)

    def _turn(self, input: Iterable[Any]) -> list[Any]:
        self.inputs.append(input if isinstance(input, str) else list(input))
        turn = self.script.pop(0)
        if isinstance(turn, Exception):
            raise turn
        return list(turn)


def usage() -> Usage:
    return Usage(requests=1, input_tokens=TOKENS_IN, output_tokens=TOKENS_OUT, total_tokens=TOKENS_IN + TOKENS_OUT)
