"""Figures as a person reads them."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from obsku_checkpoint.records import CorruptValue

_UNITS = (("s", 1), ("min", 60), ("h", 3600), ("d", 86400))
_PARTS = [(whole, part) for part, whole in pairwise(_UNITS)]


def duration(time: timedelta) -> str:
    """``340 ms``, ``4.2 s``, ``3 min 5 s``, ``2 h 10 min``, ``3 d 4 h``."""
    seconds = time.total_seconds()
    if seconds < 0:
        return f"-{duration(-time)}"
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole, part = _PARTS[0 if seconds < 3600 else 1 if seconds < 86400 else 2]
    rest = int(seconds % whole[1] // part[1])
    return f"{int(seconds // whole[1]):,} {whole[0]}" + (f" {rest} {part[0]}" if rest else "")


def span(start: datetime | CorruptValue, end: datetime | CorruptValue) -> timedelta | None:
    """The time between two moments; None where one of them is not known."""
    if isinstance(start, CorruptValue) or isinstance(end, CorruptValue):
        return None
    return end - start


def size(count: int) -> str:
    """``512 bytes``, ``1.2 kB``, ``3.4 MB``."""
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def moment(value: datetime | CorruptValue) -> SafeString:
    """A time in the project's time zone, to the millisecond; a corrupt one as it is stored."""
    if isinstance(value, CorruptValue):
        return format_html('<span class="obsku-bad" title="{}">{}</span>', value.reason, value.text[:40])
    try:
        local = timezone.localtime(value)
    except OverflowError:  # the first or the last day there is
        local = value
    text = f"{local:%Y-%m-%d %H:%M:%S}"
    return format_html(
        '<time datetime="{}" title="{}.{} {}">{}</time>',
        value.isoformat(),
        text,
        f"{value.microsecond // 1000:03}",
        local.tzname(),
        text,
    )
