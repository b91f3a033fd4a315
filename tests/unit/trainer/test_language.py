"""Language modelling: segments and windows of a text, metrics as others compute them, models that learn."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.text import Perplexity

from tests.unit.trainer.builders import a_config, a_session, a_trial, ran, the_data
from tests.unit.trainer.texts import documentation
from tuning_trainer.config import SettingError, TrainerConfig
from tuning_trainer.config.loss import AutoLoss, CrossEntropy, Focal
from tuning_trainer.engine import evaluate
from tuning_trainer.optim.loss import IGNORED
from tuning_trainer.tasks.language import Language

LINES = "".join(f"line {number:03d}\n" for number in range(100))


def config(path: Path, /, model: dict[str, Any] | None = None, **data: Any) -> TrainerConfig:
    tiny = model or {"name": "decoder", "width": 8, "layers": 1, "heads": 2}
    return a_config({"data": {"name": "language", "path": str(path), "window": 16, **data}, "model": tiny})


def written(path: Path, text: str | bytes = LINES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def text_of(targets: Tensor) -> str:
    return bytes(token for token in targets.flatten().tolist() if token != IGNORED).decode()


def test_segments_are_contiguous_begin_with_lines_and_lose_nothing_that_is_judged(tmp_path: Path) -> None:
    data = the_data(config(written(tmp_path / "a.txt"), window=16))
    assert data.validation is not None
    train, validation, test = (text_of(part.targets) for part in (data.train, data.validation, data.test()))
    assert LINES.startswith(train)
    assert len(train) == 720 // 16 * 16
    assert validation == LINES[720:810]
    assert test == LINES[810:]
    assert data.layout.shape == (16,)
    assert (data.layout.vocabulary, data.task.outputs) == (257, 256)


def test_each_target_is_the_next_input_and_the_first_follows_padding(tmp_path: Path) -> None:
    data = the_data(config(written(tmp_path / "a.txt")))
    for part in (data.train, data.validation):
        assert part is not None
        inputs, targets = part.inputs.flatten(), part.targets.flatten()
        count = int((targets != IGNORED).sum())
        assert inputs[0] == 0
        assert torch.equal(inputs[1:count] - 1, targets[: count - 1])
        assert not inputs[count:].any()


def test_files_of_a_directory_are_read_by_name_and_parts_may_have_their_own(tmp_path: Path) -> None:
    written(tmp_path / "a" / "2.txt", "second " * 20 + "\n")
    written(tmp_path / "a" / "1.txt", "first " * 20)
    written(tmp_path / "a" / "notes.md", "not read")
    own = {"validation_path": str(written(tmp_path / "v.txt", "kept\n")), "test_path": str(tmp_path / "t.txt")}
    data = the_data(config(tmp_path / "a", **own))
    assert data.validation is not None
    assert text_of(data.train.targets) == ("first " * 20 + "\n" + "second " * 20 + "\n")[:256]
    assert text_of(data.validation.targets) == "kept\n"
    with pytest.raises(SettingError, match=r"data.test_path is .*t.txt', where there is nothing"):
        data.test()
    written(tmp_path / "t.txt", "tested\n")
    assert text_of(data.test().targets) == "tested\n"
    final = the_data(config(tmp_path / "a", **own, window=2), final=True)
    assert text_of(final.train.targets).endswith("kept\n"[:-1])


def test_byte_pairs_are_learned_from_the_training_segment_only(tmp_path: Path) -> None:
    text = documentation()[:20_000] + "zyxwzyxw " * 300
    path = written(tmp_path / "a.txt", text)
    data = the_data(config(path, vocabulary={"name": "bpe", "size": 500}))
    known = json.loads(data.description["encoding"]["vocabulary"]["tokenizer"])["model"]["vocab"]
    assert len(known) == 499
    assert not [token for token in known if "zyx" in token]


def test_text_that_is_no_utf8_is_counted_named_and_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "a.txt", b"caf\xe9 au lait\n" * 40)
    told = "data.path: 40 of 520 bytes are no valid UTF-8, the first of them in a.txt"
    with pytest.raises(SettingError, match=f"{told}, and data.invalid allows a share of 0.0; convert the text"):
        the_data(config(path))
    data = the_data(config(path, invalid=0.1))
    assert f"{told}; they are replaced" in capsys.readouterr().err
    assert text_of(data.train.targets[:1])[:10] == "caf\ufffd au la"[:10]


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a text shorter than a window": ("ab\n" * 5, {}, "has fewer tokens than data.window, 16; use a smaller one"),
    "no validation": (LINES, {"split": {"validation": 0.0}}, "data.split.validation leaves no text for validation"),
    "shares that leave nothing": (LINES, {"split": {"validation": 0.5, "test": 0.5}}, "leave nothing to train with"),
    "two sources of a part": (
        LINES,
        {"split": {"test": 0.2}, "test_path": "t.txt"},
        "data.split.test is 0.2 but data.test_path has all of this part; leave out one",
    ),
}


@pytest.mark.parametrize(("text", "data", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_used_is_told(text: str, data: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError) as raised:
        the_data(config(written(tmp_path / "a.txt", text), **data))
    assert told in str(raised.value)


def test_a_missing_text_and_a_directory_without_texts_are_told(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"data.path is .*a.txt', where there is nothing; mount the text there"):
        the_data(config(tmp_path / "a.txt"))
    with pytest.raises(SettingError, match=r"has no file '\*\*/\*.txt'; set data.pattern"):
        the_data(config(tmp_path))


def test_a_setting_of_samples_has_no_effect_on_a_text() -> None:
    with pytest.raises(SettingError, match=r"data.split.stratify is True but has no effect with data language"):
        a_config({"data": {"name": "language", "path": "a.txt", "split": {"stratify": True}}})


def logits_and_targets() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    targets = torch.randint(0, 7, (5, 9))
    targets[4, 3:] = IGNORED
    return torch.randn(5, 9, 7) * 3, targets


def test_metrics_are_those_of_torchmetrics_whatever_the_batches() -> None:
    outputs, targets = logits_and_targets()
    lengths = torch.tensor([0.0, 1, 2, 3, 1, 2, 4], dtype=torch.float64)
    task = Language(lengths)
    meter = task.meter(task.loss(AutoLoss()))
    for some, wanted in zip(outputs.split(2), targets.split(2), strict=True):
        meter.add(some, wanted)
    values = meter.values()
    reference = Perplexity(ignore_index=IGNORED)
    assert values["perplexity"] == pytest.approx(float(reference(outputs, targets)), rel=1e-6)
    assert values["loss"] == pytest.approx(math.log(values["perplexity"]), rel=1e-6)
    there = targets != IGNORED
    bytes_of_text = float(lengths[targets[there]].sum())
    bits = float(functional.cross_entropy(outputs[there], targets[there], reduction="sum")) / math.log(2)
    assert values["bits_per_byte"] == pytest.approx(bits / bytes_of_text, rel=1e-6)
    assert values["accuracy"] == pytest.approx(float((outputs.argmax(2) == targets)[there].double().mean()))


def test_the_loss_may_be_smoothed_and_perplexity_stays_what_it_is() -> None:
    outputs, targets = logits_and_targets()
    task = Language(torch.ones(7, dtype=torch.float64))
    loss = task.loss(CrossEntropy(label_smoothing=0.1))
    meter = task.meter(loss)
    meter.add(outputs, targets)
    there = targets != IGNORED
    smoothed = functional.cross_entropy(outputs[there], targets[there], label_smoothing=0.1)
    assert meter.values()["loss"] == pytest.approx(float(smoothed), rel=1e-6)
    assert float(loss(outputs, targets)) == pytest.approx(float(smoothed), rel=1e-6)
    plain = float(functional.cross_entropy(outputs[there], targets[there]))
    assert meter.values()["perplexity"] == pytest.approx(math.exp(plain), rel=1e-6)


def test_losses_that_do_not_fit_are_told() -> None:
    task = Language(torch.ones(7))
    with pytest.raises(
        SettingError, match=r"loss.name is 'focal' but the data is a language; use cross_entropy or auto"
    ):
        task.loss(Focal())
    with pytest.raises(SettingError, match=r"loss.class_weights is 'balanced', which tokens do not have; use none"):
        task.loss(CrossEntropy(class_weights="balanced"))


def test_an_evaluation_holds_no_more_logits_than_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = a_trial(config(written(tmp_path / "a.txt", LINES * 4)))
    data = trial._data
    assert data.validation is not None
    whole = trial._evaluate(data.validation, "val")
    seen: list[int] = []
    trial.module.register_forward_hook(lambda module, given, result: seen.append(result.numel()))
    monkeypatch.setattr(evaluate, "BATCH_VALUES", 3 * 16 * 256)
    assert trial._evaluate(data.validation, "val") == pytest.approx(whole, rel=1e-5)
    assert max(seen) == 3 * 16 * 256
    assert len(seen) == -(-len(data.validation) // 3)


REAL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a decoder": ({"name": "decoder", "width": 32, "layers": 2}, {"lr": 0.01}),
    "a decoder with rotary positions": ({"name": "decoder", "width": 32, "positions": "rotary"}, {"lr": 0.01}),
    "a GRU": ({"name": "rnn", "cell": "gru", "width": 48}, {"lr": 0.02}),
}


@pytest.mark.parametrize(("model", "parameters"), REAL.values(), ids=REAL.keys())
def test_each_model_learns_pythons_documentation_better_than_counting_characters(
    model: dict[str, Any], parameters: dict[str, Any], tmp_path: Path
) -> None:
    text = documentation()[:16_000]
    settings = {
        "data": {"name": "language", "path": str(written(tmp_path / "a.txt", text)), "window": 32},
        "model": model,
        "train": {"epochs": 4, "batch_size": 16},
        "schedule": "cosine",
    }
    code, session = ran(a_config(settings, **parameters), a_session(tmp_path / "c"))
    assert code == 0
    found = session.snapshot().final
    assert found["val_bits_per_byte"] < _bits_of_characters(text[:12_800], text[12_800:14_400])
    assert found["val_perplexity"] == pytest.approx(2 ** found["val_bits_per_byte"], rel=1e-4)


def _bits_of_characters(train: str, validation: str) -> float:
    """What the frequencies of single characters reach."""
    counts = torch.bincount(torch.tensor(list(train.encode())), minlength=256).double() + 1
    chances = (counts / counts.sum()).log2()
    return -float(chances[torch.tensor(list(validation.encode()))].mean())


def test_a_final_run_tells_the_perplexity_of_the_test_segment(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt")
    code, session = ran(config(path), a_session(tmp_path / "c", role="Final"))
    assert code == 0
    assert session.snapshot().final["test_perplexity"] > 1
    described = json.loads((tmp_path / "c" / "config.json").read_text())
    assert described["layout"]["causal"] is True
    assert described["data"]["encoding"]["window"] == 16
