"""Tokens per message, as small as a word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from obsku_checkpoint.admin.drawings.svg import drawing, element
from obsku_checkpoint.admin.format import number

HEIGHT, WIDTH, GAP = 56, 750, 1
NARROW, WIDE = 4, 18


def sparkline(tokens: Sequence[tuple[int, int]]) -> SafeString:
    """``tokens``: (in, out) of each message, oldest first. Out stands on in."""
    most = max((tokens_in + tokens_out for tokens_in, tokens_out in tokens), default=0)
    if not most:
        return SafeString("")

    width = min(WIDE, max(NARROW, WIDTH // len(tokens) - GAP))

    def bars() -> Iterator[SafeString]:
        for position, (tokens_in, tokens_out) in enumerate(tokens):
            x, low, high = position * (width + GAP), HEIGHT * tokens_in / most, HEIGHT * tokens_out / most
            title = element(
                "title",
                _("%(tokens_in)s in, %(tokens_out)s out")
                % {"tokens_in": number(tokens_in), "tokens_out": number(tokens_out)},
            )
            bar = (
                element("rect", x=x, y=HEIGHT - low, width=width, height=low, class_="obsku-tokens-in"),
                element("rect", x=x, y=HEIGHT - low - high, width=width, height=high, class_="obsku-tokens-out"),
            )
            yield element("g", title, *bar)

    label = _("Tokens per message, the last %(count)s with tokens; the most are %(most)s") % {
        "count": len(tokens),
        "most": number(most),
    }
    return drawing(bars(), width=max(60, len(tokens) * (width + GAP)), height=HEIGHT, label=label, kind="sparkline")
