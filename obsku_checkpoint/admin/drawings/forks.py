"""Sessions that were forked from each other: a lane for each, behind the checkpoint that it was forked from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from obsku_checkpoint.admin.drawings.svg import drawing, element, link, status_class, text_width
from obsku_checkpoint.admin.format import number
from obsku_checkpoint.printable import plain

LANE, DOT, STEP, TOP, LABEL, RIGHT = 56, 6, 22, 12, 18, 24
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
    #: how it stands, and the class of its colour
    standing: str
    status: str
    #: the checkpoint it was forked from, in a lane above
    origin: str | None
    here: bool
    #: oldest first; those left out between the first and the shown ones
    dots: list[Dot] = field(default_factory=list)
    left_out: int = 0

    @property
    def label(self) -> str:
        left_out = ngettext("+%(count)s checkpoint", "+%(count)s checkpoints", self.left_out)
        return plain(self.title, TITLE) + (f" ({left_out % {'count': number(self.left_out)}})" if self.left_out else "")


def forks(lanes: Sequence[Lane]) -> SafeString:
    """``lanes``: each behind the one it was forked from."""
    places: dict[str, tuple[int, int]] = {}
    for place, lane in enumerate(lanes):
        start = places[lane.origin][0] + STEP if lane.origin in places else TOP + DOT
        for column, dot in enumerate(lane.dots):
            places[dot.id] = (start + column * STEP, TOP + place * LANE + LABEL + DOT + 6)
    starts = [places[lane.dots[0].id][0] if lane.dots else TOP for lane in lanes]
    width = max(
        480.0,
        *(x + RIGHT for x, _y in places.values()),
        *(x + text_width(f"{lane.label}  {lane.standing}") + RIGHT for x, lane in zip(starts, lanes, strict=True)),
    )

    def parts() -> Iterator[SafeString]:
        for lane in lanes:
            yield from _lines(lane, places)
        for place, lane in enumerate(lanes):
            yield from _lane(lane, TOP + place * LANE, places)

    label = ngettext("Tree of %(count)s session", "Tree of %(count)s sessions", len(lanes)) % {"count": len(lanes)}
    return drawing(parts(), width=width, height=TOP + len(lanes) * LANE + 8, label=label, kind="forks")


def _lines(lane: Lane, places: dict[str, tuple[int, int]]) -> Iterator[SafeString]:
    if not lane.dots:
        return
    (x1, y), (x2, _y) = places[lane.dots[0].id], places[lane.dots[-1].id]
    yield element("line", x1=x1, y1=y, x2=x2, y2=y, class_="obsku-edge")
    if lane.origin in places:
        x, top = places[lane.origin]
        yield element("path", d=f"M{x} {top}V{y - 10}Q{x} {y} {x + 10} {y}H{x1}", class_="obsku-edge obsku-fork")


def _lane(lane: Lane, y: int, places: dict[str, tuple[int, int]]) -> Iterator[SafeString]:
    x = places[lane.dots[0].id][0] - DOT if lane.dots else TOP
    mark = " obsku-here" if lane.here else ""
    here = _("(this one)") if lane.here else ""
    standing = element("tspan", f"  {lane.standing}", class_=f"obsku-standing obsku-standing-{lane.status}")
    text = element("text", lane.label, standing, x=x, y=y + 12, class_=f"obsku-label{mark}")
    yield link(lane.address, f"{plain(lane.title, 80)}, {lane.standing} {here}", text)
    for dot in lane.dots:
        cx, cy = places[dot.id]
        circle = element("circle", cx=cx, cy=cy, r=DOT, class_=f"obsku-dot {status_class(dot.status)}{mark}")
        hit = element("circle", cx=cx, cy=cy, r=11, class_="obsku-hit")
        yield link(dot.address, dot.name, hit, circle)
