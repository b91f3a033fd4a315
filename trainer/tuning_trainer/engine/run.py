"""One trial from its configuration to its exit code. The only place that turns exceptions into ends of a trial."""

from __future__ import annotations

import sys
import traceback

import torch

from tuning_trainer import augment
from tuning_trainer.config import SettingError, TrainerConfig
from tuning_trainer.data.parts import prepare, wanted_folds
from tuning_trainer.engine import device as devices
from tuning_trainer.engine.failures import DivergedError, ExportError, StoppedError, is_out_of_memory
from tuning_trainer.engine.joining import Joined
from tuning_trainer.engine.trial import Trial
from tuning_trial import exit_codes
from tuning_trial.session import Session


def run(config: TrainerConfig, session: Session) -> int:
    """Trains as `config` says and reports to `session`; returns the exit code of the trial contract."""
    joined: Joined | None = None
    try:
        joined = Joined(config, asked=session.should_stop, fail=lambda reason, message: _fail(session, reason, message))
        device = devices.choose(config.runtime, processes=joined.place.local_size)
        joined.meet(device)
        torch.manual_seed(config.seed)
        final, pixels = session.environment.role == "Final", augment.wants_pixels(config.augment)
        data, *others = [
            prepare(
                config.data,
                final=final,
                device=device,
                pixels=pixels,
                fold=fold,
                hold_on=config.runtime.hold_data_on,
            )
            for fold in wanted_folds(config.data, final=final)
        ]
        trial = Trial(config, session, data=data, others=others, device=device, world=joined.world)
        trial.resume()
        trial.train()
        trial.conclude()
        joined.leave(orderly=True)
    except StoppedError as end:
        _tell(str(end))
        session.stopped()
        if joined is not None:
            joined.leave(orderly=joined.world.size > 1)
        return exit_codes.STOPPED
    except Exception as error:
        reason, message = _why(error)
        if joined is not None:
            reason, message = joined.explain(error, reason, message)
        if reason == "Exception":
            traceback.print_exc()
        code = _fail(session, reason, message)
        if joined is not None:
            joined.leave(orderly=False)
        return code
    session.finish()
    return exit_codes.DONE


def _why(error: Exception) -> tuple[str, str]:
    if isinstance(error, SettingError):
        return "InvalidSetting", str(error)
    if isinstance(error, DivergedError):
        return "Diverged", f"{error}; a smaller learning rate or gradient clipping may help"
    if isinstance(error, ExportError):
        return "ExportFailed", f"{error}; the checkpoint is whole: with more room, run it again"
    if is_out_of_memory(error):
        return "OutOfMemory", f"{_one_line(error)}; a smaller batch or model may help"
    if isinstance(error, RuntimeError) and "does not have a deterministic implementation" in str(error):
        told = _one_line(error).split(", but you set", 1)[0]
        return (
            "InvalidSetting",
            f"runtime.deterministic is true, but {told}; set it to false, or use another model or loss",
        )
    return "Exception", f"{type(error).__name__}: {_one_line(error)}"


def _fail(session: Session, reason: str, message: str) -> int:
    _tell(f"{reason}: {message}")
    return session.fail(reason, message)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:600]


def _tell(text: str) -> None:
    print(f"tuning_trainer: {text}", file=sys.stderr, flush=True)
