"""Every page is for everybody: see `looks`; by keyboard, and in German."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.admin.browser.conftest import Window
from tests.admin.browser.looks import LAPTOP, faults
from tests.admin.browser.site import Site
from tests.admin.browser.test_walk import ASKING, FAILED, SCANNED

pytestmark = pytest.mark.xdist_group("browser")


def pages(window: Window) -> Iterator[str]:
    """The name of each page, which the window shows then, with what it folds away open. In any language."""
    page = window.page

    def follow(end: str) -> None:
        window.follow(page.locator(f"#content a[href$='{end}']").first)

    yield "sessions"
    follow("/figures/")
    yield "figures"
    page.go_back()
    follow("/waiting/")
    yield "waiting"
    window.open(ASKING)
    yield "question"
    window.open(FAILED)
    yield "overview"
    for name in ("transcript", "timeline", "checkpoints"):
        follow(f"/{name}/")
        page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
        yield name
    window.follow(page.locator("#obsku-checkpoints tbody a").first)
    yield "checkpoint"
    for name in ("compare/?with=previous", "fork/", "edit/"):
        follow(f"/{name}")
        yield name
        if name != "edit/":
            page.go_back()
    window.follow(page.locator(".obsku-nodes a").first)
    yield "edited output"
    window.open(FAILED)
    follow("/go-on/")
    yield "go on"
    window.open(SCANNED)
    page.locator(".obsku-edit summary").click()
    yield "form"
    follow("/forks/")
    yield "forks"
    follow("/delete/")
    yield "delete"
    page.goto(f"{window.site.root}/admin/")
    yield "index"


def test_every_page_is_accessible_and_fits(browser: Browser, site: Site) -> None:
    window = Window(browser, site, site.user, viewport=LAPTOP)
    found = [fault for name in pages(window) for fault in faults(window, name)]
    assert not found, "\n".join(found)
    window.context.close()


def test_every_page_is_accessible_and_fits_in_german(browser: Browser, site: Site) -> None:
    window = Window(browser, site, site.user, locale="de", viewport=LAPTOP)
    found = []
    for name in pages(window):
        assert window.page.locator("html").get_attribute("lang") == "de"
        found += faults(window, name, schemes=("light",))
    assert not found, "\n".join(found)
    window.context.close()


def test_the_keyboard_is_enough(window: Window, page: Page) -> None:
    window.open(FAILED)
    # From the tabs to the transcript, to a tool call, and open it.
    page.get_by_role("navigation", name="Pages of this session").get_by_role("link", name="Overview").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".obsku-tabs [aria-current]")).to_have_text("Transcript")
    call = page.locator("details.obsku-call", has_text="list_files")
    for _ in range(80):
        page.keyboard.press("Tab")
        if call.locator("summary").first.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(call.get_by_text("Result", exact=True)).to_be_visible()
    # The drawings' links are reached, and seen to be.
    window.tab("Timeline")
    page.get_by_role("region", name="Timeline").focus()
    page.keyboard.press("Tab")
    link = page.locator("svg.obsku-timeline a").first
    expect(link).to_be_focused()
    assert link.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
