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
from tuning_trainer.engine.trial import Trial
from tuning_trial import exit_codes
from tuning_trial.session import Session


def run(config: TrainerConfig, session: Session) -> int:
    """Trains as `config` says and reports to `session`; returns the exit code of the trial contract."""
    try:
        device = devices.choose(config.runtime)
        torch.manual_seed(config.seed)
        final, pixels = session.environment.role == "Final", augment.wants_pixels(config.augment)
        data, *others = [
            prepare(config.data, final=final, device=device, pixels=pixels, fold=fold)
            for fold in wanted_folds(config.data, final=final)
        ]
        trial = Trial(config, session, data=data, others=others, device=device)
        trial.resume()
        trial.train()
        trial.conclude()
    except StoppedError as end:
        _tell(str(end))
        return exit_codes.STOPPED
    except SettingError as error:
        return _fail(session, "InvalidSetting", str(error))
    except DivergedError as error:
        return _fail(session, "Diverged", f"{error}; a smaller learning rate or gradient clipping may help")
    except ExportError as error:
        return _fail(session, "ExportFailed", f"{error}; the checkpoint is whole: with more room, run it again")
    except Exception as error:
        if is_out_of_memory(error):
            return _fail(session, "OutOfMemory", f"{_one_line(error)}; a smaller batch or model may help")
        traceback.print_exc()
        return _fail(session, "Exception", f"{type(error).__name__}: {_one_line(error)}")
    session.finish()
    return exit_codes.DONE


def _fail(session: Session, reason: str, message: str) -> int:
    _tell(f"{reason}: {message}")
    return session.fail(reason, message)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:600]


def _tell(text: str) -> None:
    print(f"tuning_trainer: {text}", file=sys.stderr, flush=True)
