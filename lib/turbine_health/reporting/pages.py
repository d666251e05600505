"""HTML pages: one file each, readable without network, light and dark, narrow and wide.

A page is a title and sections; a section holds what its template asks for and figures. Figures are
written into the page as data and drawn when they scroll into view, so a page with a hundred of
them opens at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from turbine_health.reporting.theme import DARK, short


def figures_page(title: str, figures: Mapping[str, go.Figure], introduction: str = "") -> str:
    """A page that is one figure after the other, each under its heading."""
    return render("figures.html", title=title, figures=figures, introduction=introduction)


def render(template: str, **values: Any) -> str:
    """Fill a template of `reporting/templates`. Every value is escaped unless it is a figure."""
    return _environment().get_template(template).render(**values)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("turbine_health.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plot"] = render_figure
    environment.filters["short"] = short
    environment.filters["moment"] = lambda moment: f"{moment:%d %B %Y, %H:%M} UTC"
    environment.globals.update(plotly_js=lambda: Markup(get_plotlyjs()), dark_colours=DARK)
    return environment


def render_figure(figure: go.Figure, description: str = "") -> Markup:
    """The place where a figure will be drawn, with its data beside it."""
    title = description or figure.layout.title.text or "figure"
    height = int(figure.layout.height or 340)
    # "</script>" inside a name from the data would end the block, so `<` is written as its code.
    data = json.dumps(json.loads(figure.to_json()), separators=(",", ":")).replace("<", "\\u003c")
    return Markup(
        '<figure class="plot"><div class="canvas" role="img" aria-label="{}" style="min-height:{}px"></div>'
        '<script type="application/json">{}</script></figure>'
    ).format(title, height, Markup(data))
