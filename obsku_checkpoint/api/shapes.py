"""JSON schemas of the JSON-plus columns: their keys are the npm package's."""

from __future__ import annotations

OBJECT = {"type": "object", "additionalProperties": {}}
TEXT = {"type": "string"}
TOOL_CALLS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {**TEXT, "description": "Which tool is called."},
            "toolUseId": {**TEXT, "description": "What the result refers to."},
            "input": {"description": "The tool's arguments: any JSON-plus value."},
        },
        "required": ["name", "toolUseId", "input"],
    },
}
TOOL_RESULTS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "toolUseId": {**TEXT, "description": "Which call this is the result of."},
            "content": {"description": "What the tool gave back: any JSON-plus value."},
            "status": {"type": ["string", "null"], "description": "How it went, such as success or error."},
            "fullOutputRef": {"type": ["string", "null"], "description": "Where the whole output is, if it was cut."},
        },
        "required": ["toolUseId", "content"],
    },
}
MILLISECONDS = {"type": ["number", "null"], "description": "Milliseconds since 1970."}
NODE_RESULTS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {
            "status": {**TEXT, "enum": ["pending", "running", "completed", "failed", "skipped"]},
            "output": {"description": "What the node gave: any JSON-plus value."},
            "error": {"description": "Why it failed: any JSON-plus value."},
            "startedAt": MILLISECONDS,
            "completedAt": MILLISECONDS,
        },
        "required": ["status"],
    },
}
CYCLE_STATE = {
    "type": "object",
    "properties": {
        "backEdge": {**TEXT, "description": "The edge that leads back, as `a->b`."},
        "iteration": {"type": "integer", "format": "int32", "description": "How often it was taken."},
    },
    "required": ["backEdge", "iteration"],
}
NAMES = {"type": "array", "items": TEXT}
CORRUPT = {
    "type": "object",
    "additionalProperties": {"type": "object", "properties": {"text": TEXT, "reason": TEXT}},
}
