"""What the drawings say that a reader cannot see from a page's text."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from typing import Any

from obsku_checkpoint.admin.drawings.graph import Edge, Node, graph
from obsku_checkpoint.admin.drawings.timeline import Bar, Track, timeline
from obsku_checkpoint.store import DjangoCheckpointStore
from tests.admin.conftest import Reader, links, text


def test_the_counts_of_loops_do_not_lie_on_each_other() -> None:
    names = [f"step {number}" for number in range(8)]
    nodes = [Node(name, "completed", None, None, "") for name in names]
    ahead = [Edge(one, other, True) for one, other in pairwise(names)]
    loops = [(2, 0), (5, 0), (7, 0), (4, 3), (7, 5), (6, 1), (3, 1)]
    back = [Edge(names[one], names[other], None, back=True, count=number) for number, (one, other) in enumerate(loops)]
    drawn = graph(nodes, [*ahead, *back], True)
    said = re.findall(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*obsku-count">([^<]+)<', drawn)
    assert len(said) == len(loops)
    boxes = [(float(x) - 3.3 * len(word), float(x) + 3.3 * len(word), float(y)) for x, y, word in said]
    for (left, right, y), (other_left, other_right, other_y) in combinations(boxes, 2):
        assert abs(y - other_y) >= 12 or right < other_left or other_right < left
    height = float(re.findall(r'viewBox="0 0 [\d.]+ ([\d.]+)"', drawn)[0])
    assert max(y for *_, y in boxes) < height


def test_a_tick_is_said_once_and_a_row_says_work_and_waiting() -> None:
    bars = [Bar("", 1, "a", "completed", 0.0, 2.0, "#"), Bar("", 1, "a", "waiting", 2.0, 5002.0, "#")]
    drawn = timeline([Track("a", "", 0, bars)])
    ticks = re.findall(r"<text [^>]*>([^<]*)</text>", drawn.partition("</svg>")[0])
    assert len(ticks) == len(set(ticks))
    assert "2 ms, waited 5.0 s" in text(drawn)


def test_an_iteration_that_was_begun_anew_does_not_run_any_more(
    root: Reader, store: DjangoCheckpointStore, session_id: str
) -> None:
    def save(step: int, status: str, start: int, **rest: Any) -> None:
        result: Any = {"status": status, "startedAt": start, **rest}
        store.save_checkpoint(session_id, step=step, node_results={"work": result}, pending_nodes=["work"])

    save(1, "running", 1000)
    save(2, "running", 5000)
    save(3, "completed", 5000, completedAt=6000)
    save(4, "pending", 7000, completedAt=7500, interrupt={"reason": "?"})
    page = root.read(links.session(session_id, "timeline"))
    table = page.partition("The same as a table")[2]
    assert re.findall(r"work (ended|completed|running|asked)", table) == ["ended", "completed", "asked"]
    assert "running" not in page.partition("of work")[2].partition("The same as a table")[0]
