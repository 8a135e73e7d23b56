"""``python -m docs.screenshots``: makes the pictures in ``docs/screenshots`` from real runs of the example project.

Needs the test dependencies and a Chromium (``apt-get install chromium``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.admin.browser.chromium import chromium
from tests.admin.browser.conftest import Window
from tests.admin.browser.site import served
from tests.admin.browser.test_walk import ASKING, FAILED, FORKED, SCANNED

FOLDER = Path(__file__).parent / "screenshots"
DESKTOP, PHONE = {"width": 1280, "height": 760}, {"width": 390, "height": 760}
#: suffix of the file's name -> what the browser is like, and which pictures it takes
SHOTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "": ({"viewport": DESKTOP}, ()),
    "-dark": ({"viewport": DESKTOP, "color_scheme": "dark"}, ("sessions", "failed", "transcript", "timeline")),
    "-phone": ({"viewport": PHONE, "is_mobile": True}, ("question", "transcript", "failed", "forks")),
}
#: seconds for each file of the scans, so that there is time to see
DELAY = 0.06


def pages(window: Window) -> Iterator[tuple[str, Page]]:
    page = window.page
    yield "sessions", page
    window.follow(page.locator(".obsku-tool").first)
    yield "waiting", page
    yield "question", window.open(ASKING)
    yield "failed", window.open(FAILED)
    yield "finished", window.open(SCANNED)
    window.tab("Timeline")
    yield "timeline", page
    window.tab("Transcript")
    call = page.locator("details.obsku-call:has(.obsku-badge-finished)").nth(-2)
    call.locator("summary").first.click()
    call.evaluate("element => element.closest('article').scrollIntoView()")
    yield "transcript", page
    window.tab("Checkpoints")
    window.follow(page.locator("#obsku-checkpoints tbody a").first)
    yield "checkpoint", page
    window.follow(page.get_by_role("link", name="Compare with the previous"))
    yield "comparison", page
    window.open(FORKED)
    window.tab("Forks")
    yield "forks", page


def content(page: Page) -> Any:
    """What the window shows of the page, without the empty rest below a short one."""
    size: Any = page.viewport_size
    end = page.evaluate("document.querySelector('#content').getBoundingClientRect().bottom")
    return {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], max(end + 16, 480))}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with served("example_project.settings", DELAY) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for suffix, (options, wanted) in SHOTS.items():
            window = Window(browser, site, site.user, **options)
            for name, page in pages(window):
                if not wanted or name in wanted:
                    path = FOLDER / f"{name}{suffix}.png"
                    page.wait_for_load_state("networkidle")
                    page.screenshot(path=path, animations="disabled", clip=content(page))
                    print(f"{path.name}  {path.stat().st_size // 1000} kB", flush=True)
            window.context.close()
        browser.close()


if __name__ == "__main__":
    main()
