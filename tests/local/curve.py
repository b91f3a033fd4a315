"""A trial of a few milliseconds that learns: a curve towards a loss that its parameters decide.

Its state is a file in its checkpoint directory, so that a promoted attempt goes on where the last one stopped, and a
member of a population where its parent did. Every step it trains is a line in the file `steps` beside the study.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import tuning_trial

STATE = "state.json"


def load(directory: Path | None) -> dict[str, Any]:
    file = directory / STATE if directory is not None else None
    found: dict[str, Any] = json.loads(file.read_text()) if file is not None and file.is_file() else {}
    return found


def save(state: dict[str, Any]) -> None:
    file = tuning_trial.checkpoint_dir() / STATE
    new = file.with_suffix(".new")
    new.write_text(json.dumps(state))
    new.replace(file)


def main() -> int:
    given = tuning_trial.parameters(x=0.5, z=0.5, epochs=9)
    x, z, epochs = float(given["x"]), float(given["z"]), int(given["epochs"])
    pause = float(os.environ.get("PAUSE", "0"))
    own = load(tuning_trial.checkpoint_dir())
    state = own or load(tuning_trial.parent_dir())
    if own:
        tuning_trial.restore(own["report"])
    step, error = int(state.get("step", 0)), float(state.get("error", 1.0))
    tuning_trial.should_stop()
    if (tuning_trial.budget() or epochs) <= step < epochs:
        tuning_trial.report(step, steps=epochs, loss=(x - 0.3) ** 2 + error, cost=x + z)
    while step < epochs and not tuning_trial.should_stop():
        time.sleep(pause)
        step += 1
        error *= 0.5 + 0.4 * z
        with Path("steps").open("a") as journal:
            journal.write(f"{os.environ['TUNING_TRIAL_NUMBER']} {os.environ['TUNING_ATTEMPT']} {step}\n")
        noise = 0.001 * int(os.environ.get("TUNING_REPLICATE", "0"))
        tuning_trial.report(step, steps=epochs, loss=(x - 0.3) ** 2 + error + noise, cost=x + z)
        save({"step": step, "error": error, "report": tuning_trial.state()})
    return 0 if step >= epochs else tuning_trial.exit_codes.STOPPED


if __name__ == "__main__":
    sys.exit(main())
