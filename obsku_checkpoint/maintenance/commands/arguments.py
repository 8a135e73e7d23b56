"""The types of arguments: what a person writes, and what it means."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import datetime, timedelta

from django.utils import timezone

_AGE = re.compile(r"(\d{1,6})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def timestamp(text: str) -> datetime:
    """A time in ISO 8601; in the project's time zone, if it names none."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a time in ISO 8601, such as 2026-01-31T12:00") from None
    return timezone.make_aware(value) if timezone.is_naive(value) else value


def age(text: str) -> timedelta:
    """An age as ``30d``, ``12h`` or ``90m``."""
    if not (match := _AGE.fullmatch(text)):
        raise ArgumentTypeError(f"{text!r} is not an age, such as 30d, 12h or 90m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def positive(text: str) -> int:
    """A number from 1 on."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**31):
        raise ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)
