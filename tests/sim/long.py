"""Many faulty runs: `python -m tests.sim.long [--first 0] [--runs 10000]`, or every single failpoint: `--failpoints`.

Every run's history goes through the history checker; a run that breaks a promise is printed with the command that
replays it, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tests.sim.failpoints import Hit, How
from tests.sim.scenario import CALM_ONES, Scenario, scenario
from tests.sim.simulate import Simulation, complaints

Run = tuple[str, Scenario, Hit | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0, help="seed of the first run")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--failpoints", action="store_true", help="hit calm studies once at each failpoint instead")
    args = parser.parse_args()
    runs = at_every_failpoint() if args.failpoints else by_seeds(args.first, args.runs)
    sys.exit(1 if go_through(runs) else 0)


def by_seeds(first: int, runs: int) -> Iterator[Run]:
    for seed in range(first, first + runs):
        yield str(seed), scenario(seed), None


def at_every_failpoint() -> Iterator[Run]:
    for name, calm in CALM_ONES.items():
        passed = Simulation(calm).run().failpoints
        for how in How:
            for hit in passed.every(how):
                yield f"'{name}' '{hit}'", calm, hit


def go_through(runs: Iterator[Run]) -> int:
    """How many were broken."""
    began, count, broken = time.monotonic(), 0, 0
    sums: Counter[str] = Counter()
    for name, given, hit in runs:
        simulation = Simulation(given, hit)
        try:
            outcome = simulation.run()
            found = complaints(outcome)
            sums.update(
                crashes=outcome.crashes,
                trials=len(outcome.world.trials),
                writes=outcome.failpoints.passed.total() // 2,
                attempts=sum(stored.trial.attempt + 1 for stored in outcome.world.trials.values()),
                facts=len(outcome.facts),
            )
            sums[f"studies {outcome.state}"] += 1
        except Exception as error:
            found = [repr(error)]
        count += 1
        if found:
            broken += 1
            print(f"BROKEN: python -m tests.sim.simulate {name}", *found, sep="\n  ", flush=True)
        if count % 500 == 0:
            _say(count, broken, sums, began)
    _say(count, broken, sums, began)
    return broken


def _say(count: int, broken: int, sums: Counter[str], began: float) -> None:
    words = ", ".join(f"{number} {what}" for what, number in sorted(sums.items()))
    print(f"{count} runs, {broken} broken, {time.monotonic() - began:.0f} s: {words}", flush=True)


if __name__ == "__main__":
    main()
