"""What ran when: a bar for each run of a node, from its start to its end, below each other in namespaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.utils.safestring import SafeString

from obsku_checkpoint.admin import format
from obsku_checkpoint.admin.drawings.svg import drawing, element, link, status_class, text_width
from obsku_checkpoint.printable import plain

WIDTH, LEFT, RIGHT, ROW, TOP = 960, 210, 90, 26, 30
TICKS = 5
NAME = 26


@dataclass(frozen=True, slots=True)
class Bar:
    """One run of a node."""

    namespace: str
    step: int
    node: str
    status: str
    #: milliseconds since 1970
    start: float
    #: None while it runs, or where the results do not say
    end: float | None
    address: str

    @property
    def lasted(self) -> str:
        return "" if self.end is None else format.lasted(self.end - self.start)

    @property
    def plain_node(self) -> str:
        return plain(self.node, 80)

    @property
    def plain_namespace(self) -> str:
        return plain(self.namespace, 40) or "main"

    @property
    def plain_status(self) -> str:
        return plain(self.status, 40)

    @property
    def status_class(self) -> str:
        return status_class(self.status)


def waterfall(bars: Sequence[Bar]) -> SafeString:
    """``bars`` in the order of the rows, those of a namespace together. Nothing where there are none."""
    if not bars:
        return SafeString("")
    begin = min(bar.start for bar in bars)
    end = max(max(bar.start, bar.end or bar.start) for bar in bars)
    scale = (WIDTH - LEFT - RIGHT) / max(end - begin, 1.0)
    namespaces = [(name, list(group)) for name, group in groupby(bars, key=lambda bar: bar.namespace)]
    height = TOP + ROW * (len(bars) + len(namespaces)) + 8

    def parts() -> Iterator[SafeString]:
        for tick in range(TICKS):
            x = LEFT + (WIDTH - LEFT - RIGHT) * tick / (TICKS - 1)
            passed = format.lasted((end - begin) * tick / (TICKS - 1))
            yield element("line", x1=x, y1=TOP - 8, x2=x, y2=height - 4, class_="obsku-grid")
            yield element("text", passed if tick else "0", x=x, y=TOP - 14, text_anchor="middle", class_="obsku-axis")
        y = float(TOP)
        for name, group in namespaces:
            yield element("text", plain(name, NAME) or "main", x=4, y=y + 17, class_="obsku-label obsku-strong")
            y += ROW
            for bar in group:
                yield _row(bar, y, begin, end, scale)
                y += ROW

    label = f"Timeline: {len(bars)} runs of nodes in {format.lasted(end - begin)}"
    return drawing(parts(), width=WIDTH, height=height, label=label, kind="waterfall")


def _row(bar: Bar, y: float, begin: float, end: float, scale: float) -> SafeString:
    x = LEFT + (bar.start - begin) * scale
    stop = end if bar.end is None and bar.status in ("running", "pending") else bar.end
    width = max(3.0, ((stop or bar.start) - bar.start) * scale)
    node = plain(bar.node, NAME)
    told = bar.lasted or bar.status
    inside = x + width + 8 + text_width(told) > WIDTH
    label = element(
        "text",
        plain(told, 24),
        x=x + width - 6 if inside else x + width + 6,
        y=y + 17,
        text_anchor="end" if inside else "start",
        class_="obsku-label obsku-inside" if inside and width > text_width(told) + 12 else "obsku-label",
    )
    if inside and width <= text_width(told) + 12:
        label = element("text", plain(told, 24), x=x - 6, y=y + 17, text_anchor="end", class_="obsku-label")
    name = f"{plain(bar.node, 80)}, step {bar.step}, {plain(bar.status, 40)}" + (
        f", {bar.lasted}" if bar.lasted else ""
    )
    return link(
        bar.address,
        name,
        element("rect", x=0, y=y, width=WIDTH, height=ROW, class_="obsku-row"),
        element("text", node, x=16, y=y + 17, class_="obsku-label"),
        element("text", f"{bar.step}", x=LEFT - 14, y=y + 17, text_anchor="end", class_="obsku-axis"),
        element("rect", x=x, y=y + 5, width=width, height=ROW - 10, rx=3, class_=f"obsku-bar {bar.status_class}"),
        label,
    )
