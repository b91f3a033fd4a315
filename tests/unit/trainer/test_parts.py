"""What of the data each role sees, and in what form it lies on the device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.trainer.builders import CPU, a_config, a_session, ran, the_data
from tests.unit.trainer.test_sets import write_mnist
from tuning_trainer.config import SettingError
from tuning_trainer.data import parts, placement
from tuning_trainer.data.source import Encoding, Images, Numbers, Rows
from tuning_trainer.tasks.regression import Regression


class Watched(Numbers):
    """A source that remembers which rows were looked at."""

    seen: set[int]

    def learn(self, rows: Rows) -> Encoding:
        encoding = super().learn(rows)
        self.seen.update(rows.tolist())

        def encode(wanted: Rows) -> np.ndarray:  # type: ignore[type-arg]
            self.seen.update(wanted.tolist())
            return encoding.encode(wanted)

        return Encoding(encode=encode, normalization=None, description=encoding.description)


def watch(monkeypatch: pytest.MonkeyPatch) -> Watched:
    source = parts._read(a_config(data="iris").data)[0]
    assert isinstance(source, Numbers)
    watched = Watched(source.values, source.names, source.targets, source.classes)
    object.__setattr__(watched, "seen", set())
    monkeypatch.setattr(parts, "_read", lambda data: (watched, None))
    return watched


def test_a_search_never_looks_at_the_test_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    watched = watch(monkeypatch)
    config = a_config(data="iris")
    code, session = ran(config, a_session(tmp_path))
    assert code == 0
    assert len(watched.seen) == 120  # of 150; the test part is the other 30
    assert not [name for name in session.snapshot().final if name.startswith("test_")]
    test = parts.split(watched.targets, config.data.split, classes=True).test
    assert not watched.seen & set(test.tolist())


def test_values_of_the_test_part_change_nothing_in_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = watch(monkeypatch)
    config = a_config(data="iris")
    before = ran(config)[1].snapshot()
    watched.values[parts.split(watched.targets, config.data.split, classes=True).test] = 1e6
    assert ran(config)[1].snapshot() == before


def test_a_final_run_trains_on_both_parts_and_reads_the_test_part_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = watch(monkeypatch)
    data = the_data(a_config(data="iris"), final=True)
    assert (len(data.train), data.validation, len(watched.seen)) == (120, None, 120)
    assert len(data.test()) == 30
    assert len(watched.seen) == 150


def test_a_search_on_mnist_needs_no_test_files(tmp_path: Path) -> None:
    for file in write_mnist(tmp_path, count=100).glob("t10k*"):
        file.unlink()
    config = a_config({"data": {"name": "mnist", "path": str(tmp_path)}}, model="linear")
    assert ran(config)[0] == 0


def test_training_inputs_are_standardised_by_the_training_part() -> None:
    data = the_data(a_config(data="breast_cancer"))
    assert torch.allclose(data.train.inputs.mean(0), torch.zeros(30), atol=1e-5)
    assert torch.allclose(data.train.inputs.std(0, correction=0), torch.ones(30), atol=1e-4)
    assert data.validation is not None
    assert not torch.allclose(data.validation.inputs.mean(0), torch.zeros(30), atol=1e-5)


def test_regression_targets_are_standardised_and_can_be_turned_back() -> None:
    data = the_data(a_config(data="diabetes"))
    assert abs(float(data.train.targets.mean())) < 1e-5
    assert isinstance(data.task, Regression)
    assert data.task.outputs == 1
    assert 140 < data.task.mean < 165


def test_large_images_stay_bytes_and_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    config = a_config(data="digits", model="lenet", epochs=1)
    ready = the_data(config)
    plain = ran(config)[1].snapshot()
    monkeypatch.setattr(placement, "RESIDENT_FLOATS", 0)
    held = the_data(config)
    assert (ready.normalize, ready.train.inputs.dtype) == (None, torch.float32)
    assert held.train.inputs.dtype == torch.uint8
    assert held.normalize is not None
    assert torch.equal(held.normalize(held.train.inputs), ready.train.inputs)
    assert ran(config)[1].snapshot() == plain


def test_image_statistics_are_exact() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (20, 3, 5, 4), np.uint8)
    normalization = Images(pixels, np.zeros(20), None).learn(np.arange(10)).normalization
    assert normalization is not None
    assert np.allclose(normalization.mean.ravel(), pixels[:10].mean((0, 2, 3)))
    assert np.allclose(1 / normalization.scale.ravel(), pixels[:10].std((0, 2, 3)))


def test_constant_columns_become_zero() -> None:
    values = np.stack([np.full(10, 1e6), np.arange(10.0)], axis=1)
    samples = Numbers(values, ("a", "b"), np.zeros(10), None).learn(np.arange(10)).encode(np.arange(10))
    assert not samples[:, 0].any()
    assert np.isfinite(samples).all()


@pytest.mark.parametrize(
    ("split", "final", "words"),
    [
        pytest.param({"validation": 0.0}, False, "data.split.validation is 0", id="a search without validation"),
        pytest.param({"test": 0.0}, True, "data.split.test is 0", id="a final run without a test part"),
    ],
)
def test_a_part_that_the_role_needs_must_be_there(split: dict[str, float], final: bool, words: str) -> None:
    config = a_config({"data": {"name": "iris", "split": split}})
    with pytest.raises(SettingError) as refused:
        parts.prepare(config.data, final=final, device=CPU)
    assert words in str(refused.value)


def test_a_class_without_training_samples_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("x,label\n" + "".join(f"{i},{'rare' if i == 7 else 'usual' + str(i % 2)}\n" for i in range(20)))
    split = {"validation": 0.4, "stratify": False, "seed": 1}
    settings = {"data": {"name": "table", "path": str(path), "target": "label", "split": split}}
    refusals = []
    for seed in range(10):
        settings["data"]["split"] = split | {"seed": seed}
        try:
            the_data(a_config(settings))
        except SettingError as error:
            refusals.append(str(error))
    assert refusals
    assert all("class 'rare' of the data has no sample in the training part" in r for r in refusals)
