"""The graph of a run: nodes behind those that lead to them, coloured by status, and which edges the run took.

Where no graph is stored, nodes stand in columns by time, and nothing is drawn between them. Nodes that failed, ask or
are not finished are always drawn by themselves; beyond a number, finished ones stand in one box a column, and columns
of nothing else in one box together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from obsku_checkpoint.admin.drawings.svg import drawing, element, link, status_class, status_name, text_width
from obsku_checkpoint.admin.format import number
from obsku_checkpoint.printable import plain

HEIGHT, GAP_X, GAP_Y, MARGIN, LOOP = 40, 48, 14, 10, 30
NAME = 22
#: nodes that are drawn before finished ones are grouped; finished ones of a column, and columns, that then stay
NODES, IN_COLUMN, COLUMNS = 60, 4, 40
_FINISHED = ("completed", "skipped")


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    status: str
    #: milliseconds since 1970
    start: float | None
    end: float | None
    #: where more is said about it
    address: str


@dataclass(frozen=True, slots=True)
class Edge:
    source: str
    target: str
    #: None where the run has not come to it
    taken: bool | None
    #: it leads back, and was taken so often
    back: bool = False
    count: int = 0


@dataclass(slots=True)
class _Box:
    """A node, or several finished ones."""

    nodes: list[Node]
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    again: int = 0

    @property
    def title(self) -> str:
        if len(self.nodes) == 1:
            return plain(self.nodes[0].name, NAME)
        return ngettext("%(count)s node", "%(count)s nodes", len(self.nodes)) % {"count": number(len(self.nodes))}

    @property
    def said(self) -> str:
        """Its status, and how often it was run again by an edge to itself."""
        again = f" \N{CLOCKWISE OPEN CIRCLE ARROW} {number(self.again)}" if self.again else ""
        return plain(status_name(self.status), 30) + again

    @property
    def status(self) -> str:
        statuses = {node.status for node in self.nodes}
        return statuses.pop() if len(statuses) == 1 else "completed"


def graph(nodes: Sequence[Node], edges: Sequence[Edge], has_edges: bool) -> SafeString:
    """``has_edges`` says that all edges are known, not only back edges. Nothing where there are no nodes."""
    if not nodes:
        return SafeString("")
    columns = _by_edges(nodes, edges) if has_edges else _by_time(nodes)
    boxes = _grouped(columns)
    place = {node.name: box for column in boxes for box in column for node in box.nodes}
    loops = []
    for edge in (edge for edge in edges if edge.back and edge.source in place and edge.target in place):
        if place[edge.source] is place[edge.target]:
            place[edge.source].again += edge.count
        else:
            loops.append(edge)
    _place(boxes)
    levels = _levels([(place[edge.source], place[edge.target]) for edge in loops])
    below = max(levels, default=-1) + 1
    height = max(box.y + HEIGHT for column in boxes for box in column) + MARGIN + LOOP * below

    def parts() -> Iterator[SafeString]:
        seen = set()
        for edge in edges:
            one, other = place.get(edge.source), place.get(edge.target)
            if one is None or other is None or one is other or edge.back or (id(one), id(other)) in seen:
                continue
            seen.add((id(one), id(other)))
            yield _line(one, other, edge.taken)
        for level, edge in zip(levels, loops, strict=True):
            yield from _back(edge, place[edge.source], place[edge.target], height - LOOP * (below - 1 - level))
        for column in boxes:
            yield from map(_box, column)

    right = max(box.x + box.width for column in boxes for box in column)
    label = caption(nodes)
    return drawing(parts(), width=right + MARGIN, height=height, label=label, kind="graph", focus=_focus(boxes))


def caption(nodes: Sequence[Node]) -> str:
    """``72 nodes: 70 completed, 1 failed, 1 pending``"""
    counts = Counter(node.status for node in nodes)
    each = ", ".join(f"{number(count)} {plain(status_name(status), 40)}" for status, count in counts.most_common(8))
    total = ngettext("%(count)s node", "%(count)s nodes", len(nodes)) % {"count": number(len(nodes))}
    return f"{total}: {each}"


def is_grouped(nodes: Sequence[Node]) -> bool:
    """Whether the drawing of the nodes groups finished ones."""
    return len(nodes) > NODES


# -- columns


def _by_time(nodes: Sequence[Node]) -> list[list[Node]]:
    """Nodes that ran one after the other, those at the same time together; those that have not run at the end."""
    ran = sorted((node for node in nodes if node.start is not None), key=lambda node: (node.start or 0.0, node.name))
    columns: list[list[Node]] = []
    until = float("-inf")
    for node in ran:
        start = node.start or 0.0
        if columns and start < until:
            columns[-1].append(node)
        else:
            columns.append([node])
        until = max(until, node.end if node.end is not None else start)
    rest = [node for node in nodes if node.start is None]
    over = [node for node in rest if node.status != "pending"]
    return [*columns, *filter(None, (over, [node for node in rest if node.status == "pending"]))]


def _by_edges(nodes: Sequence[Node], edges: Sequence[Edge]) -> list[list[Node]]:
    """Each node one column behind the last of those that lead to it."""
    ahead: dict[str, list[str]] = {node.name: [] for node in nodes}
    waits = dict.fromkeys(ahead, 0)
    for edge in edges:
        if not edge.back and edge.source in ahead and edge.target in ahead and edge.source != edge.target:
            ahead[edge.source].append(edge.target)
            waits[edge.target] += 1
    depth = dict.fromkeys(ahead, 0)
    ready = [name for name, count in waits.items() if not count]
    for name in ready:
        for target in ahead[name]:
            depth[target] = max(depth[target], depth[name] + 1)
            waits[target] -= 1
            if not waits[target]:
                ready.append(target)
    columns: list[list[Node]] = [[] for _depth in range(max(depth.values()) + 1)]
    for node in nodes:
        columns[depth[node.name]].append(node)
    _untangle(columns, ahead)
    return [column for column in columns if column]


def _untangle(columns: list[list[Node]], ahead: dict[str, list[str]]) -> None:
    """Order each column by the middle of those that lead to its nodes."""
    into: dict[str, list[str]] = {}
    for source, targets in ahead.items():
        for target in targets:
            into.setdefault(target, []).append(source)
    place: dict[str, float] = {}
    for column in columns:
        before = {
            node.name: [place[name] for name in into.get(node.name, ()) if name in place] or [index]
            for index, node in enumerate(column)
        }
        column.sort(key=lambda node: sum(before[node.name]) / len(before[node.name]))
        middle = (len(column) - 1) / 2
        place |= {node.name: index - middle for index, node in enumerate(column)}


def _grouped(columns: list[list[Node]]) -> list[list[_Box]]:
    total = sum(map(len, columns))
    if total <= NODES:
        return [[_Box([node]) for node in column] for column in columns]
    boxes: list[list[_Box]] = []
    for column in columns:
        finished = [node for node in column if node.status in _FINISHED]
        together = finished[IN_COLUMN:] if len(finished) > IN_COLUMN + 1 else []
        apart = [node for node in column if node not in together] if together else column
        boxes.append([_Box([node]) for node in apart] + ([_Box(together)] if together else []))
    return boxes if len(boxes) <= COLUMNS else _folded(boxes)


def _folded(columns: list[list[_Box]]) -> list[list[_Box]]:
    """Columns of nothing but finished nodes, but for the first and the last ones, stand in one box together."""
    folded: list[list[_Box]] = []
    group: _Box | None = None
    for place, column in enumerate(columns):
        finished = all(node.status in _FINISHED for box in column for node in box.nodes)
        if not finished or not 3 <= place < len(columns) - COLUMNS // 2:
            folded.append(column)
            group = None
            continue
        if group is None:
            group = _Box([])
            folded.append([group])
        group.nodes += [node for box in column for node in box.nodes]
    return folded


def _place(columns: list[list[_Box]]) -> None:
    tallest = max(len(column) for column in columns)
    full = tallest * HEIGHT + (tallest - 1) * GAP_Y
    x = float(MARGIN)
    for column in columns:
        width = max(84.0, max(max(text_width(box.title), text_width(box.said)) for box in column) + 24)
        top = MARGIN + (full - len(column) * HEIGHT - (len(column) - 1) * GAP_Y) / 2
        for index, box in enumerate(column):
            box.x, box.y, box.width = x, top + index * (HEIGHT + GAP_Y), width
        x += width + GAP_X


def _levels(loops: Sequence[tuple[_Box, _Box]]) -> list[int]:
    """How far below the boxes each loop runs, short ones first, so that neither lines nor counts lie on each other."""
    spans = [sorted((one.x + one.width / 2, other.x + other.width / 2)) for one, other in loops]
    levels = [0] * len(loops)
    taken: list[list[tuple[float, float]]] = []
    for loop in sorted(range(len(loops)), key=lambda loop: spans[loop][1] - spans[loop][0]):
        left, right = spans[loop]
        middle, half = (left + right) / 2, text_width(_("not taken")) / 2 + 12  # the count may be wider than the loop
        left, right = min(left, middle - half), max(right, middle + half)
        free = (
            level for level, others in enumerate(taken) if all(left > end or right < start for start, end in others)
        )
        levels[loop] = next(free, len(taken))
        if levels[loop] == len(taken):
            taken.append([])
        taken[levels[loop]].append((left, right))
    return levels


def _focus(columns: list[list[_Box]]) -> float | None:
    """Where the first node is that failed, asks, or is at work: what a reader looks for."""
    for statuses in (("failed",), ("waiting",), ("running",), ("pending",)):
        for column in columns:
            for box in column:
                if box.status in statuses:
                    return box.x
    return None


# -- parts


def _box(box: _Box) -> SafeString:
    status = status_name(box.status)
    names = ", ".join(plain(node.name, 80) for node in box.nodes[:20]) + (", …" if len(box.nodes) > 20 else "")
    middle = {"x": box.x + box.width / 2, "text_anchor": "middle"}
    rect = {"x": box.x, "y": box.y, "width": box.width, "height": HEIGHT, "rx": 6}
    many = " obsku-many" if len(box.nodes) > 1 else ""
    return link(
        box.nodes[0].address,
        f"{names}, {plain(status, 40)}",
        element("rect", **rect, class_=f"obsku-node {status_class(box.status)}{many}"),
        element("text", box.title, **middle, y=box.y + 17, class_="obsku-label obsku-strong"),
        element("text", box.said, **middle, y=box.y + 32, class_="obsku-axis"),
    )


def _line(one: _Box, other: _Box, taken: bool | None) -> SafeString:
    x1, y1, x2, y2 = one.x + one.width, one.y + HEIGHT / 2, other.x, other.y + HEIGHT / 2
    middle = (x1 + x2) / 2
    path = f"M{x1:.1f} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2 - 5:.1f} {y2:.1f}"
    head = f"{x2:.1f},{y2:.1f} {x2 - 7:.1f},{y2 - 4:.1f} {x2 - 7:.1f},{y2 + 4:.1f}"
    name = {True: "obsku-taken", False: "obsku-untaken", None: "obsku-ahead"}[taken]
    title = {True: _("taken"), False: _("not taken"), None: _("not reached yet")}[taken]
    return element(
        "g",
        element("title", title),
        element("path", d=path, class_=f"obsku-edge {name}"),
        element("polygon", points=head, class_=f"obsku-head {name}"),
    )


def _back(edge: Edge, one: _Box, other: _Box, bottom: float) -> Iterator[SafeString]:
    start, end = one.x + one.width / 2, other.x + other.width / 2
    low = bottom - MARGIN / 2
    tip = other.y + HEIGHT
    path = f"M{start:.1f} {one.y + HEIGHT:.1f}C{start:.1f} {low:.1f} {end:.1f} {low:.1f} {end:.1f} {tip + 6:.1f}"
    name = "obsku-taken" if edge.count else "obsku-ahead"
    yield element("path", d=path, class_=f"obsku-edge obsku-loop {name}")
    head = f"{end:.1f},{tip:.1f} {end - 4:.1f},{tip + 7:.1f} {end + 4:.1f},{tip + 7:.1f}"
    yield element("polygon", points=head, class_=f"obsku-head obsku-loop {name}")
    text = _taken(edge.count)
    middle = (start + end) / 2
    yield element("text", text, x=middle, y=low + 1, text_anchor="middle", class_="obsku-axis obsku-count")


def _taken(count: int) -> str:
    if not count:
        return _("not taken")
    return ngettext("taken %(count)s time", "taken %(count)s times", count) % {"count": number(count)}
