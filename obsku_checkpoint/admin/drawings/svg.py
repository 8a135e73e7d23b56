"""The elements of a drawing."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

#: how a node may stand -> what a person reads; each has a colour of its own, other statuses share one
STATUSES = {
    "completed": gettext_lazy("completed"),
    "running": gettext_lazy("running"),
    "failed": gettext_lazy("failed"),
    "waiting": gettext_lazy("waiting for a person"),
    "pending": gettext_lazy("pending"),
    "skipped": gettext_lazy("skipped"),
}


def element(name: str, *content: SafeString | str, **attributes: object) -> SafeString:
    """``element("text", "a & b", x=1, class_="label")``; content that is not safe is escaped."""
    written = format_html_join(
        "", ' {}="{}"', ((key.rstrip("_").replace("_", "-"), _written(value)) for key, value in attributes.items())
    )
    tag = SafeString(name)
    return format_html("<{}{}>{}</{}>", tag, written, format_html_join("", "{}", ((part,) for part in content)), tag)


def drawing(
    parts: Iterable[SafeString], *, width: float, height: float, label: str, kind: str, focus: float | None = None
) -> SafeString:
    """The whole drawing in its own units; it is scrolled where the page is narrower, at first to ``focus``."""
    content = list(parts)
    return format_html(
        '<div class="obsku-drawing obsku-drawing-{}" tabindex="0" role="region" aria-label="{}"{}>{}</div>',
        kind,
        label,
        SafeString("") if focus is None else format_html(' data-focus="{}"', round(focus)),
        element(
            "svg",
            *content,
            viewBox=f"0 0 {_written(width)} {_written(height)}",
            width=width,
            height=height,
            class_=f"obsku-svg obsku-{kind}",
            role="group",
            aria_label=label,
        ),
    )


def link(address: str, label: str, *content: SafeString) -> SafeString:
    """A part of the drawing that leads somewhere, with what it is called."""
    return element("a", element("title", label), *content, href=address, aria_label=label)


def status_class(status: object) -> str:
    return f"obsku-status-{status}" if status in STATUSES else "obsku-status-other"


def status_name(status: str) -> str:
    """What a person reads."""
    return str(STATUSES.get(status, status))


def text_width(text: str) -> float:
    """About, in the drawings' font of 12 px."""
    return 6.6 * len(text)


def _written(value: object) -> object:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value
