"""The pages in the theme django-unfold, which has an admin of its own around them."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from obsku_checkpoint.url_ids import IdConverter
from tests.admin.browser.conftest import Window
from tests.admin.browser.site import Site, served
from tests.admin.browser.test_sessions import QUOTED
from tests.admin.browser.test_walk import ASKING, FAILED

pytestmark = pytest.mark.xdist_group("browser")


def test_the_pages_are_at_home_in_unfold(browser: Browser) -> None:
    with served("tests.admin.browser.unfold") as site:
        window = Window(browser, site, site.user, color_scheme="dark", viewport={"width": 1280, "height": 900})
        page = window.page
        window.open(ASKING)
        expect(page.get_by_role("button", name="Send the answer")).to_be_visible()
        window.open(FAILED)
        page.get_by_text("Edit title and metadata").click()
        page.get_by_label("Title").fill("In unfold")
        window.follow(page.get_by_role("button", name="Save and continue editing"))
        expect(page.locator("body")).to_contain_text("In unfold")
        for name in ("Transcript", "Timeline", "Forks", "Checkpoints"):
            window.tab(name)
            expect(page.locator(".obsku-page")).to_be_visible()
            expect(page.get_by_role("link", name="In unfold").first).to_be_visible()
        window.follow(page.locator("#obsku-checkpoints tbody a").first)
        window.follow(page.get_by_role("link", name="Compare with the previous"))
        expect(page.locator(".obsku-differences")).to_be_visible()
        page.goto(f"{site.root}/admin/")
        expect(page.locator(".obsku-standing")).to_contain_text("waiting for a person")
        follow_a_large_one(window, site)
        window.check()
        window.context.close()


def follow_a_large_one(window: Window, site: Site) -> None:
    """Outputs of 5 MB, and ids that hold every character that is quoted."""
    id = f"large {QUOTED}"
    results = {
        "load": {"status": "completed", "output": "y" * 5_000_000},
        "check": {"status": "failed", "error": "gone"},
    }
    site.call("sessions/", {"id": id, "directory": "/", "title": "Large"})
    for step, known in enumerate(({"load": results["load"]}, results), 1):
        checkpoint = {"id": f"{step} {id}", "step": step, "node_results": known, "pending_nodes": []}
        site.call(f"sessions/{quote(IdConverter().to_url(id))}/checkpoints/", checkpoint)
    page = window.open("Large")
    expect(page.locator(".obsku-error")).to_contain_text("gone")
    for name in ("Transcript", "Timeline", "Forks", "Checkpoints"):
        window.tab(name)
        expect(page.locator(".obsku-page")).to_be_visible()
    window.follow(page.locator("#obsku-checkpoints tbody a").first)
    expect(page.locator(".obsku-large")).to_contain_text("4.8 MB, of which this is the beginning")
    window.follow(page.get_by_role("link", name="Compare with the previous"))
    expect(page.locator(".obsku-page")).to_contain_text("check")
