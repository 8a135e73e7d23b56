"""Every page by the rules of WCAG 2.2 AA that axe-core knows, in light and dark; by keyboard, and on a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.sync_api import Browser, Page, expect

from tests.admin.browser.conftest import Window
from tests.admin.browser.site import Site
from tests.admin.browser.test_walk import ASKING, FAILED, SCANNED

pytestmark = pytest.mark.xdist_group("browser")

RULES = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},  # what colours change
}
PHONE = {"width": 360, "height": 740}


def pages(window: Window) -> Iterator[tuple[str, Page]]:
    """Each page once, with what it folds away open."""
    page = window.page
    yield "sessions", page
    window.follow(page.get_by_role("link", name="Figures"))
    yield "figures", page
    page.go_back()
    window.follow(page.locator(".obsku-tool").first)
    yield "waiting", page
    yield "question", window.open(ASKING)
    yield "overview", window.open(FAILED)
    for name in ("Transcript", "Timeline", "Checkpoints"):
        window.tab(name)
        page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
        yield name, page
    window.follow(page.locator("#obsku-checkpoints tbody a").first)
    yield "checkpoint", page
    window.follow(page.get_by_role("link", name="Compare with the previous"))
    yield "comparison", page
    page.go_back()
    window.follow(page.get_by_role("link", name="Fork from here"))
    yield "fork", page
    page.go_back()
    window.follow(page.get_by_role("link", name="Edit an output and fork"))
    yield "whose output", page
    window.follow(page.locator(".obsku-nodes a").first)
    yield "edit", page
    window.open(FAILED)
    window.follow(page.get_by_role("link", name="Go on"))
    yield "go on", page
    window.open(SCANNED)
    page.get_by_text("Edit title and metadata").click()
    yield "form", page
    window.tab("Forks")
    yield "forks", page
    window.follow(page.get_by_role("link", name="Delete"))
    yield "delete", page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, site: Site, scheme: str) -> None:
    # axe itself sets inline styles.
    window = Window(
        browser, site, site.user, color_scheme=scheme, viewport={"width": 1280, "height": 800}, bypass_csp=True
    )
    found = []
    for name, page in pages(window):
        results = Axe().run(page, options={"runOnly": RULES[scheme], "resultTypes": ["violations"]})
        for violation in results.response["violations"]:
            found += [f"{name}: {violation['id']}: {node['html'][:200]}" for node in violation["nodes"]]
    assert not found, "\n".join(found)
    window.check()
    window.context.close()


def test_a_phone_scrolls_tables_and_drawings_but_no_page(browser: Browser, site: Site) -> None:
    window = Window(browser, site, site.user, viewport=PHONE, has_touch=True, is_mobile=True)
    wide = [
        name for name, page in pages(window) if page.evaluate("document.documentElement.scrollWidth") > PHONE["width"]
    ]
    assert wide == []
    window.check()
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
