"""What one decision costs: `python -m tests.bench.decide`. The bar: 10,000 trials in one study, <= 100 ms CPU.

`first` is a decision of an operator that has just started; `next` one of those after it, when one trial's record has
changed. Trials are frozen dataclasses that `gather` keeps between two reconciles, so nothing is parsed or validated per
trial, and what is worked out of a trial that has not changed is kept in a memo. Only unfinished trials that do not
merely wait at a rung (at most `parallel`) are thought about. The status is bounded in size.
"""

import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.unit.core.builders import Scene, a_report, a_study, ended, failed, pending, recorded, running
from tuning_operator.api.trial import TrialState
from tuning_operator.core.decide import decide
from tuning_operator.core.history import told
from tuning_operator.core.memo import Memo
from tuning_operator.core.model import Result, Rung, Trial
from tuning_operator.search.schedulers.ladder import ladder

BAR_MS = 100.0
SIZES = (100, 1_000, 9_900)
METRICS = ("accuracy", "size", "latency", "energy")
GOALS = [{"metric": name, "goal": "Maximize" if name == "accuracy" else "Minimize"} for name in METRICS]


def a_long_study(trials: int, *, parallel: int = 32, objectives: int = 1) -> Scene:
    """All but the last few trials have ended; of those that run, one just did."""
    rng = random.Random(7)
    described = []
    for number in range(trials - parallel):
        if number % 20 == 0:
            described.append(failed("OutOfMemory", ended=float(number), infeasible=True))
            continue
        values = {name: rng.random() for name in METRICS}
        result = Result(TrialState.SUCCEEDED, "Completed", values=values, metrics=values, step=10)
        described.append(recorded(result, ended=float(number)))
    described += [running(since=float(trials)) for _ in range(parallel - 1)]
    report = a_report(0.5, size=0.5, latency=0.5, energy=0.5)
    described.append(ended(0, ended=trials + 10.0, report=report))
    changes = {
        "limits__trials": 10_000,
        "limits__parallel": parallel,
        "limits__failures": 10_000,
        "limits__patience": 10_000,
        "objectives": GOALS[:objectives],
    }
    return a_study(**changes).with_trials(*described).with_suggestions().at(trials + 11.0)


def a_long_search_by_rungs(trials: int, *, parallel: int = 32, name: str, objectives: int = 1) -> Scene:
    """Nearly all trials are paused at some rung; of those that run, one just reached its first, and a slot is free."""
    rng = random.Random(7)
    scene = a_study(
        limits__trials=10_000,
        limits__parallel=parallel,
        objectives=GOALS[:objectives],
        fidelity={"min": 1, "max": 81},
        scheduler={"name": name},
        trial__checkpoints={"claimName": "checkpoints"},
    )
    budgets = ladder(1, 81, 3)
    metrics = METRICS[:objectives]
    described = []
    for number in range(trials - parallel):
        depth = 1
        while depth < len(budgets) and rng.random() < 1 / 3:
            depth += 1
        values = [{metric: rng.random() for metric in metrics} for _ in range(depth)]
        rungs = tuple(Rung(budgets[at], values[at], promoted=at < depth - 1) for at in range(depth))
        if depth == len(budgets):
            result = Result(TrialState.SUCCEEDED, "Completed", values=values[-1], metrics=values[-1], step=81)
            described.append(recorded(result, ended=float(number), rungs=rungs))
        else:
            described.append(pending(recorded_state=TrialState.PAUSED, attempt=1, rungs=rungs))
    described += [running(since=float(trials)) for _ in range(parallel - 2)]
    report = replace(a_report(0.5), rungs={1: {metric: rng.random() for metric in metrics}})
    described.append(running(since=float(trials), report=report))
    return scene.with_trials(*described).with_suggestions().at(trials + 11.0)


def changed(scene: Scene, rng: random.Random) -> Scene:
    """One trial's record is another one: any that is paused has another value, one of the last ones is a new object."""
    trials = list(scene.snapshot.trials)
    paused = [trial.number for trial in trials if trial.recorded_state is TrialState.PAUSED]
    place = rng.choice(paused or range(len(trials) - 50, len(trials)))
    trials[place] = _changed(trials[place], rng)
    return replace(scene, snapshot=replace(scene.snapshot, trials=tuple(trials)))


def _changed(trial: Trial, rng: random.Random) -> Trial:
    if trial.result is not None or not trial.rungs:
        return replace(trial)
    last = replace(trial.rungs[-1], values={metric: rng.random() for metric in trial.rungs[-1].values})
    return replace(trial, rungs=(*trial.rungs[:-1], last))


def cpu_ms(scene: Scene, what: Callable[[Scene, Memo], Any], *, repeat: int = 7) -> tuple[float, float]:
    """CPU time with nothing known yet, and after it; the least, since neighbours on a machine only add to it."""
    rng = random.Random(1)
    memo = Memo()
    first, later = [], []
    for _ in range(repeat):
        scene = changed(scene, rng)
        first.append(_timed(lambda scene=scene: what(scene, Memo())))
        what(scene, memo)
        scene = changed(scene, rng)
        later.append(_timed(lambda scene=scene: what(scene, memo)))
    return min(first), min(later)


def _timed(what: Callable[[], Any]) -> float:
    begin = time.process_time()
    what()
    return (time.process_time() - begin) * 1000


def _decide(scene: Scene, memo: Memo) -> Any:
    return decide(scene.snapshot, scene.now, memo=memo)


def _told(scene: Scene, memo: Memo) -> Any:
    return told(scene.snapshot, memo=memo)


def main() -> None:
    print(f"{'CPU milliseconds':>60} {'first':>8} {'next':>8}   (bar {BAR_MS:g} at 10,000)")
    for objectives in (1, 2, 3, 4):
        for trials in SIZES:
            report(f"{trials:,} trials, {objectives} objectives", a_long_study(trials, objectives=objectives))
    for name in ("ASHA", "Hyperband", "Median"):
        for trials in SIZES:
            report(f"{trials:,} trials, most paused, {name}", a_long_search_by_rungs(trials, name=name))
    for objectives in (2, 3, 4):
        for trials in SIZES:
            scene = a_long_search_by_rungs(trials, name="ASHA", objectives=objectives)
            report(f"{trials:,} trials, most paused, ASHA, {objectives} objectives", scene)
    for trials in SIZES:
        report(f"{trials:,} trials, what the search is told", a_long_study(trials), _told)


def report(title: str, scene: Scene, what: Callable[[Scene, Memo], Any] = _decide) -> None:
    first, later = cpu_ms(scene, what)
    print(f"{title:>60} {first:8.1f} {later:8.1f}", flush=True)


if __name__ == "__main__":
    main()
