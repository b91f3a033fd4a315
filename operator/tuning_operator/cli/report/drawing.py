"""A plot of the report, in the page's clothes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLORS = ("#2563eb", "#f97316", "#16a34a", "#9333ea", "#dc2626", "#0891b2", "#ca8a04", "#db2777")
ACCENT, BEST, SOFT, BAD = "#2563eb", "#f97316", "#94a3b8", "#dc2626"
SCALE = "Blues"
STATES = {
    "COMPLETE": ("Succeeded", "#16a34a"),
    "FAIL": ("Failed", "#dc2626"),
    "PRUNED": ("Stopped", "#ca8a04"),
    "RUNNING": ("Running", "#2563eb"),
}
"""Optuna's words for states, in ours, and their colours."""
FEWEST_FOR_OUTLIERS = 8
A_ROW = 4
"""Small plots drawn side by side."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One plot. Without a title it belongs to the one before it."""

    title: str
    says: str
    """One line on how to read it."""
    height: int
    """Pixels."""
    json: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot to be made. `make` gives None, or raises ValueError or RuntimeError, if there is nothing to draw."""

    title: str
    says: str
    make: "Callable[[], go.Figure | None]"
    height: int = 360


def dressed(figure: "go.Figure", height: int) -> "go.Figure":
    figure.update_layout(
        template="plotly_white",
        title=None,
        colorway=COLORS,
        autosize=True,
        width=None,
        height=height,
        margin={"l": 60, "r": 30, "t": 30, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 12, "color": "#334155"},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    for axis in (*figure.select_xaxes(_is_log), *figure.select_yaxes(_is_log)):
        if axis.tickvals is None:
            axis.update(**_log_ticks(figure, axis))
    for trace in figure.data:
        if trace.name in STATES:
            trace.name, trace.marker.color = STATES[trace.name]
    return figure


def leave_outliers_outside(figure: "go.Figure", values: Sequence[float]) -> None:
    """Where a few values would press all others into a line, the axis shows the others, and says so."""
    ordered = sorted(values)
    if len(ordered) < FEWEST_FOR_OUTLIERS:
        return
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in (0.05, 0.95))
    reach = 3 * (high - low)
    inside = [value for value in ordered if low - reach <= value <= high + reach]
    if len(inside) == len(ordered) or inside[0] == inside[-1]:
        return
    margin = 0.05 * (inside[-1] - inside[0])
    figure.update_yaxes(range=[inside[0] - margin, inside[-1] + margin])
    outside = len(ordered) - len(inside)
    figure.add_annotation(
        text=f"{outside} value{'s' if outside > 1 else ''} outside; all lie from {ordered[0]:.3g} to {ordered[-1]:.3g}",
        xref="paper",
        yref="paper",
        x=1,
        y=1.02,
        yanchor="bottom",
        showarrow=False,
        font={"size": 11, "color": SOFT},
    )


def _is_log(axis: Any) -> bool:
    return bool(axis.type == "log")


def _log_ticks(figure: "go.Figure", axis: Any) -> dict[str, Any]:
    """Powers of ten over a wide range, also 2 and 5 of each over a narrow one."""
    letter, number = axis.plotly_name[0], axis.plotly_name.removeprefix(f"{axis.plotly_name[0]}axis")
    own = [trace for trace in figure.data if (getattr(trace, f"{letter}axis", None) or letter) == letter + number]
    values = [value for trace in own for value in (getattr(trace, letter, None) or ()) if _is_positive(value)]
    if values and max(values) < 100 * min(values):
        return {"dtick": "D2", "tickformat": "~g"}
    return {"dtick": 1, "exponentformat": "power"}


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and value > 0
