"""Pages: self-contained, and nothing from the data can become markup or script."""

from __future__ import annotations

import json
import re

from turbine_health.reporting import pages, theme

EVIL = "</script><script>alert(1)</script>"


def page_with(title: str, figure_title: str) -> str:
    return pages.figures_page(title, {figure_title: theme.figure(figure_title)})


def test_a_page_asks_nothing_of_the_network():
    page = page_with("Report", "ROC")
    own_markup = page.replace(pages.get_plotlyjs(), "")
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", own_markup)
    assert "plotly.js v" in page


def test_text_from_the_data_is_escaped_wherever_it_stands():
    page = page_with(EVIL, EVIL).replace(pages.get_plotlyjs(), "")
    assert "<script>alert" not in page
    assert page.count("&lt;/script&gt;") >= 3


def test_a_figure_in_a_page_is_the_figure_that_went_in():
    drawing = theme.figure("T07 < T08")
    block = re.search(r'<script type="application/json">(.*?)</script></figure>', str(pages.render_figure(drawing)))
    assert block
    assert json.loads(block[1])["layout"]["title"]["text"] == "T07 < T08"


def test_every_colour_has_a_dark_counterpart():
    light = set(theme.SERIES) | {theme.INK, theme.GRID, theme.PAPER, theme.BAND}
    assert light == set(theme.DARK)
