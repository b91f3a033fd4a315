"""Run by torchrun in several processes: trains the cases of a JSON file together, and leaves what came of each.

For each case: `settings`, `role`, and `stops`: at which question of which rank each attempt is told to stop.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from tests.unit.trainer.builders import a_config, a_session
from tests.unit.trainer.limits import limit_memory
from tuning_trainer.data.parts import prepare
from tuning_trainer.engine.failures import StoppedError
from tuning_trainer.engine.joining import Joined
from tuning_trainer.engine.trial import Trial

CPU = torch.device("cpu")


def main(file: Path) -> None:
    """Trains all cases in one meeting of the processes."""
    cases: dict[str, dict[str, Any]] = json.loads(file.read_text())
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    joined = Joined(a_config(), asked=lambda: False, fail=fail)
    joined.meet(CPU)
    for name, case in cases.items():
        found = train(case, file.parent / name, joined)
        if joined.world.main:
            (file.parent / f"{name}.json").write_text(json.dumps(found))
    joined.leave(orderly=True)


def train(case: dict[str, Any], directory: Path, joined: Joined) -> dict[str, Any]:
    """The reports of all attempts, of which all but the last are stopped."""
    config = a_config(case["settings"])
    if "memory" in case and joined.world.rank == 1:
        limit_memory(case["memory"])
    losses: list[float] = []
    where: list[int] = []
    for rank, questions in [*case.get("stops", ()), (-1, 0)]:
        session = a_session(
            directory, role=case.get("role", "Search"), stop_after=questions if rank == joined.world.rank else None
        )
        torch.manual_seed(config.seed)
        data = prepare(config.data, final=session.environment.role == "Final", device=CPU)
        trial = Trial(config, session, data=data, device=CPU, world=joined.world)
        publish = session.report

        def report(step: int, *, steps: int | None = None, publish: Any = publish, **metrics: float) -> None:
            losses.append(metrics["train_loss"])
            publish(step, steps=steps, **metrics)

        session.report = report  # type: ignore[method-assign]
        try:
            trial.resume()
            trial.train()
            trial.conclude()
        except StoppedError:
            where.append(trial.loop.progress.step)
    return {"losses": losses, "stopped": where, "final": dict(session.snapshot().final)}


def fail(reason: str, message: str) -> int:
    """Told by the watch when another process has failed."""
    print(reason, message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
