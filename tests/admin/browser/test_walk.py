"""A walk through all pages, as a person does it with a browser: what is shown, folded, linked and done."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.admin.browser.conftest import VIEWER, Window
from tests.admin.browser.site import Site

pytestmark = pytest.mark.xdist_group("browser")

FAILED, ASKING, SCANNED, FORKED = "Scan by the house rules", "Scan and ask", "Scan the example", "Another way, 3"


def test_the_list_tells_how_each_session_ended(window: Window) -> None:
    page = window.page
    for title, state in ((FAILED, "failed"), (ASKING, "waiting for a person"), (SCANNED, "finished"), (FORKED, "fork")):
        expect(page.locator("#result_list tr", has_text=title).locator(".field-badges")).to_contain_text(state)
    page.locator("#changelist-filter").get_by_role("link", name="failed").click()
    expect(page.locator("#result_list .field-name")).to_have_text([FAILED])
    page.goto(f"{window.site.root}/")
    page.get_by_role("textbox", name="Search").fill("another")
    page.keyboard.press("Enter")
    expect(page.locator("#result_list .field-name")).to_have_text([f"Another way, {number}" for number in (3, 2, 1)])


def test_a_failed_session_says_what_failed(window: Window) -> None:
    page = window.open(FAILED)
    expect(page.locator("#obsku-badges")).to_contain_text("failed")
    for node in ("search", "parse"):
        expect(page.locator("#obsku-overview .obsku-error", has_text=f"{node} failed")).to_contain_text(
            "KeyError: 'house'"
        )
    expect(page.locator(".obsku-graph .obsku-status-failed")).to_have_count(2)
    # The drawing leads to the node's result.
    page.locator(".obsku-graph a", has_text="search").click()
    expect(page.locator("tr:target")).to_contain_text("failed")


def test_a_tool_call_unfolds_with_its_result(window: Window) -> None:
    page = window.open(FAILED)
    window.tab("Transcript")
    call = page.locator("details.obsku-call")
    expect(call.get_by_text("Result", exact=True)).not_to_be_visible()
    call.locator("summary").first.click()
    expect(call.get_by_text("Result", exact=True)).to_be_visible()
    expect(call.locator(".obsku-pair")).to_contain_text("showcase.py")
    expect(page.locator(".obsku-role-user")).to_contain_text("with the ruleset house")
    message = page.locator("[data-message]").nth(1)
    message.locator(".obsku-link").click()
    expect(page.locator(".obsku-chosen")).to_have_attribute("id", str(message.get_attribute("id")))


def test_older_messages_load_as_one_scrolls_and_the_place_stays(window: Window, site: Site) -> None:
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": f"turn {number}\n" + "word " * 40, "tokens_in": number} for number in range(158)
    ]
    turns.insert(109, {"role": "assistant", "tool_calls": [{"name": "look", "toolUseId": "apart", "input": {"at": 1}}]})
    turns.insert(110, {"role": "tool", "tool_results": [{"toolUseId": "apart", "content": "found"}]})
    site.call("sessions/", {"id": "long", "directory": "/", "title": "A long talk"})
    site.call("sessions/long/messages/", turns)
    page = window.page
    page.goto(site.session("long", "transcript"))
    messages = page.locator("[data-message]")
    expect(messages.last).to_be_in_viewport()
    expect(messages).to_have_count(50)
    # The page begins with a result whose call is on the page before.
    result = page.locator("[data-result=apart]")
    expect(result.locator("xpath=ancestor::*[@class='obsku-pair']")).to_have_count(0)
    for loaded in (100, 150, 160):
        first = page.locator(f"#{messages.first.get_attribute('id')}")
        first.scroll_into_view_if_needed()
        expect(messages).to_have_count(loaded)
        expect(first).to_be_in_viewport()
    expect(messages.first).to_contain_text("turn 0")
    expect(page.locator(".obsku-pair [data-result=apart]")).to_contain_text("found")
    window.tab("Overview")
    expect(page.locator("svg.obsku-sparkline .obsku-tokens-in")).to_have_count(148)


def test_the_timeline_and_the_tree_of_forks_are_drawings_of_links(window: Window) -> None:
    page = window.open(FAILED)
    window.tab("Timeline")
    expect(page.locator("svg.obsku-timeline .obsku-status-failed")).to_have_count(2)
    page.locator("svg.obsku-timeline a", has_text="parse").click()
    expect(page).to_have_title(re.compile("Checkpoint main v"))

    window.open(SCANNED)
    window.tab("Forks")
    for number in (1, 2, 3):
        expect(page.locator("svg.obsku-forks")).to_contain_text(f"Another way, {number}")
    expect(page.locator(".obsku-edge.obsku-fork")).to_have_count(3)
    page.locator("svg.obsku-forks a", has_text=FORKED).click()
    expect(page.locator("h1")).to_have_text(FORKED)
    expect(page.locator("#obsku-badges")).to_contain_text("fork")
    window.tab("Forks")
    page.locator("svg.obsku-forks a:has(circle)").last.click()
    expect(page).to_have_title(re.compile("Checkpoint main v"))


def test_checkpoints_are_read_and_compared(window: Window) -> None:
    page = window.open(SCANNED)
    window.tab("Checkpoints")
    page.locator("#obsku-checkpoints tbody a").first.click()
    tree = page.locator("details.obsku-tree").first
    opened = tree.get_attribute("open")
    tree.locator("summary").first.click()
    assert tree.get_attribute("open") != opened
    page.get_by_role("link", name="Compare with the parent").click()
    expect(page.locator(".obsku-differences tbody tr")).not_to_have_count(0)
    page.get_by_label("Compare").select_option(index=3)
    page.get_by_role("button", name="Compare").first.click()
    expect(page.locator(".obsku-differences")).to_contain_text("added")


def test_a_question_is_found_and_answered(window: Window) -> None:
    page = window.page
    page.locator(".obsku-tool").first.click()
    page.locator("#content tbody a").click()
    expect(page.locator("h1")).to_have_text(ASKING)
    question = page.locator(".obsku-asks")
    question.get_by_label("yes").check()
    question.get_by_role("button", name="Send the answer").click()
    expect(page.get_by_text("The answer was handed on.")).to_be_visible()
    expect(page.locator(".obsku-asks")).to_have_count(0)
    expect(page.locator("#obsku-badges")).to_contain_text("finished")


def test_title_and_metadata_are_edited(window: Window) -> None:
    page = window.open(SCANNED)
    page.get_by_text("Edit title and metadata").click()
    page.get_by_label("Metadata").fill('{"reviewed": {"__type": "Date", "value": "2026-01-05T17:00:00.000Z"}}')
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.locator(".obsku-about")).to_contain_text("2026-01-05 17:00:00.000 UTC")


def test_fork_export_delete(window: Window) -> None:
    page = window.open(FAILED)
    page.get_by_role("link", name="Fork from the end").click()
    page.get_by_label("Title of the new session").fill("Once more")
    page.get_by_role("button", name="Fork", exact=True).click()
    expect(page.locator("h1")).to_have_text("Once more")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Export as JSON lines").click()
    lines = [json.loads(line) for line in Path(waiting.value.path()).read_text().splitlines()]
    assert "Once more" in json.dumps(lines)
    page.get_by_role("link", name="Delete").click()
    expect(page.locator("#content")).to_contain_text("Messages: 3")
    page.get_by_role("button", name="sure").click()
    expect(page.locator("#result_list")).not_to_contain_text("Once more")


def test_content_that_means_harm_does_none(window: Window, site: Site) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)><a href=javascript:alert(3)>x</a>\u202egnp \x1b[31mred"
    site.call("sessions/", {"id": "evil", "directory": evil, "title": evil, "metadata": {evil: evil}})
    site.call("sessions/evil/messages/", {"role": "user", "content": evil})
    site.call("sessions/evil/messages/", {"role": "assistant", "content": "<b>much</b> " * 830_000})
    result = {"status": "failed", "error": evil, "output": {evil: evil}, "startedAt": 1, "completedAt": 2}
    site.call("sessions/evil/checkpoints/", {"step": 1, "node_id": evil, "node_results": {evil: result}})
    page = window.page
    for part in ("change", "transcript", "timeline", "forks", "checkpoints"):
        page.goto(site.session("evil", part))
        expect(page.locator("h1")).to_contain_text("<script>alert(1)</script>")
        expect(page.locator("#content img, #content script:not([src]), #content [href^=javascript]")).to_have_count(0)
    site.call("sessions/evil/", method="DELETE")


def test_who_may_only_look_finds_nothing_that_fails(window: Window, site: Site) -> None:
    viewer = Window(window.context.browser, site, VIEWER)  # type: ignore[arg-type]  # it has a browser
    page = viewer.open(FAILED)
    for name in ("Transcript", "Timeline", "Checkpoints", "Forks", "Overview"):
        viewer.tab(name)
        expect(page.locator("#content form[method=post] :is(button, input[type=submit])")).to_have_count(0)
        for action in ("Fork from", "Delete", "Edit"):
            expect(page.get_by_text(action)).to_have_count(0)
    links = {str(each.get_attribute("href")).partition("#")[0] for each in page.locator("#content a").all()}
    assert len(links) >= 8
    for link in links:
        assert page.request.get(f"{site.root}{link}").ok, link
    viewer.check()
    viewer.context.close()


def test_the_list_follows_and_keeps_what_is_ticked(window: Window, site: Site) -> None:
    page = window.page
    page.clock.install()
    page.goto(f"{site.root}/admin/obsku_checkpoint/session/?q=Followed")
    expect(page.locator("#result_list")).to_have_count(0)
    for number in (1, 2):
        site.call("sessions/", {"id": f"followed-{number}", "directory": "/", "title": f"Followed {number}"})
    page.clock.run_for(20_000)
    rows = page.locator("#result_list .field-name")
    expect(rows).to_have_text(["Followed 2", "Followed 1"])
    page.locator("#result_list tr", has_text="Followed 1").get_by_role("checkbox").check()
    results = {"ask": {"status": "pending", "interrupt": {"reason": "Shall I?"}}}
    asked = {"step": 1, "node_id": "ask", "node_results": results, "pending_nodes": ["ask"], "source": "interrupt"}
    site.call("sessions/followed-1/checkpoints/", asked)
    site.call("sessions/", {"id": "followed-3", "directory": "/", "title": "Followed 3"})
    page.clock.run_for(20_000)
    expect(rows).to_have_text(["Followed 3", "Followed 1", "Followed 2"])
    row = page.locator("#result_list tr", has_text="Followed 1")
    expect(row).to_contain_text("Shall I?")
    expect(row.get_by_role("checkbox")).to_be_checked()
    window.follow(page.locator(".obsku-tool").first)
    expect(page.locator("#content tbody")).to_contain_text("Shall I?")
    for number in (1, 2, 3):
        site.call(f"sessions/followed-{number}/", method="DELETE")
    page.clock.run_for(20_000)
    expect(page.locator("#content")).not_to_contain_text("Shall I?")


def test_an_open_page_follows_a_running_session_and_the_reader_keeps_the_place(window: Window, site: Site) -> None:
    site.call("sessions/", {"id": "running", "directory": "/", "title": "At work"})
    said = [{"role": "user", "content": f"step {number}"} for number in range(40)]
    site.call("sessions/running/messages/", said)
    page = window.page
    page.goto(site.session("running", "transcript"))
    middle = page.locator("[data-message]").nth(20)
    page.evaluate("element => element.scrollIntoView()", middle.element_handle())
    before = middle.bounding_box()
    site.call("sessions/running/messages/", {"role": "assistant", "content": "new words"})
    expect(page.get_by_text("new words")).to_be_attached(timeout=20_000)
    assert middle.bounding_box() == before
    expect(page.locator("[data-message]")).to_have_count(41)

    # A call has no result, until it has one.
    call = {"name": "look", "toolUseId": "late", "input": {}}
    site.call("sessions/running/messages/", {"role": "assistant", "tool_calls": [call]})
    expect(page.locator(".obsku-call .obsku-badge-silent")).to_have_text("no result", timeout=20_000)
    expect(page.locator("#obsku-unpaired")).to_contain_text("One tool call or result", timeout=20_000)
    result = {"toolUseId": "late", "content": "seen", "status": "success"}
    site.call("sessions/running/messages/", {"role": "tool", "tool_results": [result]})
    expect(page.locator(".obsku-call .obsku-badge-silent")).to_have_count(0, timeout=20_000)
    expect(page.locator(".obsku-call .obsku-badge").first).to_have_text("success")
    expect(page.locator("#obsku-unpaired")).not_to_contain_text("One tool call or result", timeout=20_000)

    # The overview changes, but not below the hands of a person who reads on a link.
    page.goto(site.session("running"))
    page.locator(".obsku-last a").first.focus()
    results = {"plan": {"status": "running", "startedAt": 1}}
    site.call("sessions/running/checkpoints/", {"step": 1, "node_results": results, "pending_nodes": ["report"]})
    expect(page.locator("#obsku-overview")).to_contain_text("Still to do: report", timeout=20_000)
    expect(page.locator("#obsku-badges")).to_contain_text("working, last sign")
    expect(page.locator(".obsku-last a").first).to_be_focused()
