"""The live table of `tuning run` in a terminal."""

import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuning_operator.api.trial import Role
from tuning_operator.cli import words
from tuning_operator.cli.progress import Row, finished, rows, seconds_left
from tuning_operator.local.runner import Scene

_STYLES = {
    "Running": "cyan",
    "Stopping": "yellow",
    "Pending": "dim",
    "Paused": "magenta",
    "Succeeded": "green",
    "Failed": "red",
    "Stopped": "yellow",
}
_OVERHEAD = 9
"""Lines around the rows."""
_EACH = 0.2
"""Seconds between two drawings."""


class TableDisplay:
    """An observer that redraws one table; notes scroll past above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._drawn = 0.0
        self._scene: Scene | None = None

    def __enter__(self) -> "TableDisplay":
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._scene is not None:
            self._draw(self._scene)
        self._live.stop()

    def update(self, scene: Scene) -> None:
        self._scene = scene
        if time.monotonic() - self._drawn >= _EACH:
            self._draw(scene)

    def note(self, text: str) -> None:
        self._live.console.print(Text(text, style="dim"))

    def _draw(self, scene: Scene) -> None:
        self._live.update(picture(scene, height=self._console.height), refresh=True)
        self._drawn = time.monotonic()


def picture(scene: Scene, *, height: int) -> RenderableType:
    return Group(_head(scene), _table(scene, max(4, height - _OVERHEAD)), _foot(scene))


def _head(scene: Scene) -> RenderableType:
    algorithm = scene.status.get("algorithm", {}).get("name", "")
    state = str(scene.status.get("state", ""))
    metrics = ", ".join(objective.metric for objective in scene.study.spec.objectives)
    scheduler = scene.study.spec.scheduler.name.value
    how = algorithm if scheduler == "None" else f"{algorithm}, {scheduler}"
    return Text.assemble(
        (scene.study.name, "bold"), f"  {state}", (f"  {metrics}, {how}, {scene.parallel} at once", "dim")
    )


def _table(scene: Scene, most: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    table.add_column("TRIAL", justify="right", no_wrap=True, min_width=7)
    table.add_column("STATE", no_wrap=True, min_width=9)
    table.add_column("PROGRESS", no_wrap=True, min_width=12)
    table.add_column("NOW", justify="right", no_wrap=True, min_width=8)
    table.add_column("BEST", justify="right", no_wrap=True, min_width=8)
    table.add_column("TIME", justify="right", no_wrap=True, min_width=6)
    every = rows(scene)
    budgets = any(row.rung is not None for row in every)
    if budgets:
        table.add_column("RUNG", justify="right", no_wrap=True, min_width=4)
    table.add_column("PARAMETERS", overflow="ellipsis", no_wrap=True, ratio=1)
    for row in _chosen(every, most):
        table.add_row(*_cells(row, budgets=budgets), style="bold" if row.is_best else None)
    return table


def _chosen(every: list[Row], most: int) -> list[Row]:
    """All that fit: the best, what runs, and then the latest."""
    if len(every) <= most:
        return every
    first = [row for row in every if row.is_best or row.state in ("Running", "Stopping")]
    rest = [row for row in reversed(every) if row not in first]
    kept = {row.number for row in [*first, *rest][:most]}
    return [row for row in every if row.number in kept]


def _cells(row: Row, *, budgets: bool) -> list[RenderableType]:
    name = {Role.FINAL: "final", Role.CONFIRM: f"{row.number} again"}.get(row.role, str(row.number))
    bar: RenderableType = ""
    if row.done is not None and row.state == "Running":
        bar = ProgressBar(total=1.0, completed=row.done, width=12)
    elif row.state == "Running":
        bar = ProgressBar(total=1.0, pulse=True, width=12, animation_time=time.monotonic())
    elif row.note:
        bar = Text(row.note, style="dim")
    return [
        Text(name + (" *" if row.is_best else "  ")),
        Text(row.state, style=_STYLES.get(row.state, "")),
        bar,
        "" if row.current is None or row.state != "Running" else words.short(row.current),
        "" if row.best is None else words.short(row.best),
        "" if row.seconds is None else words.duration(row.seconds),
        *([] if not budgets else ["" if row.rung is None else str(row.rung)]),
        Text(words.parameters(row.parameters)),
    ]


def _foot(scene: Scene) -> RenderableType:
    counts = scene.status.get("counts", {})
    limit = scene.study.spec.limits.trials
    parts = [f"{finished(scene)}{f' of {limit}' if limit else ''} trials ended"]
    parts += [f"{counts[each]} {each}" for each in ("paused", "failed") if counts.get(each)]
    if scene.status.get("front"):
        parts.append(words.front_size(scene.status))
    started = [trial.started_at for trial in scene.trials if trial.started_at is not None]
    if started:
        parts.append(f"{words.duration(scene.now - min(started))} passed")
    left = seconds_left(scene)
    if left is not None and left > 0 and scene.status.get("state") == "Running":
        parts.append(f"some {words.duration(left)} left")
    line = Text("  ".join(parts), style="dim")
    best = scene.status.get("best")
    if best is None:
        return line
    return Group(
        Text.assemble(("best so far  ", "dim"), f"trial {best['number']}  {words.metrics(best['values'])}"), line
    )
