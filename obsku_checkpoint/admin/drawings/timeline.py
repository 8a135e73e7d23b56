"""What ran when: a row for each node, with a bar for each of its runs, and a hatched one where it waited for a person.

Times in which nothing happened, or only a person was waited for, are drawn short, with how long they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from obsku_checkpoint.admin import format
from obsku_checkpoint.admin.drawings.svg import drawing, element, link, status_class, status_name, text_width
from obsku_checkpoint.printable import plain

WIDTH, LEFT, RIGHT, ROW, AXIS = 1000, 210, 190, 28, 30
TICKS = 5
#: width of a gap, and the least that is drawn as one: milliseconds, and part of all that was worked
GAP, GAP_LEAST, GAP_PART = 46.0, 1000.0, 0.25
INDENT = 14

#: how a run of a node ended which its result does not say any more, or which is no status of a node
OVER, ASKED = "over", "asked"
_WORDS = {OVER: gettext_lazy("ended"), ASKED: gettext_lazy("asked")}


@dataclass(frozen=True, slots=True)
class Bar:
    """One run of a node, or the time in which it waited for a person."""

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
    def started(self) -> SafeString:
        return format.exact(format.at(self.start))

    @property
    def plain_node(self) -> str:
        return plain(self.node, 80)

    @property
    def plain_namespace(self) -> str:
        return plain(self.namespace, 40) or "main"

    @property
    def plain_status(self) -> str:
        return plain(str(_WORDS.get(self.status) or status_name(self.status)), 40)

    @property
    def status_class(self) -> str:
        return status_class(self.status)


@dataclass(frozen=True, slots=True)
class Track:
    """One row: a node's runs, oldest first."""

    node: str
    namespace: str
    #: graphs that the node is within, for a nested one
    depth: int
    bars: list[Bar]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A time on the axis: worked in, or a gap that is drawn short."""

    start: float
    end: float
    left: float
    right: float
    is_gap: bool


def union(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans that do not touch each other, of the same time in sum."""
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, max(start, end)))
    return joined


def timeline(tracks: Sequence[Track]) -> SafeString:
    """Nothing where there are no tracks."""
    bars = [bar for track in tracks for bar in track.bars]
    if not bars:
        return SafeString("")
    axis = _axis(bars)
    height = ROW * len(tracks) + 6

    def parts() -> Iterator[SafeString]:
        yield from _grid(axis, height)
        for number, track in enumerate(tracks):
            yield from _track(track, number * ROW, axis)

    label = _("Timeline: %(count)s runs of nodes") % {"count": format.number(len(bars))}
    box = f"0 0 {WIDTH} {AXIS}"
    head = element(
        "svg", *_ticks(axis), viewBox=box, width=WIDTH, height=AXIS, class_="obsku-svg obsku-timeline",
        aria_hidden="true",
    )  # fmt: skip
    body = drawing(parts(), width=WIDTH, height=height, label=label, kind="timeline")
    return format_html('<div class="obsku-times"><div class="obsku-axis-bar">{}</div>{}</div>', head, body)


# -- the axis


def _axis(bars: Sequence[Bar]) -> list[_Stretch]:
    last = max(max(bar.start, bar.end or bar.start) for bar in bars)
    worked = union(
        (bar.start, bar.end if bar.end is not None else (last if bar.status == "running" else bar.start))
        for bar in bars
        if bar.status != "waiting"
    )
    waited = [(bar.start, bar.end or bar.start) for bar in bars if bar.status == "waiting"]
    total = sum(end - start for start, end in worked)
    least = max(GAP_LEAST, total * GAP_PART)
    # Short pauses belong to the work around them.
    busy: list[tuple[float, float]] = []
    for start, end in worked or union(waited)[:1]:
        if busy and start - busy[-1][1] < least:
            busy[-1] = (busy[-1][0], end)
        else:
            busy.append((start, end))
    edges = [*busy, *([(last, last)] if last - busy[-1][1] >= least else [])]
    if first := min((start for start, _end in waited if busy[0][0] - start >= least), default=None):
        edges.insert(0, (first, first))
    length = sum(end - start for start, end in edges) or 1.0
    scale = (WIDTH - LEFT - RIGHT - GAP * (len(edges) - 1)) / length
    scale = max(scale, 0.0)
    stretches: list[_Stretch] = []
    x = float(LEFT)
    for place, (start, end) in enumerate(edges):
        if place:
            stretches.append(_Stretch(edges[place - 1][1], start, x, x + GAP, is_gap=True))
            x += GAP
        stretches.append(_Stretch(start, end, x, x + (end - start) * scale, is_gap=False))
        x = stretches[-1].right
    return stretches


def _x(moment: float, axis: Sequence[_Stretch]) -> float:
    for stretch in axis:
        if moment <= stretch.end:
            part = (moment - stretch.start) / ((stretch.end - stretch.start) or 1.0)
            return stretch.left + max(0.0, part) * (stretch.right - stretch.left)
    return axis[-1].right


def _ticks(axis: Sequence[_Stretch]) -> Iterator[SafeString]:
    worked = [stretch for stretch in axis if not stretch.is_gap]
    y, taken, said = AXIS - 10, float("-inf"), ""
    for stretch in axis:
        if stretch.is_gap:
            middle = (stretch.left + stretch.right) / 2
            lasted = format.lasted(stretch.end - stretch.start)
            if middle - text_width(lasted) / 2 > taken:
                yield element("text", lasted, x=middle, y=y, text_anchor="middle", class_="obsku-axis obsku-gap-text")
                taken = middle + text_width(lasted) / 2 + 8
            continue
        count = max(1, round(TICKS * (stretch.right - stretch.left) / (WIDTH - LEFT - RIGHT))) if worked else 1
        last = count if stretch is axis[-1] else count - 1  # before a gap there is its own text
        for tick in range(last + 1):
            moment = stretch.start + (stretch.end - stretch.start) * tick / count
            x = _x(moment, axis)
            text = format.lasted(moment - axis[0].start) if moment > axis[0].start else "0"
            if x - text_width(text) / 2 > taken and text != said:
                yield element("text", text, x=x, y=y, text_anchor="middle", class_="obsku-axis")
                said, taken = text, x + text_width(text) / 2 + 8


def _grid(axis: Sequence[_Stretch], height: float) -> Iterator[SafeString]:
    for stretch in axis:
        if stretch.is_gap:
            width = stretch.right - stretch.left
            yield element("rect", x=stretch.left, y=0, width=width, height=height, class_="obsku-gap-band")
        else:
            for x in (stretch.left, stretch.right):
                yield element("line", x1=x, y1=0, x2=x, y2=height, class_="obsku-grid")


# -- the rows


def _track(track: Track, y: float, axis: Sequence[_Stretch]) -> Iterator[SafeString]:
    indent = min(track.depth, 6) * INDENT
    runs = [bar for bar in track.bars if bar.status != "waiting"]
    times = f" \N{MULTIPLICATION SIGN} {format.number(len(runs))}" if len(runs) > 1 else ""
    name = plain(track.node, int((LEFT - 24 - indent) / 6.6) - len(times)) + times
    if track.namespace and not track.depth:
        name = plain(f"{track.namespace}/{track.node}", int((LEFT - 24) / 6.6) - len(times)) + times
    yield element("rect", x=0, y=y, width=WIDTH, height=ROW, class_="obsku-row")
    yield element("text", name, x=6 + indent, y=y + 18, class_=f"obsku-label{' obsku-inner' if indent else ''}")
    right = float(LEFT)
    for bar in track.bars:
        x = _x(bar.start, axis)
        stop = axis[-1].end if bar.end is None and bar.status == "running" else bar.end
        width = max(3.0, _x(stop, axis) - x if stop is not None else 0.0)
        right = max(right, x + width)
        named = f"{bar.plain_node}, " + _("step %(step)s") % {"step": bar.step} + f", {bar.plain_status}"
        yield link(
            bar.address,
            named + (f", {bar.lasted}" if bar.lasted else ""),
            element("rect", x=x, y=y + 3, width=max(width, 24.0), height=ROW - 4, class_="obsku-hit"),
            element("rect", x=x, y=y + 6, width=width, height=ROW - 12, rx=3, class_=f"obsku-bar {bar.status_class}"),
        )
    yield _lasted(track, right, y)


def _lasted(track: Track, right: float, y: float) -> SafeString:
    """Behind the last bar how long all of them took, and how long a person was waited for."""
    spans = [(bar.start, bar.end) for bar in track.bars if bar.end is not None and bar.status != "waiting"]
    waits = [bar for bar in track.bars if bar.status == "waiting"]
    last = track.bars[-1]
    text = format.lasted(sum(end - start for start, end in spans)) if spans else last.plain_status
    if waits:
        waiting = format.lasted(sum((bar.end or bar.start) - bar.start for bar in waits))
        waited = _("waited %(time)s") % {"time": waiting}
        text = f"{text}, {waited}" if spans else waited
    x = min(right + 6, WIDTH - text_width(text) - 2)
    return element("text", plain(text, 40), x=x, y=y + 18, class_="obsku-label obsku-lasted")
