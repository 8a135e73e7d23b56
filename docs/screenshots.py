"""Makes the pictures in ``docs/screenshots`` from real runs: serves the example project, and looks at it.

    python docs/screenshots.py

Needs the test dependencies and a Chromium (``apt-get install chromium``).
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.admin.chromium import chromium  # noqa: E402 - found by the path above

FOLDER = REPOSITORY / "docs" / "screenshots"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 780}
LOGIN = re.compile(r"user (\S+), password (\S+)")
#: (file, session's title, page, how to make it ready)
PICTURES = (
    ("overview", "Release 2.4.1", "change"),
    ("failed", "Release 2.4.0", "change"),
    ("transcript", "Release 2.4.0", "transcript"),
    ("timeline", "Release 2.4.0", "timeline"),
    ("forks", "Scan the shop", "forks"),
)


@contextmanager
def served() -> Iterator[tuple[str, str, str]]:
    """The address, user and password of the example project, with runs in a database of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "EXAMPLE_DATABASE": str(Path(folder, "db.sqlite3")), "PYTHONUNBUFFERED": "1"}
        environment.pop("POSTGRES_URL", None)
        command = [sys.executable, str(REPOSITORY / "manage.py"), "serve", address]
        server = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert server.stdout is not None
            login = next(found for line in server.stdout if (found := LOGIN.search(line)))
            wait_for(f"http://{address}/")
            yield f"http://{address}", login[1], login[2]
        finally:
            server.terminate()
            server.wait()


def wait_for(address: str) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(address)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(address)


def signed_in(browser: Browser, root: str, user: str, password: str, scheme: str, size: dict[str, int]) -> Page:
    context = browser.new_context(viewport=size, color_scheme=scheme, device_scale_factor=1)  # type: ignore[arg-type]  # literals
    page = context.new_page()
    page.goto(f"{root}/admin/login/?next=/")
    page.fill("#id_username", user)
    page.fill("#id_password", password)
    page.click("input[type=submit]")
    page.wait_for_selector("#changelist")
    # The admin's list of apps tells a reader nothing here.
    if page.locator("#toggle-nav-sidebar").is_visible() and page.locator("#main.shifted").count():
        page.click("#toggle-nav-sidebar")
        page.wait_for_timeout(400)
    return page


def picture(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    print(f"{path.relative_to(REPOSITORY)}  {path.stat().st_size // 1000} kB")


def all_pictures(page: Page, root: str, suffix: str) -> None:
    page.goto(f"{root}/")
    picture(page, f"sessions{suffix}")
    links = {link.inner_text(): link.get_attribute("href") for link in page.locator(".field-name a").all()}
    for name, title, part in PICTURES:
        page.goto(f"{root}{links[title]}".split("?")[0].replace("/change/", f"/{part}/"))
        if name == "transcript":
            page.locator("details.obsku-call").last.locator("summary").first.click()
            page.locator("details.obsku-call").last.scroll_into_view_if_needed()
        picture(page, f"{name}{suffix}")
    page.goto(f"{root}{links['Release 2.4.0']}".split("?")[0].replace("/change/", "/checkpoints/"))
    page.locator("#obsku-checkpoints table a").first.click()
    picture(page, f"checkpoint{suffix}")
    page.get_by_role("link", name="Compare with the previous").click()
    picture(page, f"compare{suffix}")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with served() as (root, user, password), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for suffix, scheme, size in (("", "light", DESKTOP), ("-dark", "dark", DESKTOP), ("-phone", "light", PHONE)):
            page = signed_in(browser, root, user, password, scheme, size)
            all_pictures(page, root, suffix)
        browser.close()


if __name__ == "__main__":
    main()
