"""What a page is looked at for: the rules of WCAG 2.2 AA that axe-core knows, in light and dark, on laptop and phone.

All of it on the page as it was loaded: a navigation takes longer than the rest.
"""

from __future__ import annotations

import json

from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]  # it has no types

from tests.admin.browser.conftest import Window

LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
RULES = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},  # what colours change
}


def faults(window: Window, name: str, *, schemes: tuple[str, ...] = ("light", "dark")) -> list[str]:
    """What is wrong with the page that the window shows, each fault with the page's ``name``."""
    page = window.page
    window.check()
    found = []
    for size in (PHONE, LAPTOP):
        page.set_viewport_size(size)  # type: ignore[arg-type]  # a dict is a ViewportSize
        if (width := page.evaluate("document.documentElement.scrollWidth")) > size["width"]:
            found.append(f"{name}: {width} pixels wide on {size['width']}")
    page.evaluate(AXE_SCRIPT)
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its two
        page.evaluate("for (const change of document.getAnimations()) change.finish()")  # colours fade
        # Preloading waits for style sheets, seconds long, for rules about media that no page has.
        options = json.dumps({"runOnly": RULES[scheme], "resultTypes": ["violations"], "preload": False})
        # Only what is looked at is sent: the results have every element that is as it should be, too.
        told = "found.violations.map((one) => [one.id, one.nodes.map((node) => node.html)])"
        violations = page.evaluate(f"axe.run({options}).then((found) => {told})")
        found += [f"{name}, {scheme}: {rule}: {html[:200]}" for rule, nodes in violations for html in nodes]
    page.emulate_media(color_scheme="light")
    window.complaints.clear()  # axe itself sets inline styles
    return found
