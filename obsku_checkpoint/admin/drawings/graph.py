"""The nodes of a checkpoint in the order in which they ran, coloured by status, as far as its results tell it.

Results say when a node ran, not which edge led to it: nodes whose times overlap stand side by side, a line means "came
after", and pending nodes come last. The only edge that is stored is a cycle's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from django.utils.safestring import SafeString

from obsku_checkpoint.admin.drawings.svg import drawing, element, link, status_class, text_width
from obsku_checkpoint.printable import plain

HEIGHT, GAP_X, GAP_Y, MARGIN, LOOP = 40, 44, 14, 10, 34
NAME = 22


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
class Loop:
    """A cycle's edge back from one node to another."""

    source: str
    target: str
    iteration: int


def columns(nodes: Sequence[Node]) -> list[list[Node]]:
    """Nodes that ran one after the other, those at the same time together; pending ones at the end."""
    ran = sorted((node for node in nodes if node.start is not None), key=lambda node: (node.start or 0.0, node.name))
    found: list[list[Node]] = []
    until = float("-inf")
    for node in ran:
        start = node.start or 0.0
        if found and start < until:
            found[-1].append(node)
        else:
            found.append([node])
        until = max(until, node.end if node.end is not None else start)
    rest = [node for node in nodes if node.start is None]
    over, pending = (
        [node for node in rest if node.status != "pending"],
        [node for node in rest if node.status == "pending"],
    )
    return [*found, *filter(None, (over, pending))]


def graph(nodes: Sequence[Node], loop: Loop | None = None) -> SafeString:
    if not nodes:
        return SafeString("")
    placed = columns(nodes)
    tallest = max(len(column) for column in placed)
    height = 2 * MARGIN + tallest * HEIGHT + (tallest - 1) * GAP_Y + (LOOP if loop else 0)
    boxes: dict[str, tuple[float, float, float]] = {}
    x = float(MARGIN)
    for column in placed:
        width = max(84.0, max(text_width(plain(node.name, NAME)) for node in column) + 28)
        filled = len(column) * HEIGHT + (len(column) - 1) * GAP_Y
        top = MARGIN + (height - 2 * MARGIN - (LOOP if loop else 0) - filled) / 2
        for index, node in enumerate(column):
            boxes[node.name] = (x, top + index * (HEIGHT + GAP_Y), width)
        x += width + GAP_X

    def parts() -> Iterator[SafeString]:
        for left, right in pairwise(placed):
            # What is pending follows somehow; a line from the last that ran says so without a web of them.
            for one in left if right[0].start is not None else [max(left, key=lambda node: node.end or 0.0)]:
                for other in right:
                    yield _line(boxes[one.name], boxes[other.name], pending=other.start is None)
        if loop and loop.source in boxes and loop.target in boxes:
            yield from _back(loop, boxes, height)
        for column in placed:
            for node in column:
                yield _box(node, *boxes[node.name])

    label = f"{len(nodes)} nodes in the order in which they ran"
    return drawing(parts(), width=x - GAP_X + MARGIN, height=height, label=label, kind="graph")


def _box(node: Node, x: float, y: float, width: float) -> SafeString:
    return link(
        node.address,
        f"{plain(node.name, 80)}, {plain(node.status, 40)}",
        element("rect", x=x, y=y, width=width, height=HEIGHT, rx=6, class_=f"obsku-node {status_class(node.status)}"),
        element(
            "text",
            plain(node.name, NAME),
            x=x + width / 2,
            y=y + 17,
            text_anchor="middle",
            class_="obsku-label obsku-strong",
        ),
        element("text", plain(node.status, 14), x=x + width / 2, y=y + 32, text_anchor="middle", class_="obsku-axis"),
    )


def _line(one: tuple[float, float, float], other: tuple[float, float, float], *, pending: bool) -> SafeString:
    x1, y1, x2, y2 = one[0] + one[2], one[1] + HEIGHT / 2, other[0], other[1] + HEIGHT / 2
    middle = (x1 + x2) / 2
    path = f"M{x1:.1f} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2 - 5:.1f} {y2:.1f}"
    head = f"{x2:.1f},{y2:.1f} {x2 - 7:.1f},{y2 - 4:.1f} {x2 - 7:.1f},{y2 + 4:.1f}"
    return element(
        "g",
        element("path", d=path, class_=f"obsku-edge{' obsku-fork' if pending else ''}"),
        element("polygon", points=head, class_="obsku-head"),
    )


def _back(loop: Loop, boxes: dict[str, tuple[float, float, float]], height: float) -> Iterator[SafeString]:
    (x1, y1, w1), (x2, y2, w2) = boxes[loop.source], boxes[loop.target]
    apart = w1 / 4 if loop.source == loop.target else 0
    start, end, low = x1 + w1 / 2 + apart, x2 + w2 / 2 - apart, height - MARGIN - 4
    path = f"M{start:.1f} {y1 + HEIGHT:.1f}C{start:.1f} {low:.1f} {end:.1f} {low:.1f} {end:.1f} {y2 + HEIGHT + 6:.1f}"
    yield element("path", d=path, class_="obsku-edge obsku-loop")
    tip = y2 + HEIGHT
    yield element(
        "polygon",
        points=f"{end:.1f},{tip:.1f} {end - 4:.1f},{tip + 7:.1f} {end + 4:.1f},{tip + 7:.1f}",
        class_="obsku-head",
    )
    yield element(
        "text",
        f"iteration {loop.iteration}",
        x=(start + end) / 2,
        y=height - 4,
        text_anchor="middle",
        class_="obsku-axis",
    )
