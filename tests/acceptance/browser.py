"""A headless Chromium without network, and what a page must show in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, sync_playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]

# A plot is empty when it was never drawn, or holds neither data nor a word why not.
EMPTY_PLOTS = """() => [...document.querySelectorAll("figure.plot")]
  .filter((plot) => plot.checkVisibility())
  .filter((plot) => !plot.querySelector(".main-svg .trace, .main-svg .heatmaplayer image, .main-svg .annotation-text"))
  .map((plot) => plot.querySelector(".canvas").getAttribute("aria-label"))"""


@dataclass
class Screen:
    """A page and everything it complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def scroll_through(self) -> None:
        """Down to the end, as plots are drawn when they come into view."""
        height = self.page.evaluate("document.documentElement.scrollHeight")
        for y in range(0, height, 500):
            self.page.evaluate(f"window.scrollTo(0, {y})")
            self.page.wait_for_timeout(60)

    def empty_plots(self) -> list[str]:
        self.scroll_through()
        self.page.wait_for_timeout(400)
        return list(self.page.evaluate(EMPTY_PLOTS))

    def is_wider_than_the_screen(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


@contextmanager
def chromium(*, width: int = 1400, offline: bool = True) -> Iterator[Screen]:
    """A fresh browser window; skips where there is no Chromium."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(CHROMIUM)} is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=offline)
        screen = Screen(context.new_page())
        screen.page.on("pageerror", lambda error: screen.complaints.append(str(error)))
        screen.page.on("console", lambda message: screen.complaints.append(message.text) if message.type == "error" else None)
        yield screen
        browser.close()
