"""How long a trial takes from `import torch` to the end of its first training step. Bar: 1 s.

    python tests/bench/trainer_start.py [--runs 7]

Each run is a process of its own: it imports torch, then does all that `python -m tuning_trainer` does, in the same
order, and ends after the first step. The bar is for CPU seconds of the process, little changed by what else runs;
seconds of the clock, the same on a quiet machine, and what `import torch` itself took are told as well.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

BAR = 1.0
CASES = {
    "lenet on digits": ["--set", "data=digits", "--set", "model=lenet"],
    "mlp on breast_cancer": ["--set", "data=breast_cancer", "--set", "model=mlp"],
}


class FirstStep(BaseException):
    """Ends a run after its first step."""


def child(arguments: list[str]) -> None:
    """One run; prints the seconds of `import torch` and from there to the first step as JSON."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    import torch

    imported, imported_cpu = time.perf_counter(), time.process_time()
    from tuning_trainer import cli
    from tuning_trainer.engine import loop

    real = loop.light_step

    def watched(optimizer: torch.optim.Optimizer):  # type: ignore[no-untyped-def]
        step = real(optimizer)

        def first() -> None:
            step()
            raise FirstStep

        return first

    loop.light_step = watched
    try:
        cli.main(arguments)
    except FirstStep:
        took = {"torch": imported - begin, "start": time.perf_counter() - imported}
        cpu = {"torch_cpu": imported_cpu - begin_cpu, "start_cpu": time.process_time() - imported_cpu}
        print(json.dumps(took | cpu))


def main() -> int:
    """Runs all cases, interleaved; 1 when the median of one is over the bar."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    results: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
    for _ in range(runs):
        for name, arguments in CASES.items():
            command = [sys.executable, __file__, "--child", *arguments]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            results[name].append(json.loads(output.splitlines()[-1]))
    slow = False
    for name, rows in results.items():
        medians = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        slow |= medians["start_cpu"] > BAR
        print(
            f"{name}: {medians['start_cpu']:.2f} s CPU, {medians['start']:.2f} s by the clock (import torch: "
            f"{medians['torch_cpu']:.2f} s CPU, {medians['torch']:.2f} s by the clock)"
        )
    return 1 if slow else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
    else:
        sys.exit(main())
