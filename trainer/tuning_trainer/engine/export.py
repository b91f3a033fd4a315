"""What is left of a trained model: weights and settings, the formats that were asked for, and its card."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from tuning_trainer.artifacts import card, data_hash
from tuning_trainer.artifacts.compressed import write_compressed
from tuning_trainer.artifacts.store import key_of
from tuning_trainer.artifacts.weights import write_safetensors, write_weights
from tuning_trainer.config import TrainerConfig
from tuning_trainer.config.export import Format
from tuning_trainer.data.prepared import Prepared
from tuning_trial.environment import Environment
from tuning_trial.session import Session

SAMPLES = 64
"""On which an export is compared with the model."""


def formats(config: TrainerConfig, environment: Environment) -> list[Format]:
    """The formats that the settings and, in a final run, the study ask for."""
    asked = [str(each).lower() for each in (environment.final or {}).get("export", ())]
    known: tuple[Format, ...] = ("safetensors", "onnx")
    return [each for each in known if each in config.export.formats or each in asked]


class Export:
    """Writes the files of one model and records them in the report. Raises OSError when the disk refuses."""

    def __init__(self, module: nn.Module, *, config: TrainerConfig, data: Prepared, session: Session) -> None:
        """What is written are the weights of `module` at each call."""
        self._module = module
        self._config = config
        self._data = data
        self._session = session
        self._key = key_of(config.encryption)
        self._directory = session.checkpoint_dir()
        self._files: dict[str, str] = {}

    def check(self) -> None:
        """Raises `SettingError` before the training for an ONNX file that could not be written after it."""
        if "onnx" in formats(self._config, self._session.environment):
            from tuning_trainer.artifacts.onnx_file import check_onnx

            check_onnx(self._module, self._samples())

    def weights(self) -> None:
        """`model.pt` and `config.json`."""
        files = write_weights(self._directory, module=self._module, config=self._config, data=self._data, key=self._key)
        self._record(files)

    def compressed(self, module: nn.Module) -> None:
        """`compressed.safetensors`: the same model in the form it was compressed to."""
        self._record({"compressed": write_compressed(self._directory, module=module, key=self._key)})

    def formats(self) -> None:
        """The further formats. Raises `SettingError` for one that this model cannot have."""
        for name in formats(self._config, self._session.environment):
            if name == "safetensors":
                self._record({name: write_safetensors(self._directory, module=self._module, key=self._key)})
            else:
                from tuning_trainer.artifacts.onnx_file import write_onnx

                samples = self._samples()
                file, difference = write_onnx(self._directory, module=self._module, samples=samples, key=self._key)
                print(
                    f"tuning_trainer: {file} gives the model's outputs on {len(samples)} samples, to {difference:.2g}",
                    flush=True,
                )
                self._record({name: file})

    def card(self) -> None:
        """The model card, with the metrics that were reported last."""
        report, environment, config = self._session.snapshot(), self._session.environment, self._config
        names = [name for name in (environment.study, environment.trial) if name]
        self._record(
            card.write_card(
                self._directory,
                card.Card(
                    name=names[-1] if names else config.model.name,
                    description=config.export.description,
                    license=config.export.license,
                    model=config.model.model_dump(mode="json")
                    | {"weights": sum(weight.numel() for weight in self._module.parameters())},
                    task=self._data.task.description,
                    parameters=dict(environment.parameters or {}),
                    settings=config.model_dump(mode="json", exclude={"encryption"}),
                    data=self._described(),
                    metrics={name: value if math.isfinite(value) else None for name, value in report.final.items()},
                    files=dict(self._files),
                    versions=card.versions(),
                ),
            )
        )

    def _described(self) -> dict[str, Any]:
        described: dict[str, Any] = {"name": self._config.data.name, **self._data.description.get("samples", {})}
        described["sha256_of_training_samples"] = data_hash.hash_of_samples(self._data.train)
        file = data_hash.hash_of_file(self._config.data)
        return described | ({} if file is None else {"sha256_of_file": file})

    def _samples(self) -> Tensor:
        """Validation samples; a final run has them at the end of its training part."""
        part = self._data.validation or self._data.train
        samples = part.some(slice(-SAMPLES, None))
        return samples if self._data.normalize is None else self._data.normalize(samples)

    def _record(self, files: dict[str, str]) -> None:
        self._files |= files
        for name, path in files.items():
            self._session.artifact(name, path)
