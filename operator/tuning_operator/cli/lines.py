"""The progress of `tuning run` as lines, for logs, pipes and CI: one line when something changed."""

import contextlib
from typing import TextIO

from tuning_operator.api.trial import Role, TrialState
from tuning_operator.cli import words
from tuning_operator.cli.progress import Row, finished, rows, seconds_left
from tuning_operator.local.runner import Scene


class LinesDisplay:
    """An observer that writes a line for each start and end of a trial."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._states: dict[int, str] = {}
        self._paused: set[int] = set()
        self._began: float | None = None

    def __enter__(self) -> "LinesDisplay":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def update(self, scene: Scene) -> None:
        if self._began is None:
            self._begin(scene)
        first = not self._states
        for row in rows(scene):
            before = self._states.get(row.number)
            self._states[row.number] = row.state
            ended = row.state in (TrialState.SUCCEEDED, TrialState.FAILED, TrialState.STOPPED)
            if row.state == before or (first and ended) or row.state == TrialState.PENDING:
                continue
            again = row.state == TrialState.RUNNING and row.number in self._paused
            self._paused.discard(row.number)
            if row.state == TrialState.PAUSED:
                self._paused.add(row.number)
            text = f"trial {row.number} promoted from step {row.rung}" if again else _describe(row, scene)
            self._line(scene, text + (_how_far(scene) if ended else ""))

    def note(self, text: str) -> None:
        # A reader that has gone (a closed terminal, `| head`) must not end the study.
        with contextlib.suppress(OSError):
            print(text, file=self._out, flush=True)

    def _begin(self, scene: Scene) -> None:
        self._began = scene.now
        algorithm = scene.status.get("algorithm", {})
        parts = [f"{scene.study.name}: {scene.parallel} at once, {algorithm.get('name', 'no algorithm')}"]
        self.note(": ".join([*parts, *filter(None, [algorithm.get("reason")])]))
        if scene.trials:
            self.note(f"going on with {len(scene.trials)} trials, {finished(scene)} of them ended")

    def _line(self, scene: Scene, text: str) -> None:
        passed = scene.now - (self._began or scene.now)
        self.note(f"{words.duration(passed):>7}  {text}")


_NAMES = {
    Role.SEARCH: "trial {}",
    Role.CONFIRM: "further run (trial {})",
    Role.FINAL: "final run (trial {})",
}


def _describe(row: Row, scene: Scene) -> str:
    name = _NAMES[row.role].format(row.number)
    parts = [f"{name} {row.state.lower()}"]
    if row.state == TrialState.PAUSED:
        parts = [f"{name} paused at step {row.rung}"]
    result = next(trial.result for trial in scene.trials if trial.number == row.number)
    if len(scene.study.spec.objectives) > 1 and result is not None and result.values:
        parts.append(words.metrics(result.values))
    elif row.best is not None and row.state in (TrialState.SUCCEEDED, TrialState.STOPPED, TrialState.PAUSED):
        parts.append(f"{scene.study.spec.objectives[0].metric}={words.number(row.best)}")
    if row.is_best and row.state == TrialState.SUCCEEDED:
        parts.append("the best so far")
    if row.role is not Role.FINAL:
        parts.append(words.parameters(row.parameters))
    if row.note:
        message = result.message if result is not None else ""
        parts.append(f"{row.note}{f': {message}' if message else ''}")
    return "  ".join(parts)


def _how_far(scene: Scene) -> str:
    limit = scene.study.spec.limits.trials
    left = seconds_left(scene)
    text = f"  ({finished(scene)}{f' of {limit}' if limit else ''}"
    return text + (f", some {words.duration(left)} left)" if left else ")")
