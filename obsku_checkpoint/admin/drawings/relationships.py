"""An entity and those that its relationships lead to: in columns by how many steps away they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from django.utils.safestring import SafeString
from django.utils.translation import ngettext

from obsku_checkpoint.admin.drawings.svg import drawing, element, link, text_width
from obsku_checkpoint.admin.format import number
from obsku_checkpoint.printable import plain

HEIGHT, GAP_Y, MARGIN, LOOP, BULGE = 40, 20, 10, 34, 44
NAME = 28


@dataclass(slots=True)
class Known:
    """An entity, with (id of another, what the relationship is called) of each of its relationships."""

    id: str
    name: str
    type: str
    address: str
    leads: Sequence[tuple[str, str]]
    x: float = field(default=0.0)
    y: float = field(default=0.0)
    width: float = field(default=0.0)
    column: int = field(default=0)


def relationships(center: Known, others: Sequence[Known]) -> SafeString:
    """Of the others those that the entity leads to through each other; nothing where there is none."""
    columns = _columns(center, {one.id: one for one in (center, *others)})
    if len(columns) == 1:
        return SafeString("")
    place = {one.id: one for column in columns for one in column}
    gap = _gap(place)
    right = _place(columns, gap)
    lines: dict[tuple[str, str], list[str]] = {}
    for one in place.values():
        for id, called in one.leads:
            if id in place and id != one.id:
                lines.setdefault((one.id, id), []).append(called)
    back = any(place[target].column < place[source].column for source, target in lines)
    height = max(one.y for one in place.values()) + HEIGHT + MARGIN + (LOOP if back else 0)

    def parts() -> Iterator[SafeString]:
        for (source, target), called in lines.items():
            yield from _line(place[source], place[target], plain(", ".join(dict.fromkeys(called)), 30))
        for one in place.values():
            yield _box(one, is_center=one is center)

    label = ngettext("%(count)s entity", "%(count)s entities", len(place)) % {"count": number(len(place))}
    return drawing(parts(), width=right + MARGIN + BULGE, height=height, label=label, kind="graph")


def _columns(center: Known, place: dict[str, Known]) -> list[list[Known]]:
    columns, reached = [[center]], {center.id}
    while columns[-1]:
        behind = []
        for one in columns[-1]:
            for id, _called in one.leads:
                if id in place and id not in reached:
                    reached.add(id)
                    behind.append(place[id])
        columns.append(behind)
    columns.pop()
    for number_, column in enumerate(columns):
        for one in column:
            one.column = number_
    return columns


def _gap(place: dict[str, Known]) -> float:
    """Between columns: as wide as what stands on the lines."""
    called = (name for one in place.values() for id, name in one.leads if id in place)
    return max(60.0, *(text_width(plain(name, 30)) + 24 for name in called), 60.0)


def _place(columns: list[list[Known]], gap: float) -> float:
    tallest = max(map(len, columns))
    full = tallest * HEIGHT + (tallest - 1) * GAP_Y
    x = float(MARGIN)
    for column in columns:
        width = max(
            90.0, *(max(text_width(plain(one.name, NAME)), text_width(plain(one.type, NAME))) + 24 for one in column)
        )
        top = MARGIN + (full - len(column) * HEIGHT - (len(column) - 1) * GAP_Y) / 2
        for index, one in enumerate(column):
            one.x, one.y, one.width = x, top + index * (HEIGHT + GAP_Y), width
        x += width + gap
    return x - gap


def _box(one: Known, *, is_center: bool) -> SafeString:
    middle = {"x": one.x + one.width / 2, "text_anchor": "middle"}
    kind = "obsku-node obsku-status-running" if is_center else "obsku-node"
    return link(
        one.address,
        f"{plain(one.name, 80)}, {plain(one.type, 80)}",
        element("rect", x=one.x, y=one.y, width=one.width, height=HEIGHT, rx=6, class_=kind),
        element("text", plain(one.name, NAME), **middle, y=one.y + 17, class_="obsku-label obsku-strong"),
        element("text", plain(one.type, NAME), **middle, y=one.y + 32, class_="obsku-axis"),
    )


def _line(one: Known, other: Known, called: str) -> Iterator[SafeString]:
    if other.column > one.column:
        x1, y1, x2, y2 = one.x + one.width, one.y + HEIGHT / 2, other.x, other.y + HEIGHT / 2
        middle = (x1 + x2) / 2
        path = f"M{x1:.1f} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2 - 5:.1f} {y2:.1f}"
        head = f"{x2:.1f},{y2:.1f} {x2 - 7:.1f},{y2 - 4:.1f} {x2 - 7:.1f},{y2 + 4:.1f}"
        at = {"x": middle, "y": (y1 + y2) / 2 - 4}
    elif other.column == one.column:  # beside the boxes
        x1, y1, x2, y2 = one.x + one.width, one.y + HEIGHT / 2, other.x + other.width, other.y + HEIGHT / 2
        far = max(x1, x2) + BULGE
        path = f"M{x1:.1f} {y1:.1f}C{far:.1f} {y1:.1f} {far:.1f} {y2:.1f} {x2 + 5:.1f} {y2:.1f}"
        head = f"{x2:.1f},{y2:.1f} {x2 + 7:.1f},{y2 - 4:.1f} {x2 + 7:.1f},{y2 + 4:.1f}"
        at = {"x": far - BULGE / 4, "y": (3 * y1 + y2) / 4 - 4}
    else:  # to one that is nearer: below the boxes
        x1, x2 = one.x + one.width / 2, other.x + other.width / 2
        y1, y2 = one.y + HEIGHT, other.y + HEIGHT
        low = max(y1, y2) + LOOP
        path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {low:.1f} {x2:.1f} {low:.1f} {x2:.1f} {y2 + 6:.1f}"
        head = f"{x2:.1f},{y2:.1f} {x2 - 4:.1f},{y2 + 7:.1f} {x2 + 4:.1f},{y2 + 7:.1f}"
        at = {"x": (x1 + x2) / 2, "y": low - 4}
    yield element("path", d=path, class_="obsku-edge")
    yield element("polygon", points=head, class_="obsku-head")
    if called:
        yield element("text", called, **at, text_anchor="middle", class_="obsku-axis")
