"""How the model errs: confusion matrix, ROC and precision-recall curves, calibration; or predictions over targets.

Drawn from the file that a trial recorded as its artifact `evaluation` (docs/trial-contract.md). The file was written by
a trial and is not trusted: what has not the expected form is not drawn.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tuning_operator.cli.report.drawing import ACCENT, SCALE, SOFT, Plot

if TYPE_CHECKING:
    import plotly.graph_objects as go

ARTIFACT: Final = "evaluation"
VERSION: Final = 1
MAX_BYTES: Final = 2**20
MOST_CLASSES_WITH_NUMBERS: Final = 20
NAMES: Final = {"test": "test data", "val": "validation data"}

Evaluation = Mapping[str, Any]


def read_evaluation(path: Path) -> Evaluation | None:
    """The file as it is; None where there is none that could be drawn."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        found = json.loads(content) if len(content) <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("v") == VERSION else None


def evaluated(found: Evaluation | None) -> list[Plot]:
    """The plots of an evaluation, if there is one."""
    if found is None:
        return []
    part = NAMES.get(str(found.get("part")), "held-out data")
    of = f"Of {found.get('samples')} samples of the {part}."
    if found.get("kind") == "numbers":
        return [
            Plot("Predictions", f"{of} On the line, a prediction is right.", _guarded(_pairs, found), 420),
            Plot("Errors", "Prediction minus target.", _guarded(_errors, found), 300),
        ]
    return [
        Plot(
            "Confusion matrix",
            f"{of} Rows are classes, columns what they were taken for.",
            _guarded(_matrix, found),
            _height(found),
        ),
        Plot(
            "ROC curves",
            f"{of} Each class against all others; the nearer to the upper left corner, the better.",
            _guarded(partial(_curves, kind=("false_positive_rate", "true_positive_rate", "auc")), found),
        ),
        Plot(
            "Precision and recall",
            f"{of} Each class against all others; the nearer to the upper right corner, the better.",
            _guarded(partial(_curves, kind=("recall", "precision", "average_precision")), found),
        ),
        Plot(
            "Calibration",
            f"{of} On the line, predictions are right as often as they are sure of themselves; large dots are many "
            "predictions.",
            _guarded(_calibration, found),
        ),
    ]


def _height(found: Evaluation) -> int:
    """Room for each class."""
    matrix = found.get("confusion")
    names = matrix.get("class") if isinstance(matrix, dict) else None
    return 220 + 24 * min(50, len(names)) if isinstance(names, list) else 360


def _guarded(draw: "Callable[[Evaluation], go.Figure]", found: Evaluation) -> "Callable[[], go.Figure | None]":
    """A file of another form gives no plot, and never costs the report."""

    def make() -> "go.Figure | None":
        try:
            return draw(found)
        except (LookupError, TypeError, AttributeError, ArithmeticError) as error:
            raise ValueError(f"not of the expected form: {error}") from error

    return make


def _matrix(found: Evaluation) -> "go.Figure":
    import plotly.graph_objects as go

    names, counts = [str(name) for name in found["confusion"]["class"]], found["confusion"]["count"]
    totals = [sum(row) or 1 for row in counts]
    shares = [[count / total for count in row] for row, total in zip(counts, totals, strict=True)]
    figure = go.Figure(
        go.Heatmap(
            x=names,
            y=names,
            z=shares,
            text=counts,
            texttemplate="%{text}" if len(names) <= MOST_CLASSES_WITH_NUMBERS else None,
            hovertemplate="%{y} taken for %{x}: %{text} (%{z:.1%})<extra></extra>",
            colorscale=SCALE,
            zmin=0,
            zmax=1,
            colorbar={"title": "share of class", "tickformat": ".0%"},
        )
    )
    figure.update_xaxes(title="taken for", type="category")
    figure.update_yaxes(title="class", type="category", autorange="reversed")
    return figure


def _curves(found: Evaluation, *, kind: tuple[str, str, str]) -> "go.Figure":
    import plotly.graph_objects as go

    across, up, area = kind
    figure = go.Figure()
    for curve in found["curves"]:
        figure.add_scatter(
            x=curve[across],
            y=curve[up],
            mode="lines",
            name=f"{curve['class']} ({curve[area]:.4f})",
            line={"shape": "hv" if area == "average_precision" else "linear"},
        )
    if area == "auc":
        figure.add_scatter(
            x=[0, 1], y=[0, 1], mode="lines", name="chance", line={"dash": "dot", "color": SOFT}, hoverinfo="skip"
        )
    words = {name: name.replace("_", " ") for name in kind}
    figure.update_layout(showlegend=True, legend_title_text=f"class ({words[area]})")
    figure.update_xaxes(title=words[across], range=[-0.01, 1.01])
    figure.update_yaxes(title=words[up], range=[-0.01, 1.02])
    return figure


def _calibration(found: Evaluation) -> "go.Figure":
    import plotly.graph_objects as go

    bins = found["calibration"]
    most = max(bins["count"])
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="perfect", line={"dash": "dot", "color": SOFT}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=bins["confidence"],
        y=bins["accuracy"],
        mode="lines+markers",
        name="model",
        text=[f"{count} predictions" for count in bins["count"]],
        line={"color": ACCENT},
        marker={"size": [6 + 18 * (count / most) ** 0.5 for count in bins["count"]]},
        hovertemplate="sure to %{x:.1%}, right in %{y:.1%}, %{text}<extra></extra>",
    )
    figure.update_xaxes(title="confidence", range=[-0.02, 1.02])
    figure.update_yaxes(title="accuracy", range=[-0.02, 1.05])
    return figure


def _pairs(found: Evaluation) -> "go.Figure":
    import plotly.graph_objects as go

    pairs = found["pairs"]
    ends = [min(pairs["target"]), max(pairs["target"])]
    figure = go.Figure()
    figure.add_scatter(x=ends, y=ends, mode="lines", name="right", line={"dash": "dot", "color": SOFT})
    figure.add_scatter(
        x=pairs["target"],
        y=pairs["predicted"],
        mode="markers",
        name="samples",
        marker={"color": ACCENT, "opacity": 0.6},
    )
    figure.update_xaxes(title="target")
    figure.update_yaxes(title="prediction")
    return figure


def _errors(found: Evaluation) -> "go.Figure":
    import plotly.graph_objects as go

    count, edge = found["errors"]["count"], found["errors"]["edge"]
    middle = [(low + high) / 2 for low, high in pairwise(edge)]
    figure = go.Figure(go.Bar(x=middle, y=count, marker_color=ACCENT, width=edge[1] - edge[0]))
    figure.update_xaxes(title="prediction minus target")
    figure.update_yaxes(title="samples")
    return figure
