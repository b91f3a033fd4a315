"""What one decision costs: `python -m tests.bench.decide`. The bar: 10,000 trials in one study, <= 100 ms CPU.

It holds because every trial is looked at once by plain attribute reads: trials are frozen dataclasses that `gather`
keeps between two reconciles, so nothing is parsed or validated per trial; finished ones cost one comparison each in
the fold of the ledger, and only unfinished ones (at most `parallel`) are thought about. The status is bounded in
size.
"""

import random
import statistics
import time
from dataclasses import replace

from tests.unit.core.builders import Scene, a_report, a_study, ended, failed, pending, recorded, running
from tuning_operator.api.trial import TrialState
from tuning_operator.core.model import Result, Rung
from tuning_operator.search.schedulers.ladder import ladder

BAR_MS = 100.0


def a_long_study(trials: int, *, parallel: int = 32, objectives: int = 1) -> Scene:
    """All but the last few trials have ended; of those that run, one just did."""
    rng = random.Random(7)
    changes = {
        "limits__trials": 10_000,
        "limits__parallel": parallel,
        "limits__failures": 10_000,
        "limits__patience": 10_000,
    }
    if objectives == 2:
        changes["objectives"] = [
            {"metric": "accuracy", "goal": "Maximize"},
            {"metric": "size", "goal": "Minimize"},
        ]
    described = []
    for number in range(trials - parallel):
        if number % 20 == 0:
            described.append(failed("OutOfMemory", ended=float(number), infeasible=True))
            continue
        values = {"accuracy": rng.random(), "size": rng.random()}
        result = Result(TrialState.SUCCEEDED, "Completed", values=values, metrics=values, step=10)
        described.append(recorded(result, ended=float(number)))
    described += [running(since=float(trials)) for _ in range(parallel - 1)]
    described.append(ended(0, ended=trials + 10.0, report=a_report(0.5, size=0.5)))
    return a_study(**changes).with_trials(*described).with_suggestions().at(trials + 11.0)


def a_long_search_by_rungs(trials: int, *, parallel: int = 32, name: str) -> Scene:
    """Nearly all trials are paused at some rung; of those that run, one just reached its first."""
    rng = random.Random(7)
    scene = a_study(
        limits__trials=10_000,
        limits__parallel=parallel,
        fidelity={"min": 1, "max": 81},
        scheduler={"name": name},
        trial__checkpoints={"claimName": "checkpoints"},
    )
    budgets = ladder(1, 81, 3)
    described = []
    for number in range(trials - parallel):
        depth = 1
        while depth < len(budgets) and rng.random() < 1 / 3:
            depth += 1
        values = [{"accuracy": rng.random()} for _ in range(depth)]
        rungs = tuple(Rung(budgets[at], values[at], promoted=at < depth - 1) for at in range(depth))
        if depth == len(budgets):
            result = Result(TrialState.SUCCEEDED, "Completed", values=values[-1], metrics=values[-1], step=81)
            described.append(recorded(result, ended=float(number), rungs=rungs))
        else:
            described.append(pending(recorded_state=TrialState.PAUSED, attempt=1, rungs=rungs))
    described += [running(since=float(trials)) for _ in range(parallel - 1)]
    report = replace(a_report(0.5), rungs={1: {"accuracy": 0.5}})
    described.append(running(since=float(trials), report=report))
    return scene.with_trials(*described).with_suggestions().at(trials + 11.0)


def cpu_ms(scene: Scene, *, repeat: int = 9) -> float:
    """Median CPU time of one decision."""
    times = []
    for _ in range(repeat):
        begin = time.process_time()
        scene.plan()
        times.append((time.process_time() - begin) * 1000)
    return statistics.median(times)


def main() -> None:
    for objectives in (1, 2):
        for trials in (100, 1_000, 10_000):
            milliseconds = cpu_ms(a_long_study(trials, objectives=objectives))
            print(
                f"{trials:>6} trials, {objectives} objective(s): {milliseconds:7.2f} ms CPU (bar {BAR_MS:g} at 10000)"
            )
    for name in ("ASHA", "Hyperband"):
        for trials in (100, 1_000, 9_900):
            milliseconds = cpu_ms(a_long_search_by_rungs(trials, name=name))
            print(f"{trials:>6} trials, most paused, {name}: {milliseconds:7.2f} ms CPU (bar {BAR_MS:g} at 10000)")


if __name__ == "__main__":
    main()
