"""Sessions that were forked from each other: a lane for each, its checkpoints from left to right as they were saved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from django.utils.safestring import SafeString

from obsku_checkpoint.admin.drawings.svg import drawing, element, link, status_class
from obsku_checkpoint.printable import plain

LANE, DOT, STEP, TOP, LABEL, RIGHT = 56, 6, 22, 12, 18, 40
TITLE = 60


@dataclass(frozen=True, slots=True)
class Dot:
    """One checkpoint."""

    id: str
    name: str
    status: str
    address: str


@dataclass(slots=True)
class Lane:
    """One session."""

    title: str
    address: str
    #: the checkpoint it was forked from, in a lane above
    origin: str | None
    here: bool
    #: oldest first; those left out between the first and the shown ones
    dots: list[Dot] = field(default_factory=list)
    left_out: int = 0


def family(lanes: Sequence[Lane], order: Sequence[str]) -> SafeString:
    """``order``: the ids of all shown checkpoints, oldest first; it gives each its place from left to right."""
    column = {id: position for position, id in enumerate(order)}
    places = {
        dot.id: (TOP + DOT + column[dot.id] * STEP, TOP + number * LANE + LABEL + DOT + 6)
        for number, lane in enumerate(lanes)
        for dot in lane.dots
    }
    width = max(480, TOP + len(order) * STEP + RIGHT + max((len(lane.title) for lane in lanes), default=0) * 2)

    def parts() -> Iterator[SafeString]:
        for lane in lanes:
            yield from _lines(lane, places)
        for number, lane in enumerate(lanes):
            yield from _lane(lane, TOP + number * LANE, places)

    label = f"Tree of {len(lanes)} sessions"
    return drawing(parts(), width=width, height=TOP + len(lanes) * LANE + 8, label=label, kind="family")


def _lines(lane: Lane, places: dict[str, tuple[int, int]]) -> Iterator[SafeString]:
    if not lane.dots:
        return
    (x1, y), (x2, _) = places[lane.dots[0].id], places[lane.dots[-1].id]
    yield element("line", x1=x1, y1=y, x2=x2, y2=y, class_="obsku-edge")
    if lane.origin in places:
        x, top = places[lane.origin]
        yield element("path", d=f"M{x} {top}V{y - 10}Q{x} {y} {x + 10} {y}H{x1}", class_="obsku-edge obsku-fork")


def _lane(lane: Lane, y: int, places: dict[str, tuple[int, int]]) -> Iterator[SafeString]:
    x = places[lane.dots[0].id][0] - DOT if lane.dots else TOP
    mark = " obsku-here" if lane.here else ""
    name = plain(lane.title, TITLE) + (f" (+{lane.left_out:,} checkpoints)" if lane.left_out else "")
    text = element("text", name, x=x, y=y + 12, class_=f"obsku-label{mark}")
    yield link(lane.address, f"Session {plain(lane.title, 80)}" + (" (this one)" if lane.here else ""), text)
    for dot in lane.dots:
        cx, cy = places[dot.id]
        circle = element("circle", cx=cx, cy=cy, r=DOT, class_=f"obsku-dot {status_class(dot.status)}{mark}")
        hit = element("circle", cx=cx, cy=cy, r=11, class_="obsku-hit")
        yield link(dot.address, dot.name, hit, circle)
