"""How figures look: colours, type, spacing. Light by default; pages swap the colours for dark ones."""

from __future__ import annotations

import html
import textwrap

import plotly.graph_objects as go

BLUE, RED, AMBER, GREEN, VIOLET, GREY = "#2b6cb0", "#c2362f", "#b7791f", "#2f855a", "#6b46c1", "#718096"
INK, GRID, PAPER, BAND = "#1f2933", "#e2e6eb", "#ffffff", "#dce8f5"
SERIES = (BLUE, AMBER, GREEN, VIOLET, RED, GREY)

# The same hues, lighter, for a dark page. Pages replace them in a figure's text, so every colour of
# a figure comes from this module.
DARK = {
    BLUE: "#63a4e8", RED: "#f0776f", AMBER: "#e0a945", GREEN: "#5cbf8f", VIOLET: "#a78bfa", GREY: "#9aa5b4",
    INK: "#e4e9ef", GRID: "#38424f", PAPER: "#171c23", BAND: "#24384d",
}  # fmt: skip
# From "nothing" to "a lot", and from "together" to "against".
SEQUENTIAL = [[0, BAND], [1, BLUE]]
DIVERGING = [[0, AMBER], [0.5, PAPER], [1, BLUE]]


def figure(title: str, x_title: str = "", y_title: str = "", *, height: int = 340) -> go.Figure:
    """An empty figure with a title and named axes. Units belong into the axis names."""
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID, "automargin": True, "title_standoff": 8}
    return go.Figure(
        layout={
            "template": "none",
            "title": {"text": title, "x": 0, "y": 1, "yanchor": "top", "pad": {"t": 10, "l": 8}, "font": {"size": 15}},
            "font": {"family": "system-ui, -apple-system, Segoe UI, sans-serif", "size": 12, "color": INK},
            "paper_bgcolor": PAPER,
            "plot_bgcolor": PAPER,
            "height": height,
            "margin": {"l": 56, "r": 16, "t": 56, "b": 48},
            "xaxis": {**axis, "title_text": x_title},
            "yaxis": {**axis, "title_text": y_title},
            "hovermode": "closest",
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "colorway": list(SERIES),
        }
    )


def label(text: object) -> str:
    """A name from the data, safe inside a figure, where plotly would read `<b>` as a tag and a long one squeezes all."""
    return html.escape(short(str(text)), quote=False)


def short(text: str, longest: int = 40) -> str:
    """The text with its middle left out where it is too long to be read anyway.

    >>> short("T07"), short("abcdefghijklmnopqrstuvwxyz", 9)
    ('T07', 'abcdef…yz')
    """
    kept_at_the_end = longest // 4
    return text if len(text) <= longest else f"{text[: longest - kept_at_the_end - 1]}…{text[-kept_at_the_end:]}"


def whole_step(highest: float) -> int:
    """Distance of ticks on an axis that counts up to `highest`: nobody has seen half a failure.

    >>> whole_step(2), whole_step(40)
    (1, 8)
    """
    return max(1, round(highest / 5))


def say_nothing_to_show(drawing: go.Figure, why: str) -> go.Figure:
    """A figure that says in words why it is empty, rather than showing bare axes."""
    drawing.update_xaxes(visible=False).update_yaxes(visible=False).update_layout(height=150)
    lines = "<br>".join(html.escape(line, quote=False) for line in textwrap.wrap(why, 40))
    return drawing.add_annotation(text=lines, showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)
