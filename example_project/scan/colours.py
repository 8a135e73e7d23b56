"""Colours on a terminal, and none anywhere else."""

from __future__ import annotations

from django.core.management.base import OutputWrapper
from django.core.management.color import supports_color
from django.utils.termcolors import colorize

from example_project.scan.report import Paint, plain

#: style -> (colour, options); what is not named here keeps the terminal's own colour
STYLES = {
    "critical": ("red", ("bold", "reverse")),
    "high": ("red", ("bold",)),
    "medium": ("yellow", ("bold",)),
    "low": ("cyan", ()),
    "title": ("", ("bold",)),
    "good": ("green", ("bold",)),
    "bad": ("red", ("bold",)),
    "command": ("cyan", ("bold",)),
}


def painter(stream: OutputWrapper, *, no_color: bool) -> Paint:
    """The colours for a command's output; none with ``--no-color`` or where the output is no terminal."""
    if no_color or not stream.isatty() or not supports_color():
        return plain
    return paint


def paint(text: str, style: str) -> str:
    foreground, options = STYLES.get(style, ("", ()))
    return str(colorize(text, opts=options, **({"fg": foreground} if foreground else {})))
