"""A bar for each day, of one or more parts that stand on each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from obsku_checkpoint.admin.drawings.svg import drawing, element, link, text_width
from obsku_checkpoint.admin.format import number

WIDTH, HEIGHT, LEFT, TOP, AXIS = 1000.0, 120.0, 90.0, 8.0, 22.0
#: part of a day's place that its bar fills
FULL = 0.7


@dataclass(frozen=True, slots=True)
class Bar:
    #: below the bar
    name: str
    #: (value, class) from below
    parts: Sequence[tuple[float, str]]
    #: what it says in words
    label: str
    #: "" where it leads nowhere
    address: str
    #: False where its value is not known, which is not the same as none
    known: bool = True

    @property
    def value(self) -> float:
        return sum(value for value, _ in self.parts)


def bars(of: Sequence[Bar], *, label: str) -> SafeString:
    """Nothing where no bar has a value."""
    most = max((bar.value for bar in of), default=0)
    if not most:
        return SafeString("")
    step = (WIDTH - LEFT) / len(of)

    def parts() -> Iterator[SafeString]:
        for share in (0.0, 0.5, 1.0):
            y = TOP + HEIGHT * (1 - share)
            yield element("line", x1=LEFT, y1=y, x2=WIDTH, y2=y, class_="obsku-grid")
            if share and (most >= 10 or share == 1):
                text = number(round(most * share))
                yield element("text", text, x=LEFT - 6, y=y + 4, text_anchor="end", class_="obsku-axis")
        every = 1 + int(max(text_width(bar.name) for bar in of) / step)
        for place, bar in enumerate(of):
            x = LEFT + step * place
            drawn = [*_column(bar, x + step * (1 - FULL) / 2, step * FULL, most)]
            kind = "obsku-row" if bar.known else "obsku-gap-band"
            hit = element("rect", x=x, y=TOP, width=step, height=HEIGHT, class_=kind)
            if bar.address:
                yield link(bar.address, bar.label, hit, *drawn)
            else:
                yield element("g", element("title", bar.label), hit, *drawn)
            if (len(of) - 1 - place) % every == 0:
                middle, below = x + step / 2, TOP + HEIGHT + AXIS - 6
                yield element("text", bar.name, x=middle, y=below, text_anchor="middle", class_="obsku-axis")

    return drawing(parts(), width=WIDTH, height=TOP + HEIGHT + AXIS, label=label, kind="bars")


def _column(bar: Bar, x: float, width: float, most: float) -> Iterator[SafeString]:
    y = TOP + HEIGHT
    for value, kind in bar.parts:
        height = HEIGHT * value / most
        y -= height
        if height:
            yield element("rect", x=x, y=y, width=width, height=height, class_=kind)
