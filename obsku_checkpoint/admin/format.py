"""Numbers, sizes, times and durations as a person reads them. Nothing here raises, whatever is stored."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from obsku_checkpoint.fields import EPOCH
from obsku_checkpoint.records import CorruptValue

_UNITS = (("s", 1), ("min", 60), ("h", 3600), ("d", 86400))
_PARTS = [(whole, part) for part, whole in pairwise(_UNITS)]
_FIRST, _LAST = (
    (moment - EPOCH) / timedelta(milliseconds=1)
    for moment in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC, microsecond=0))
)
#: seconds for which "ago" is said in seconds
_SECONDS = 90


def number(count: int) -> str:
    """``12,345``, as the language has it."""
    return str(intcomma(count))


def size(count: int) -> str:
    """``512 bytes``, ``1.2 KB``, ``3.4 MB``."""
    return str(filesizeformat(count)).replace("\xa0", " ")


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
    return f"{number(int(seconds // whole[1]))} {whole[0]}" + (f" {rest} {part[0]}" if rest else "")


def lasted(milliseconds: float) -> str:
    """`duration` of milliseconds, as many as may lie between two stored times."""
    return duration(timedelta(milliseconds=milliseconds))


def milliseconds(value: Any) -> float | None:
    """A stored number as milliseconds since 1970; None for whatever is not a time of the years 1 to 9999."""
    if type(value) not in (int, float) or (type(value) is float and not math.isfinite(value)):
        return None
    return float(value) if _FIRST <= value <= _LAST else None


def at(milliseconds: float) -> datetime:
    """The timestamp of `milliseconds`."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def timestamp(value: datetime | CorruptValue) -> SafeString:
    """A time in the project's time zone, with its milliseconds in the title; a corrupt one as it is stored."""
    return _time(value, lambda local: f"{local:%Y-%m-%d %H:%M:%S}")


def exact(value: datetime | CorruptValue) -> SafeString:
    """The time of a day to the millisecond, with its date in the title."""
    return _time(value, lambda local: f"{local:%H:%M:%S}.{local.microsecond // 1000:03}")


def ago(value: datetime | CorruptValue) -> SafeString:
    """``3 s ago``, ``2 days ago``, with the time itself in the title."""
    return _time(value, lambda local: _("%(time)s ago") % {"time": since(local)})


def since(value: datetime) -> str:
    """How long ago a time was: ``3 s``, ``2 days``."""
    seconds = (datetime.now(UTC) - value).total_seconds()
    if abs(seconds) < _SECONDS:
        return f"{max(0, round(seconds))} s"
    return timesince(value, depth=1).replace("\xa0", " ")


def span(start: datetime | CorruptValue, end: datetime | CorruptValue) -> timedelta | None:
    """The time between two timestamps; None where one of them is not known."""
    if isinstance(start, CorruptValue) or isinstance(end, CorruptValue):
        return None
    return end - start


def _time(value: datetime | CorruptValue, text: Any) -> SafeString:
    if isinstance(value, CorruptValue):
        return format_html('<span class="obsku-bad" title="{}">{}</span>', value.reason, value.text[:40])
    try:
        local = timezone.localtime(value)
    except (OverflowError, ValueError):  # the first or the last day there is
        local = value
    return format_html(
        '<time datetime="{}" title="{}.{} {}">{}</time>',
        value.isoformat(),
        f"{local:%Y-%m-%d %H:%M:%S}",
        f"{local.microsecond // 1000:03}",
        local.tzname(),
        text(local),
    )
