"""The other processes of a trial that trains in several on one machine: started by the first, which stays the one that
was started, is told to stop, and reports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tuning_trainer.config import TrainerConfig

END_SECONDS = 20.0
"""How long a companion may take to end once the training is over."""


class Companions:
    """Processes of ranks 1 to `size` - 1. They have the settings of the first, and the address of its store."""

    def __init__(self, config: TrainerConfig, *, size: int, port: int) -> None:
        command = [sys.executable, "-m", "tuning_trainer"]
        chosen = json.dumps(config.model_dump(mode="json", exclude_unset=True))
        settings = {"TUNING_TRAINER": chosen, "TUNING_PARAMETERS": ""}
        self._processes = [
            subprocess.Popen(command, env=os.environ | settings | _variables(rank, size=size, port=port))
            for rank in range(1, size)
        ]

    def lost(self) -> str | None:
        """What is known of one that has ended by a signal or with an error; None when there is none."""
        for rank, process in enumerate(self._processes, 1):
            code = process.poll()
            if code:
                return (
                    f"process {rank} was ended by signal {-code}" if code < 0 else f"process {rank} ended with {code}"
                )
        return None

    def end(self, *, patiently: bool) -> None:
        """Waits for all, and ends those that do not end by themselves; not `patiently`: tells all to stop before."""
        if not patiently:
            for process in self._processes:
                process.terminate()
        for process in self._processes:
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _variables(rank: int, *, size: int, port: int) -> dict[str, str]:
    values: dict[str, Any] = {
        "RANK": rank,
        "WORLD_SIZE": size,
        "LOCAL_RANK": rank,
        "LOCAL_WORLD_SIZE": size,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }
    return {name: str(value) for name, value in values.items()}
