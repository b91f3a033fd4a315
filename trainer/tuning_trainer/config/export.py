"""Settings of the export: what is left of a trained model besides its checkpoints."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section

Format = Literal["safetensors", "onnx"]


class Export(Section):
    """What a final run leaves in its checkpoint directory besides `model.pt`, `config.json` and the model card."""

    formats: Annotated[tuple[Format, ...], Field(strict=False, max_length=2)] = ()
    """Further formats of the model; a study's `final.export` adds to them. ONNX has a free batch size, and its outputs
    are compared with the model's on real samples.
    """
    always: bool = False
    """Export in every trial, not in the final run only."""
    evaluation: Literal["final", "always", "never"] = "final"
    """When `evaluation.json` is written, from which the report draws confusion matrix, ROC and precision-recall curves
    and calibration, or predictions over targets: in a final run on the test part; `always`: also on the validation part
    of every trial of the search.
    """
    license: Annotated[str, Field(max_length=200)] = ""
    """Licence of the model, for its card; an SPDX identifier such as `Apache-2.0`."""
    description: Annotated[str, Field(max_length=4000)] = ""
    """What the model is for, for its card."""
