"""A person acts on runs in a browser: goes on, edits an output and forks."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.admin.browser.conftest import Window
from tests.admin.browser.test_walk import FAILED, SCANNED

pytestmark = pytest.mark.xdist_group("browser")


def test_a_failed_run_is_let_go_on_and_the_page_says_who_did(window: Window) -> None:
    page = window.open(FAILED)
    window.follow(page.get_by_role("link", name="Go on"))
    expect(page.locator(".obsku-error", has_text="search failed")).to_contain_text("KeyError: 'house'")
    window.follow(page.get_by_role("button", name="Go on"))
    # The ruleset is still missing: it has failed again, in a further checkpoint.
    expect(page.locator(".messagelist")).to_contain_text("The run went on.")
    expect(page.locator("#obsku-badges")).to_contain_text("failed")
    expect(page.locator("#obsku-deeds")).to_contain_text(window.site.user)
    expect(page.locator("#obsku-deeds")).to_contain_text("Added resumption")
    window.follow(page.get_by_role("link", name="The whole history"))
    expect(page.locator("#change-history")).to_contain_text("Added resumption")


def test_an_output_is_edited_and_the_fork_goes_on(window: Window) -> None:
    page = window.open(SCANNED)
    window.tab("Checkpoints")
    window.follow(page.locator("#obsku-checkpoints tbody a").first)
    window.follow(page.get_by_role("link", name="Edit an output and fork"))
    window.follow(page.locator(".obsku-nodes a", has_text="rank"))
    output = page.get_by_label("Output")
    expect(output).not_to_have_value("")
    page.get_by_label("Title of the new session").fill("With an edited rank")
    window.follow(page.get_by_role("button", name="Fork and go on"))
    expect(page.locator("h1")).to_have_text("With an edited rank")
    expect(page.locator("#obsku-badges")).to_contain_text("fork")
    expect(page.locator("#obsku-deeds")).to_contain_text("Added edited output “rank:")


def test_two_runs_are_compared_across_forks(window: Window) -> None:
    page = window.open(SCANNED)
    window.tab("Checkpoints")
    window.follow(page.locator("#obsku-checkpoints tbody a").first)
    window.follow(page.get_by_role("link", name="Compare with any other"))
    group = page.locator("#obsku-with optgroup[label='Another way, 1'] option").first
    page.get_by_label(re.compile("^Compare")).select_option(value=group.get_attribute("value"))
    window.follow(page.get_by_role("button", name="Compare").first)
    expect(page.get_by_role("link", name="Another way, 1")).to_be_visible()
    expect(page.locator(".obsku-differences .obsku-group").first).to_be_visible()
