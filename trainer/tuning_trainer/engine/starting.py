"""The processes of one pod of several: torchrun, by its PET_* variables, with the exit codes of the trial contract.

torchrun itself ends with 1 whatever its processes end with. Here the code of the first that failed is passed on, so
that a trial that stopped at a rung, or found a setting invalid, says so in any number of processes.
"""

from __future__ import annotations

from collections.abc import Sequence


def torchrun(arguments: Sequence[str]) -> int:
    """Runs the trainer with these arguments in each process; returns when all have ended."""
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        run.main(["-m", "tuning_trainer", *arguments])
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return failure.exitcode if failure.exitcode >= 0 else 128 - failure.exitcode
    except SignalException as stopped:
        return 128 + int(stopped.sigval)
    return 0
