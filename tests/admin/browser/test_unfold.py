"""The pages in the theme django-unfold, which has an admin of its own around them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.admin.browser.conftest import Window
from tests.admin.browser.site import served
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
        window.check()
        window.context.close()
