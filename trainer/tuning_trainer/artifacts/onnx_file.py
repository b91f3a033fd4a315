"""The model as ONNX, with a free batch size, believed only after onnxruntime gave the model's own outputs.

Imported only where an ONNX file is asked for: the exporter and the runtime take seconds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from tuning_trainer.artifacts.store import write
from tuning_trainer.config.errors import SettingError
from tuning_trainer.encryption.key import Key

FILE: Final = "model.onnx"
INPUTS: Final = "inputs"
OUTPUTS: Final = "outputs"
TOLERANCE: Final = 1e-3
"""Largest difference to the model's outputs, as a share of the largest of them, or of 1."""
MAX_BYTES: Final = 2**31 - 2**20
"""Of one ONNX file."""
NO_TELEMETRY: Final = "ORT_DISABLE_TELEMETRY"


def write_onnx(directory: Path, *, module: nn.Module, samples: Tensor, key: Key | None) -> tuple[str, float]:
    """Writes `model.onnx`: inputs [N, ...] as the model gets them -> outputs; returns the file's name and the largest
    difference to the model's outputs on `samples`.

    The weights are those of `module` now. Raises `SettingError` for a model that cannot be exported or whose export
    gives other outputs, OSError when the disk refuses.
    """
    content, difference = check_onnx(module, samples)
    return write(directory / FILE, lambda file: file.write(content), key=key).name, difference


def check_onnx(module: nn.Module, samples: Tensor) -> tuple[bytes, float]:
    """The content of the file and the largest difference. Raises `SettingError`. Changes nothing."""
    size = sum(weight.numel() * weight.element_size() for weight in module.state_dict().values())
    if size > MAX_BYTES:
        raise _refusal(f"its weights take {size / 2**30:.1f} GiB, and an ONNX file holds at most 2")
    os.environ.setdefault(
        NO_TELEMETRY, "1"
    )  # before the runtime is loaded, which from 1.29 on reports models otherwise
    training = module.training
    module.eval()
    try:
        with torch.random.fork_rng():
            content = _exported(module, samples)
        return content, _difference(content, module, samples)
    finally:
        module.train(training)


def _exported(module: nn.Module, samples: Tensor) -> bytes:
    example = samples[: max(2, min(4, len(samples)))]
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                module,
                (example,),
                input_names=[INPUTS],
                output_names=[OUTPUTS],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                verbose=False,
            )
            return program.model_proto.SerializeToString()  # type: ignore[no-any-return]
    except Exception as error:
        raise _refusal(f"torch.onnx cannot: {_last_line(error)}") from error


def _difference(content: bytes, module: nn.Module, samples: Tensor) -> float:
    """Over all samples at once, and over the first alone: the batch size has to be free."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, torch.get_num_threads())
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for batch in (samples, samples[:1]):
        with torch.no_grad(), _exactly():
            expected = module(batch).float().cpu()
        got = torch.from_numpy(session.run(None, {INPUTS: batch.cpu().numpy()})[0])
        if got.shape != expected.shape:
            raise _refusal(f"its outputs have the shape {tuple(got.shape)} there, and {tuple(expected.shape)} here")
        difference = float((got - expected).abs().max())
        if not difference <= TOLERANCE * max(1.0, float(expected.abs().max())):
            raise _refusal(f"onnxruntime's outputs differ by up to {difference:.3g}")
        worst = max(worst, difference)
    return worst


def _refusal(why: str) -> SettingError:
    return SettingError(
        f"export.formats has onnx, but this model cannot be exported to it: {why}; leave onnx out, the weights are in "
        "model.pt"
    )


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:300]


@contextlib.contextmanager
def _exactly() -> Any:
    """Full precision on GPUs, whatever was trained in: that is what onnxruntime computes in."""
    products = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(allow_tf32=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = products


@contextlib.contextmanager
def _quiet() -> Any:
    """The exporter tells every release's changes to come, and every operator that it knows, to whoever calls it."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
