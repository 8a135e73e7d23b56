"""An agent on LangGraph: it adds up an order with a tool, and asks before it sends the bill.

Its model is a fake of LangChain's, which says what it is to say, so that nothing here needs a network.
"""

from __future__ import annotations

import time
from typing import Any

from langchain_core.language_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

from obsku_checkpoint.contrib.langgraph import DjangoSaver

#: of the sessions, and in ``LANGGRAPH_GRAPHS``
DIRECTORY = "orders"
#: seconds that the tool takes: time enough to be killed
SECONDS = 0.4
ITEMS = [("2 chairs", 120), ("1 table", 340), ("4 lamps", 96)]


def model_after(turns: int) -> FakeMessagesListChatModel:
    """The model, at its next thing to say."""
    if turns < len(ITEMS):
        item, price = ITEMS[turns]
        call = {"name": "price", "args": {"item": item, "price": price}, "id": f"call-{turns + 1}"}
        said = AIMessage(f"What do {item} cost?", tool_calls=[call])
    else:
        said = AIMessage(f"All together: {sum(price for _, price in ITEMS)}.")
    said.usage_metadata = {"input_tokens": 40 + 30 * turns, "output_tokens": 12, "total_tokens": 52 + 30 * turns}
    return FakeMessagesListChatModel(responses=[said])


def agent(state: MessagesState) -> dict[str, Any]:
    turns = sum(isinstance(message, AIMessage) for message in state["messages"])
    return {"messages": [model_after(turns).invoke(state["messages"])]}


def tools(state: MessagesState) -> dict[str, Any]:
    (call,) = state["messages"][-1].tool_calls  # type: ignore[union-attr]  # the agent's message
    time.sleep(SECONDS)
    return {"messages": [ToolMessage(str(call["args"]["price"]), tool_call_id=call["id"])]}


def send(state: MessagesState) -> dict[str, Any]:
    answer = interrupt({"reason": "Shall the bill be sent?", "options": ["send it", "throw it away"]})
    return {"messages": [AIMessage("The bill is sent." if answer == "send it" else "The bill is thrown away.")]}


def follow(state: MessagesState) -> str:
    return "tools" if state["messages"][-1].tool_calls else "send"  # type: ignore[union-attr]  # as above


builder = StateGraph(MessagesState)
builder.add_node("agent", agent)
builder.add_node("tools", tools)
builder.add_node("send", send)
builder.add_edge(START, "agent")
builder.add_conditional_edges("agent", follow, ["tools", "send"])
builder.add_edge("tools", "agent")
builder.add_edge("send", END)

graph = builder.compile(checkpointer=DjangoSaver(directory=DIRECTORY))
