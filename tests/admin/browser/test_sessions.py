"""Sessions of each kind, with ids that hold every quoted character and outputs of 5 MB, on a laptop and on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from obsku_checkpoint.admin.links import in_path
from tests.admin.browser.conftest import Window
from tests.admin.browser.looks import LAPTOP, faults
from tests.admin.browser.site import Site
from tests.admin.browser.test_walk import FORKED

pytestmark = pytest.mark.xdist_group("browser")

QUOTED = ':/_#?;@&=+$,"[]<>%\\'
KINDS = ("finished", "failed", "waiting", "unfinished", "loop", "nested", "fan")
SIZES = ("small", "large")
PAGES = ("change", "transcript", "timeline", "checkpoints")
MAKE = """
import time

from obsku_checkpoint.graph import Edge, Graph, interrupt, run
from obsku_checkpoint.store import DjangoCheckpointStore

store = DjangoCheckpointStore()
size = {size}

def work(context):
    return "y" * size

def fail(context):
    raise ValueError("the index is gone " + "z" * (size // 100))

def ask(context):
    return interrupt("Publish it?", options=["yes", "no"], draft="d" * size)

def stop(context):
    raise KeyboardInterrupt

def pause(context):
    time.sleep(0.002)  # runs are told apart by their starts

turns = []
def review(context):
    turns.append(1)
    return len(turns)

inner = Graph(entry="search", nodes={{"search": work, "note": ask}}, edges=[Edge("search", "note")])
shards = {{f"shard {{number}}": fail if number == 68 else lambda context: number for number in range(70)}}
shards["shard 69"] = work  # one of the last: those after it hold its output, too
graphs = {{
    "finished": Graph(entry="load", nodes={{"load": work, "end": work}}, edges=[Edge("load", "end")]),
    "failed": Graph(entry="load", nodes={{"load": work, "check": fail}}, edges=[Edge("load", "check")]),
    "waiting": Graph(entry="load", nodes={{"load": work, "approve": ask}}, edges=[Edge("load", "approve")]),
    "unfinished": Graph(entry="load", nodes={{"load": work, "end": stop}}, edges=[Edge("load", "end")]),
    "loop": Graph(
        entry="draft",
        nodes={{"draft": pause, "review": review, "publish": work, "drop": work}},
        edges=[
            Edge("draft", "review"),
            Edge("review", "draft", back=True, max_iterations=20, until=lambda count: count >= 12),
            Edge("review", "publish", condition=lambda count: count > 1),
            Edge("review", "drop", condition=lambda count: count < 0),
        ],
    ),
    "nested": Graph(entry="start", nodes={{"start": work, "write": inner}}, edges=[Edge("start", "write")]),
    "fan": Graph(
        entry="split",
        nodes={{"split": pause, **shards, "join": work}},
        edges=[*(Edge("split", name) for name in shards), *(Edge(name, "join") for name in shards)],
    ),
}}
for kind, graph in graphs.items():
    id = f"{{kind}} {name} " + {quoted!r}
    store.get_or_create_session(id, "/srv", title=f"{{kind}}, {name}", workspace_id="kinds")
    store.add_message(id, "user", "Do it")
    try:
        run(graph, checkpoint_store=store, session_id=id, input={{"topic": kind}})
    except KeyboardInterrupt:
        pass
"""


def id_of(kind: str, size: str) -> str:
    return f"{kind} {size} {QUOTED}"


@pytest.fixture
def window(desktop: Window) -> Iterator[Window]:
    """Somewhere: the list of sessions takes long to load here, as the newest have states of 5 MB."""
    yield desktop
    desktop.check()


@pytest.fixture(scope="module")
def made(site: Site) -> None:
    parts = [
        MAKE.format(size=size, name=name, quoted=QUOTED) for name, size in zip(SIZES, (10, 5_000_000), strict=True)
    ]
    site.run("\n".join(["import logging; logging.disable(logging.ERROR)", *parts]))


def address(site: Site, kind: str, size: str, page: str) -> str:
    return f"{site.root}/admin/obsku_checkpoint/session/{in_path(id_of(kind, size))}/{page}/"


def opened(page: Page, site: Site, kind: str, size: str) -> None:
    page.goto(f"{site.root}/admin/obsku_checkpoint/session/?q={quote(f'{kind}, {size}')}")
    page.get_by_role("link", name=f"{kind}, {size}", exact=True).click()
    expect(page.locator("h1")).to_have_text(f"{kind}, {size}")


@pytest.mark.parametrize("size", SIZES)
def test_each_kind_says_how_it_stands(made: None, window: Window, site: Site, size: str) -> None:
    page = window.page
    badges: dict[str, str | re.Pattern[str]] = {
        "finished": "finished", "failed": "failed", "waiting": "waiting for a person",
        "unfinished": re.compile("last sign|silent"), "loop": "finished", "nested": "waiting for a person",
        "fan": "failed",
    }  # fmt: skip
    for kind, badge in badges.items():
        opened(page, site, kind, size)
        expect(page.locator("#obsku-badges")).to_contain_text(badge)
        expect(page.locator("#obsku-overview")).to_contain_text(kind)  # the input
        expect(page.locator("#obsku-overview")).to_contain_text("Do it")
        match kind:
            case "failed":
                expect(page.locator(".obsku-error").first).to_contain_text("the index is gone")
                expect(page.locator(".obsku-graph .obsku-status-failed")).to_have_count(1)
            case "finished":
                expect(page.locator(".obsku-said")).to_contain_text("Output of end")
            case "waiting" | "nested":
                expect(page.locator(".obsku-asks")).to_contain_text("Publish it?")
                expect(page.locator(".obsku-asks")).to_contain_text("draft")
                expect(page.locator(".obsku-asks").get_by_label("yes")).to_be_visible()
        if kind == "nested":
            expect(page.locator(".obsku-depth-1 .obsku-graph")).to_be_visible()


def test_the_graph_is_the_one_that_ran(made: None, window: Window, site: Site) -> None:
    page = window.page
    opened(page, site, "loop", "small")
    expect(page.locator(".obsku-graph .obsku-untaken.obsku-edge")).to_have_count(1)
    expect(page.locator(".obsku-graph .obsku-loop.obsku-edge")).to_have_count(1)
    expect(page.locator(".obsku-graph")).to_contain_text("taken 11")
    opened(page, site, "fan", "small")
    expect(page.locator(".obsku-caption")).to_contain_text("72 nodes: 70 completed, 1 failed, 1 pending")
    expect(page.locator(".obsku-caption")).to_contain_text("in groups")
    failed = page.locator(".obsku-graph .obsku-node.obsku-status-failed")
    expect(failed).to_have_count(1)
    expect(failed).to_be_in_viewport()
    page.locator(".obsku-graph a", has_text="shard 68").click()
    expect(page.locator("tr:target")).to_contain_text("the index is gone")


def test_the_timeline_folds_loops_and_shows_waiting(made: None, window: Window, site: Site) -> None:
    page = window.page
    opened(page, site, "loop", "large")
    window.tab("Timeline")
    expect(page.locator("svg.obsku-timeline").last).to_contain_text("draft \N{MULTIPLICATION SIGN} 12")
    opened(page, site, "nested", "large")
    window.tab("Timeline")
    expect(page.locator(".obsku-bar.obsku-status-waiting")).to_have_count(1)
    expect(page.locator("svg.obsku-timeline").last).to_contain_text("waited")
    opened(page, site, "fan", "small")
    window.tab("Timeline")
    axis, last = page.locator(".obsku-axis-bar"), page.locator("svg.obsku-timeline .obsku-bar").last
    last.scroll_into_view_if_needed()
    expect(page.locator("h1")).not_to_be_in_viewport()
    expect(axis).to_be_in_viewport()


def test_the_transcript_finds_and_jumps(made: None, window: Window, site: Site) -> None:
    page = window.page
    site.call("sessions/", {"id": "jumps", "directory": "/", "title": "Jumps"})
    call = {"name": "look", "toolUseId": "t", "input": {}}
    failed = {"toolUseId": "t", "content": "no such table", "status": "error"}
    site.call("sessions/jumps/messages/", [{"role": "user", "content": f"turn {number}"} for number in range(150)])
    site.call("sessions/jumps/messages/", [{"role": "assistant", "tool_calls": [call]}])
    site.call("sessions/jumps/messages/", [{"role": "tool", "tool_results": [failed]}])
    site.call("sessions/jumps/messages/", [{"role": "user", "content": f"later {number}"} for number in range(100)])
    page.goto(site.session("jumps", "transcript"))
    page.get_by_label("Message", exact=True).fill("7")
    page.get_by_role("button", name="Go").click()
    expect(page.locator(".obsku-chosen")).to_contain_text("turn 6")
    expect(page.locator(".obsku-chosen")).to_be_in_viewport()
    page.get_by_role("link", name="Next failed tool").click()
    expect(page.locator(".obsku-call-failed")).to_contain_text("no such table")
    page.get_by_role("searchbox", name="Find").fill("later 42")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("region", name="Found").get_by_role("link").click()
    expect(page.locator(".obsku-chosen")).to_contain_text("later 42")


def test_titles_of_other_scripts_are_whole_and_on_their_side(window: Window, site: Site) -> None:
    page = window.page
    titles = {"farsi": "می\u200cبینم", "emoji": "\N{WOMAN}\u200d\N{PERSONAL COMPUTER} at work"}
    for id, title in titles.items():
        site.call("sessions/", {"id": id, "directory": "/", "title": title, "workspace_id": "scripts"})
        page.goto(site.session(id))
        expect(page.locator("h1")).to_have_text(title)
        expect(page.locator("h1")).to_have_css("direction", "rtl" if id == "farsi" else "ltr")
    page.goto(f"{site.root}/admin/obsku_checkpoint/session/?workspace=scripts")
    expect(page.locator("#result_list .field-name")).to_have_text(list(reversed(titles.values())))
    expect(page.locator("#result_list .field-name bdi").last).to_have_css("direction", "rtl")


def test_the_list_and_the_forks_fit_on_a_phone(window: Window, site: Site) -> None:
    page = window.page
    page.goto(f"{site.root}/")
    page.set_viewport_size({"width": 360, "height": 740})
    wide = "element => [...element.querySelectorAll('td, th')].filter((one) => one.getBoundingClientRect().right > 360)"
    assert page.locator("#result_list").evaluate(f"element => ({wide})(element).length") == 0
    expect(page.locator("#result_list .field-active").first).to_be_visible()
    window.open(FORKED)
    window.tab("Forks")
    assert page.locator(".obsku-stacked").evaluate(f"element => ({wide})(element).length") == 0
    page.set_viewport_size(LAPTOP)  # type: ignore[arg-type]  # a dict is a ViewportSize


def test_the_list_fits_beside_the_sidebar(made: None, window: Window, site: Site) -> None:
    page = window.page
    for language in ("de", "en"):
        page.set_extra_http_headers({"Accept-Language": language})
        page.goto(f"{site.root}/admin/obsku_checkpoint/session/?workspace=kinds")
        expect(page.locator("html")).to_have_attribute("lang", re.compile(language))
        expect(page.locator("#nav-sidebar")).to_be_visible()
        table = "document.querySelector('#result_list')"
        assert page.evaluate(f"{table}.scrollWidth <= {table}.parentElement.clientWidth")
        right = page.evaluate(f"{table}.getBoundingClientRect().right")
        assert right <= page.evaluate("document.querySelector('#changelist-filter').getBoundingClientRect().left")
    expect(page.locator("#result_list tr", has_text="failed, small")).to_contain_text("the index is gone")
    for state, count in (("waiting", 4), ("failed", 4), ("finished", 4), ("unfinished", 2), ("new", 0)):
        page.goto(f"{site.root}/admin/obsku_checkpoint/session/?workspace=kinds&state={state}")
        expect(page.locator("#result_list tbody tr")).to_have_count(count)
    page.goto(f"{site.root}/admin/obsku_checkpoint/")
    expect(page.locator(".obsku-standing")).to_contain_text("waiting for a person")


def test_every_page_of_each_kind_is_accessible_and_fits(made: None, browser: Browser, site: Site) -> None:
    window = Window(browser, site, site.user, viewport=LAPTOP)
    found = []
    for kind in KINDS:
        for name in PAGES if kind != "finished" else (*PAGES, "forks"):  # nothing was forked from any of them
            window.page.goto(address(site, kind, "large", name))
            found += faults(window, f"{kind} {name}")
            if name == "checkpoints":
                window.follow(window.page.locator("#obsku-checkpoints tbody a").first)
                found += faults(window, f"{kind} checkpoint")
    window.follow(window.page.locator(".obsku-actions a[href$='?with=previous']"))
    found += faults(window, "comparison")
    assert not found, "\n".join(found)
    window.context.close()
