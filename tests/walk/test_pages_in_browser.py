"""The fleet report and the exploration page of the small fleet, in a real browser without network."""

from __future__ import annotations

from pathlib import Path

import pytest
from acceptance.browser import chromium
from acceptance.hostile import HOSTILE_NAMES


@pytest.fixture(scope="module")
def fleet_page(undisturbed, tmp_path_factory) -> str:
    """After ten days of predictions, so that each turbine has a history to draw."""
    plant = undisturbed.plant.copy(tmp_path_factory.mktemp("ten_days"))
    plant.run_warm("predict --from 2023-05-21", "report")
    return (plant.folder / "reports" / "index.html").as_uri()


@pytest.fixture(scope="module")
def exploration_page(undisturbed) -> str:
    undisturbed.plant.run_warm("explore")
    return (undisturbed.plant.folder / "reports" / "exploration.html").as_uri()


@pytest.mark.parametrize("width", [400, 1400])
def test_the_fleet_page_draws_every_plot_at_every_width(fleet_page, width):
    with chromium(width=width) as screen:
        screen.page.goto(fleet_page)
        screen.page.evaluate("document.querySelectorAll('details').forEach((section) => { section.open = true; })")
        assert screen.empty_plots() == []
        assert screen.page.locator("details figure.plot").count() >= 2 * len(HOSTILE_NAMES)
        assert not screen.is_wider_than_the_screen()
        assert screen.complaints == []


@pytest.mark.parametrize("width", [400, 1400])
def test_the_exploration_page_draws_every_plot_at_every_width(exploration_page, width):
    with chromium(width=width) as screen:
        screen.page.goto(exploration_page)
        assert screen.empty_plots() == []
        assert screen.page.locator("figure.plot").count() > 20
        assert not screen.is_wider_than_the_screen()
        assert screen.complaints == []


def test_a_click_in_the_work_list_leads_to_the_turbine(fleet_page):
    with chromium() as screen:
        screen.page.goto(fleet_page)
        link = screen.page.locator("#work-list ~ .scroll tbody tr").last.locator("a")
        link.click()
        section = screen.page.locator(link.get_attribute("href") or "")
        assert section.get_attribute("open") is not None
        assert section.locator("summary").is_visible()
        assert 0 <= section.bounding_box()["y"] < 900
        # A name of 4,000 letters pushes the plot below the screen, and a plot is drawn when it comes into view.
        section.locator("figure.plot").first.scroll_into_view_if_needed()
        section.locator(".main-svg").first.wait_for()


def test_the_page_can_be_used_by_keyboard(fleet_page):
    with chromium() as screen:
        screen.page.goto(fleet_page)
        screen.page.keyboard.press("Tab")
        assert screen.page.evaluate("document.activeElement.textContent") == "Skip to content"
        screen.page.keyboard.press("Enter")
        assert screen.page.evaluate("location.hash") == "#content"
        screen.page.locator("th button").nth(1).focus()
        screen.page.keyboard.press("Enter")
        assert screen.page.locator("th").nth(1).get_attribute("aria-sort") == "ascending"


def test_a_plot_of_a_run_opens_from_the_file_system(undisturbed):
    roc, *_ = Path(undisturbed.plant.folder / "mlartifacts").glob("*/artifacts/roc_curve_model_a.html")
    with chromium() as screen:
        screen.page.goto(roc.as_uri())
        screen.page.wait_for_selector(".main-svg .trace")
        assert screen.complaints == []
