"""What a suggestion costs, and what it costs others.

python -m tests.bench.suggest cost      CPU per suggestion, against plain Optuna in the same run
python -m tests.bench.suggest auto      the same for what `Auto` may choose (bars: 60 ms at 1,000, 300 ms at 10,000)
python -m tests.bench.suggest loop      latency of an event loop while suggestions are made ready
python -m tests.bench.suggest memory    memory and CPU of what is imported, and memory per known trial
"""

import argparse
import asyncio
import multiprocessing
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tuning_operator.api.parameters import Parameter
from tuning_operator.api.study import Goal, StudySpec
from tuning_operator.search.known import Known
from tuning_operator.search.lookahead import Inputs, LookAhead
from tuning_operator.search.seeds import draw
from tuning_operator.search.suggest import Problem, problem, suggest
from tuning_operator.search.types import Observation, Parameters

SIZES = (100, 1_000, 10_000)
CONDITION = {"parameter": "optimizer", "values": ["sgd"]}
FLAT = [
    *({"name": f"x{index}", "float": {"min": 0, "max": 1}} for index in range(4)),
    {"name": "lr", "float": {"min": 1e-5, "max": 1, "scale": "Log"}},
    {"name": "layers", "int": {"min": 0, "max": 20}},
    {"name": "optimizer", "choice": ["sgd", "adam", "lion"]},
]
CONDITIONAL = [*FLAT, {"name": "momentum", "float": {"min": 0, "max": 1}, "when": [CONDITION]}]
SPACES = {"flat, 7 parameters": FLAT, "conditional, 8 parameters": CONDITIONAL}


def a_problem(parameters: list[dict[str, Any]], *, goals: int = 1, algorithm: str = "TPE", **more: Any) -> Problem:
    spec = StudySpec.model_validate(
        {
            "objectives": [{"metric": f"m{index}", "goal": Goal.MINIMIZE} for index in range(goals)],
            "parameters": [Parameter.model_validate(parameter).model_dump(by_alias=True) for parameter in parameters],
            "algorithm": {"name": algorithm},
            "limits": {"trials": 10_000},
            "trial": {"trainer": {}},
        }
        | more
    )
    return problem(spec, study_uid="bench")


def a_history(task: Problem, count: int) -> tuple[Observation, ...]:
    rng = random.Random(1)
    points = [task.space.build(lambda axis: draw(axis.values, rng)) for _ in range(count)]
    return tuple(Observation(n, point, _values(task, point)) for n, point in enumerate(points))


def _values(task: Problem, point: Parameters) -> tuple[float, ...]:
    numbers = [float(value) for value in point.values() if not isinstance(value, str)]
    value = sum(numbers)
    return tuple(value if index % 2 == 0 else numbers[index // 2] - value / 9 for index in range(len(task.goals)))


def cpu(function: Callable[[], object], *, times: int) -> float:
    """Median CPU seconds of the calling thread."""
    taken = []
    for _ in range(times):
        start = time.thread_time()
        function()
        taken.append(time.thread_time() - start)
    return statistics.median(taken)


def cost() -> None:
    print("CPU milliseconds per suggestion (median); in the operator the history is known already")
    print(f"{'':54}{'known':>8} {'new process':>12} {'Optuna ask':>11} {'ratio':>6} {'Optuna, new study':>18}")
    for title, parameters in SPACES.items():
        for goals in (1, 2):
            for size in SIZES:
                name = f"{title}, {goals} objective{'s'[: goals - 1]}, {size:,} trials"
                _cost(name, a_problem(parameters, goals=goals), size)


GRID = [{"name": name, "int": {"min": 1, "max": 100}} for name in ("layers", "width")]
ROUNDS = {"fidelity": {"min": 1, "max": 81}, "scheduler": {"name": "ASHA"}}
AUTO: dict[str, tuple[Problem, tuple[int, ...]]] = {
    "Auto, 1 objective (Gaussian process)": (a_problem(FLAT, algorithm="Auto"), (40, 100, 200, 499, 501, 1_000, 9_900)),
    "Auto, 2 objectives (TPE)": (a_problem(FLAT, goals=2, algorithm="Auto"), SIZES),
    "Auto, 3 objectives (TPE)": (a_problem(FLAT, goals=3, algorithm="Auto"), SIZES),
    "Auto, 4 objectives (TPE)": (a_problem(FLAT, goals=4, algorithm="Auto"), SIZES),
    "Auto, rungs (TPE)": (a_problem(CONDITIONAL, algorithm="Auto", **ROUNDS), SIZES),
    "Auto, 10,000 points (Grid)": (a_problem(GRID, algorithm="Auto"), SIZES),
    "Random": (a_problem(CONDITIONAL, algorithm="Random"), SIZES),
}


def auto() -> None:
    """`known`: as in the operator, where one result is new each time; 32 trials run."""
    print(f"{'CPU milliseconds per suggestion':54}{'known':>8} {'new process':>12}")
    for title, (task, sizes) in AUTO.items():
        for size in sizes:
            _auto(f"{title}, {size:,} trials", task, size)


def _auto(name: str, task: Problem, size: int) -> None:
    history = a_history(task, size)
    running = {size + 10 + number: each.parameters for number, each in enumerate(a_history(task, 32))}
    kept = Known(task.space)
    numbers = iter(range(size, size + 100))

    def ask(known: Known | None) -> None:
        number = next(numbers)
        more = Observation(number, history[number % len(history)].parameters, history[0].values)
        suggest(task, history=(*history, more), running=running, number=number + 1, known=known)

    ask(kept)
    later = cpu(lambda: ask(kept), times=3 if size > 1_000 else 6)
    first = cpu(lambda: ask(None), times=1)
    print(f"{name:54}{later * 1e3:8.1f} {first * 1e3:12.1f}", flush=True)


def _cost(name: str, task: Problem, size: int) -> None:
    from tests.unit.search import optuna_reference  # `memory` measures what Optuna adds

    history = a_history(task, size)
    times = 3 if size > 1_000 else 15
    kept = Known(task.space)
    suggest(task, history=history, running={}, number=size, known=kept)
    # A new result each time, as in a study.
    grown = [(*history, Observation(size, history[i].parameters, history[i].values)) for i in range(times)]
    known = cpu(lambda: suggest(task, history=grown.pop(), running={}, number=size + 1, known=kept), times=times)
    fresh = cpu(lambda: suggest(task, history=history, running={}, number=size), times=3)
    study = optuna_reference.a_study(task.space, objectives=len(task.goals), history=history)
    ask = cpu(lambda: optuna_reference.ask(study, task.space), times=times)

    def anew() -> None:
        new = optuna_reference.a_study(task.space, objectives=len(task.goals), history=history)
        optuna_reference.ask(new, task.space)

    new = cpu(anew, times=1)
    columns = f"{known * 1e3:8.1f} {fresh * 1e3:12.1f} {ask * 1e3:11.1f} {known / ask:6.2f} {new * 1e3:18.1f}"
    print(f"{name:54}{columns}", flush=True)


async def _round_trips(seconds: float) -> list[float]:
    """Milliseconds of five small requests in a row with some Python between, like the API calls of one reconcile."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(0.02)
        start = time.perf_counter()
        for _ in range(5):
            writer.write(b"x")
            await reader.read(100)
            sum(i * i for i in range(3_000))
        taken.append((time.perf_counter() - start) * 1e3)
    writer.close()
    await asyncio.sleep(0.05)
    server.close()
    return sorted(taken)


def loop(seconds: float) -> None:
    print("milliseconds of five round trips on the event loop: p50, p99, max")

    def measured(name: str) -> None:
        taken = asyncio.run(_round_trips(seconds))
        p50, p99 = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
        print(f"{name:62}{p50:8.1f} {p99:8.1f} {taken[-1]:8.1f}", flush=True)

    task = a_problem(FLAT)
    measured("idle")
    interval = sys.getswitchinterval()
    for size in SIZES:
        history = a_history(task, size)
        for switch in (interval, 0.0005):
            sys.setswitchinterval(switch)
            with _Busy(task, history):
                measured(f"{size:,} trials, thread without rest, switch interval {switch * 1e3:g} ms")
        sys.setswitchinterval(interval)
        with _Requested(task, history):  # shortens the switch interval itself
            measured(f"{size:,} trials, LookAhead, 20 results/s")
        sys.setswitchinterval(interval)
        with _Forked(task, history):
            measured(f"{size:,} trials, process without rest")


class _Forked:
    """Another process that suggests without rest: what the machine itself costs."""

    def __init__(self, task: Problem, history: tuple[Observation, ...]) -> None:
        self.process = multiprocessing.get_context("fork").Process(target=_forever, args=(task, history), daemon=True)

    def __enter__(self) -> None:
        self.process.start()
        time.sleep(2)

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.join()


def _forever(task: Problem, history: tuple[Observation, ...], stop: Callable[[], bool] = lambda: False) -> None:
    known = Known(task.space)
    number = len(history)
    while not stop():
        suggest(task, history=history, running={}, number=number, known=known)
        number += 1


class _Busy:
    """A thread that suggests without rest."""

    def __init__(self, task: Problem, history: tuple[Observation, ...]) -> None:
        self.stopped = False
        self.thread = threading.Thread(target=_forever, args=(task, history, lambda: self.stopped))

    def __enter__(self) -> None:
        self.thread.start()
        time.sleep(2)

    def __exit__(self, *_: object) -> None:
        self.stopped = True
        self.thread.join()


class _Requested(_Busy):
    """The look-ahead of a study with 32 slots into which 20 results a second arrive."""

    def __init__(self, task: Problem, history: tuple[Observation, ...]) -> None:
        super().__init__(task, history)
        self.thread = threading.Thread(target=self._results, args=(task, history))

    def _results(self, task: Problem, history: tuple[Observation, ...]) -> None:
        ahead = LookAhead()
        told = list(history)
        while not self.stopped:
            told.append(Observation(len(told), history[0].parameters, history[0].values))
            ahead.request("study", Inputs(task, tuple(told), {}), range(len(told), len(told) + 32))
            time.sleep(0.05)
        ahead.close()


def memory() -> None:
    """Each line in this one process, in the order in which an operator imports."""

    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    before, start = resident(), time.process_time()
    print(f"with the search, without a model: {before:.1f} MB")
    import numpy as np

    now = resident()
    print(f"numpy {np.__version__}: +{now - before:.1f} MB, {time.process_time() - start:.2f} s CPU")
    before, start = now, time.process_time()
    import tuning_operator.search.tpe_model  # noqa: F401

    now = resident()
    print(f"Optuna: +{now - before:.1f} MB, {time.process_time() - start:.2f} s CPU")
    heavy = ("sqlalchemy", "alembic", "matplotlib", "pandas", "scipy", "torch", "plotly", "sklearn")
    print(f"heavy modules loaded: {[name for name in heavy if name in sys.modules] or 'none'}")
    task = a_problem(FLAT)
    history = a_history(task, 10_000)
    known = Known(task.space)
    before = resident()
    suggest(task, history=history, running={}, number=10_000, known=known)
    print(
        f"10,000 trials known to the model: +{resident() - before:.1f} MB, {(resident() - before) / 10:.1f} KB a trial"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["cost", "auto", "loop", "memory"])
    parser.add_argument("--seconds", type=float, default=10, help="for each line of `loop`")
    chosen = parser.parse_args()
    {"cost": cost, "auto": auto, "loop": lambda: loop(chosen.seconds), "memory": memory}[chosen.what]()
