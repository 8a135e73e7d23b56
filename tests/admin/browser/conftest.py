"""A browser at the admin of the example project. All of its tests are one group: they share the browser."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from tests.admin.browser.chromium import chromium
from tests.admin.browser.site import Site, served

VIEWER = "viewer"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Each module has its own: what one does to the runs is not seen by another."""
    with served("tests.admin.browser.settings") as site:
        site.run(
            "from django.contrib.auth.models import Permission, User;"
            f"user = User.objects.create_user({VIEWER!r}, password={site.password!r}, is_staff=True);"
            "user.user_permissions.set(Permission.objects.filter(codename__startswith='view_'))"
        )
        yield site


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip("no Chromium here; .ci/run installs one")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@cache
def signed_in(browser: Browser, site: Site, user: str) -> Any:
    """The cookies of somebody who has signed in."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.root}/")
    page.fill("#id_username", user)
    page.fill("#id_password", site.password)
    page.click("[type=submit]")
    page.wait_for_selector("#result_list")
    state = context.storage_state()
    context.close()
    return state


class Window:
    """A page of a signed-in person, and what the browser complained about."""

    def __init__(self, browser: Browser, site: Site, user: str, **options: Any) -> None:
        self.site = site
        self.complaints: list[str] = []
        self.context = browser.new_context(storage_state=signed_in(browser, site, user), **options)
        self.page = self.context.new_page()
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("console", self._console)
        self.page.goto(f"{site.root}/")

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def open(self, title: str) -> Page:
        """The page of the newest session of this title."""
        self.page.goto(f"{self.site.root}/admin/obsku_checkpoint/session/")
        self.follow(self.page.get_by_role("link", name=title, exact=True).first)
        return self.page

    def tab(self, name: str) -> None:
        self.follow(self.page.get_by_role("navigation", name="Pages of this session").get_by_role("link", name=name))

    def follow(self, link: Locator) -> None:
        """Click, and wait for the page that it leads to."""
        with self.page.expect_navigation():
            link.click()

    def check(self) -> None:
        """Nothing was wrong; nothing inline, above all."""
        complaints, self.complaints[:] = [*self.complaints], []
        assert complaints == []


@pytest.fixture(scope="module")
def desktop(browser: Browser, site: Site) -> Iterator[Window]:
    window = Window(browser, site, site.user, viewport={"width": 1280, "height": 800})
    yield window
    window.context.close()


@pytest.fixture
def window(desktop: Window, site: Site) -> Iterator[Window]:
    """Of somebody who may do everything, at the list of sessions."""
    desktop.page.goto(f"{site.root}/")
    yield desktop
    desktop.check()


@pytest.fixture
def page(window: Window) -> Page:
    return window.page
