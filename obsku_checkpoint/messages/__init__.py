"""Transcripts in the shapes of others: OpenAI's chat and responses, Anthropic's messages, LangChain's, pydantic-ai's.

Pure functions of plain JSON data; no framework is imported, and nothing here knows Django. ``to_…`` takes what a store
returns (`MessageRecord`), or mappings with the parameter names of ``add_message``; ``from_…`` returns such mappings,
for ``add_messages``.

What a model reads (texts, roles, calls, results) is never dropped: where the other shape cannot hold it, or a message
cannot, `InvalidRecordError` names the place. What stands beside it (ids, times, tokens, …) is dropped as each function
says. Values of JSON-plus travel in their tagged form, and come back. A message with no content, call and result says
nothing, and is left out.
"""

from __future__ import annotations

from obsku_checkpoint.messages.anthropic import from_anthropic, to_anthropic
from obsku_checkpoint.messages.langchain import from_langchain, to_langchain
from obsku_checkpoint.messages.openai_chat import from_openai_chat, to_openai_chat
from obsku_checkpoint.messages.openai_responses import from_openai_responses, to_openai_responses
from obsku_checkpoint.messages.pydantic_ai import from_pydantic_ai, to_pydantic_ai

__all__ = [
    "from_anthropic",
    "from_langchain",
    "from_openai_chat",
    "from_openai_responses",
    "from_pydantic_ai",
    "to_anthropic",
    "to_langchain",
    "to_openai_chat",
    "to_openai_responses",
    "to_pydantic_ai",
]
