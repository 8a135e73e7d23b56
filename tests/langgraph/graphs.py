"""Graphs for the tests, whose runs do the same over every saver: no clock and no chance is in their states."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import _messages_delta_reducer, add_messages
from langgraph.types import Send, interrupt


class Chat(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    note: str


class DeltaChat(TypedDict):
    messages: Annotated[list[AnyMessage], DeltaChannel(_messages_delta_reducer, snapshot_frequency=5)]
    note: str


def tool_loop(state: Any = Chat) -> Any:
    """agent -> tools -> agent -> approve, which asks."""

    def agent(state: Chat) -> dict[str, Any]:
        turn = len(state["messages"])
        if isinstance(state["messages"][-1], ToolMessage):
            return {"messages": [AIMessage("3", id=f"a{turn}", usage_metadata=usage(11, 7))]}
        call = {"name": "add", "args": {"a": 1, "b": 2}, "id": f"call-{turn}"}
        return {"messages": [AIMessage("", id=f"a{turn}", tool_calls=[call])]}

    def tools(state: Chat) -> dict[str, Any]:
        call = state["messages"][-1].tool_calls[0]  # type: ignore[union-attr]  # the agent's message
        return {"messages": [ToolMessage("3", tool_call_id=call["id"], id=f"t{len(state['messages'])}")]}

    def approve(state: Chat) -> dict[str, Any]:
        return {"note": interrupt({"reason": "Is it right?", "options": ["yes", "no"]})}

    def follow(state: Any) -> str:
        return "tools" if state["messages"][-1].tool_calls else "approve"

    builder = StateGraph(state)
    for node in (agent, tools, approve):
        builder.add_node(node, input_schema=state)
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", follow, ["tools", "approve"])
    builder.add_edge("tools", "agent")
    builder.add_edge("approve", END)
    return builder


def usage(tokens_in: int, tokens_out: int) -> Any:
    return {"input_tokens": tokens_in, "output_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}


def question(number: int) -> dict[str, Any]:
    return {"messages": [HumanMessage("1+2?", id=f"h{number}")]}


def extended(log: list[str], writes: list[list[str]]) -> list[str]:
    return [*log, *(line for lines in writes for line in lines)]


class Deltas(TypedDict):
    log: Annotated[list[str], DeltaChannel(extended, snapshot_frequency=3)]
    count: Annotated[int, operator.add]


def deltas() -> Any:
    def step(state: Deltas) -> dict[str, Any]:
        return {"log": [f"step {len(state['log'])}"], "count": 1}

    builder = StateGraph(Deltas)
    builder.add_node("one", step)
    builder.add_node("two", step)
    builder.add_edge(START, "one")
    builder.add_edge("one", "two")
    builder.add_edge("two", END)
    return builder


class Fan(TypedDict):
    topics: list[str]
    jokes: Annotated[list[str], operator.add]
    answer: str


def fan() -> Any:
    """Three sends, then a sub-graph that asks."""

    def inner(state: Fan) -> dict[str, Any]:
        return {"answer": interrupt("Which one?")}

    sub = StateGraph(Fan)
    sub.add_node("ask", inner)
    sub.add_edge(START, "ask")

    def spread(state: Fan) -> list[Send]:
        return [Send("joke", {"topics": [topic]}) for topic in state["topics"]]

    def joke(state: Fan) -> dict[str, Any]:
        return {"jokes": [f"about {state['topics'][0]}"]}

    builder = StateGraph(Fan)
    builder.add_node("joke", joke)
    builder.add_node("choose", sub.compile())
    builder.add_conditional_edges(START, spread, ["joke"])
    builder.add_edge("joke", "choose")
    builder.add_edge("choose", END)
    return builder


class Polls(TypedDict):
    topics: list[str]
    votes: Annotated[list[str], operator.add]


def polls() -> Any:
    """A task for each topic, all of one node, and each asks."""

    def ask(state: Polls) -> dict[str, Any]:
        topic = state["topics"][0]
        return {"votes": [f"{topic}: {interrupt(f'And {topic}?')}"]}

    builder = StateGraph(Polls)
    builder.add_node("ask", ask)
    builder.add_conditional_edges(
        START, lambda state: [Send("ask", {"topics": [topic]}) for topic in state["topics"]], ["ask"]
    )
    builder.add_edge("ask", END)
    return builder
