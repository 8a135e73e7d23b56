"""Originals: a framework's own JSON of each message, beside the row that people and other programs read.

The adapters of OpenAI's agents and of pydantic-ai keep their transcripts with it; it is installed with them.
"""
