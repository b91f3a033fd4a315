"""Models from a mounted directory: the same losses as transformers', trained as a whole or by low-rank products."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor

from tests.unit.trainer.builders import a_config, a_session, a_trial, ran
from tests.unit.trainer.test_resume import assert_same, train_in_pieces, weights
from tests.unit.trainer.texts import as_csv, documentation, labelled
from tests.unit.trainer.tiny_models import SPECIAL, a_bert, a_gpt2, a_llama
from tuning_trainer.config import SettingError, TrainerConfig
from tuning_trainer.config.loss import AutoLoss
from tuning_trainer.config.text import TokenizerVocabulary
from tuning_trainer.engine.trial import Trial

MODELS: dict[str, Callable[[Path], Path]] = {"bert": a_bert, "gpt2": a_gpt2, "llama": a_llama}
LANGUAGE = {"gpt2": a_gpt2, "llama": a_llama}
LORA = {"name": "lora", "rank": 2}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with texts and with a directory for each model."""
    path = tmp_path_factory.mktemp("mounted")
    for name, make in MODELS.items():
        make(path / name)
    as_csv(path / "texts.csv", labelled(30))
    (path / "text.txt").write_text(documentation()[:6000])
    return path


def config(directory: Path, name: str, /, *, language: bool = False, **settings: Any) -> TrainerConfig:
    data: dict[str, Any] = {"name": "text", "path": str(directory / "texts.csv"), "length": 24}
    if language:
        data = {"name": "language", "path": str(directory / "text.txt"), "window": 24}
    model = {"name": "pretrained", "directory": str(directory / name), **settings.pop("model", {})}
    train = {"epochs": 2, "batch_size": 12}
    return a_config({"data": {**data, **settings.pop("data", {})}, "model": model, "train": train, **settings})


def as_given(inputs: Tensor) -> Tensor:
    return torch.where(inputs == 0, SPECIAL["pad_token_id"], inputs - 1)


def sizes(trial: Trial) -> dict[str, int]:
    return {name: w.numel() for name, w in trial.module.named_parameters() if w.requires_grad}


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_of_a_classifier_is_that_of_transformers(name: str, directory: Path) -> None:
    trial = a_trial(config(directory, name))
    trial.module.eval()
    inputs, targets = trial._data.train.inputs[:6].clone(), trial._data.train.targets[:6]
    inputs[:3, 9:] = 0
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(
        directory / name, num_labels=2, pad_token_id=SPECIAL["pad_token_id"]
    ).eval()
    theirs.load_state_dict(trial.module.network.state_dict())
    wanted = theirs(input_ids=as_given(inputs), attention_mask=(inputs != 0).long(), labels=targets)
    found = trial.module(inputs)
    assert torch.allclose(found, wanted.logits, atol=1e-5)
    assert float(trial._data.task.loss(AutoLoss())(found, targets)) == pytest.approx(float(wanted.loss), rel=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_padding_changes_no_output(name: str, directory: Path) -> None:
    module = a_trial(config(directory, name)).module.eval()
    short = torch.randint(1, 290, (3, 7))
    padded = torch.nn.functional.pad(short, (0, 9))
    assert torch.allclose(module(short), module(padded), atol=1e-5)


@pytest.mark.parametrize("name", LANGUAGE)
def test_the_loss_of_a_language_model_is_that_of_transformers(name: str, directory: Path) -> None:
    trial = a_trial(config(directory, name, language=True))
    trial.module.eval()
    inputs, targets = trial._data.train.inputs[:3], trial._data.train.targets[:3]
    theirs = transformers.AutoModelForCausalLM.from_pretrained(directory / name).eval()
    first = torch.where(inputs[:, :1] == 0, SPECIAL["bos_token_id"], inputs[:, :1] - 1)
    whole = torch.cat([first, targets], dim=1)
    wanted = theirs(input_ids=whole, labels=whole).loss
    assert float(trial._data.task.loss(AutoLoss())(trial.module(inputs), targets)) == pytest.approx(float(wanted))
    assert trial._data.task.outputs == theirs.config.vocab_size


def test_a_pretrained_model_brings_its_tokenizer(directory: Path) -> None:
    settings = config(directory, "bert")
    assert settings.data.vocabulary == TokenizerVocabulary(file=str(directory / "bert"))  # type: ignore[union-attr]
    inputs = a_trial(settings)._data.train.inputs
    assert (inputs[:, 0] == SPECIAL["bos_token_id"] + 1).all()
    ends = (inputs != 0).sum(dim=1) - 1
    assert (inputs.gather(1, ends[:, None]) == SPECIAL["eos_token_id"] + 1).all()


@pytest.mark.parametrize("language", [False, True], ids=["texts", "language"])
def test_all_of_it_can_be_trained_and_learns(language: bool, directory: Path) -> None:
    settings = config(directory, "llama", language=language, optimizer={"name": "adamw", "lr": 0.01})
    trial = a_trial(settings)
    optimised = {id(p) for group in trial.loop._optimizer.param_groups for p in group["params"]}
    assert optimised == {id(p) for p in trial.module.parameters()}
    assert trial._data.validation is not None
    before = trial._evaluate(trial._data.validation, "val")
    trial.train()
    after = trial._evaluate(trial._data.validation, "val")
    assert after["val_loss"] < before["val_loss"]
    assert ("val_perplexity" in after) == language


@pytest.mark.parametrize("name", MODELS)
def test_lora_trains_products_and_the_new_classifier_and_keeps_nothing_else(
    name: str, directory: Path, tmp_path: Path
) -> None:
    settings = config(directory, name, model={"adaptation": LORA}, optimizer={"name": "adamw", "lr": 0.01})
    trial = a_trial(settings)
    trained = sizes(trial)
    assert trained
    assert all(".lora_A." in name or ".lora_B." in name or ".modules_to_save." in name for name in trained)
    optimised = {id(p) for group in trial.loop._optimizer.param_groups for p in group["params"]}
    assert optimised == {id(p) for p in trial.module.parameters() if p.requires_grad}
    code, session = ran(settings, a_session(tmp_path))
    assert code == 0
    new_but_frozen = {n for n in weights(tmp_path) if ".pooler." in n}
    assert weights(tmp_path).keys() - new_but_frozen == trained.keys()
    assert bool(new_but_frozen) == (name == "bert")
    assert {n for n in trained if torch.equal(weights(tmp_path)[n], trial.module.state_dict()[n])} == set()
    assert session.snapshot().final["val_accuracy"] >= 0


def test_what_lora_leaves_alone_is_the_directorys(directory: Path) -> None:
    trial = a_trial(config(directory, "llama", model={"adaptation": LORA}, optimizer={"name": "sgd", "lr": 0.5}))
    trial.train()
    mounted = load_file(directory / "llama" / "model.safetensors")
    inside = dict(trial.module.named_parameters())
    frozen = {n.partition("base_model.model.")[2].replace(".base_layer.", "."): w for n, w in inside.items()}
    shared = mounted.keys() & frozen.keys()
    assert len(shared) >= 15
    assert all(torch.equal(mounted[name], frozen[name]) for name in shared)


LORAS: dict[str, dict[str, Any]] = {
    "a classifier with a new pooler": {"name": "bert", "model": {"adaptation": {**LORA, "lora_dropout": 0.2}}},
    "a language model with tied embeddings": {"name": "gpt2", "language": True, "model": {"adaptation": LORA}},
    "a whole model with a moving average": {"name": "gpt2", "optimizer": "adamw"},
}


@pytest.mark.parametrize("settings", LORAS.values(), ids=LORAS.keys())
def test_a_stopped_training_goes_on_with_the_same_bits(
    settings: dict[str, Any], directory: Path, tmp_path: Path
) -> None:
    settings = dict(settings)
    chosen = config(directory, settings.pop("name"), **settings)
    assert ran(chosen, a_session(tmp_path / "whole"))[0] == 0
    attempts, _ = train_in_pieces(chosen, tmp_path / "pieces", questions=4)
    assert attempts > 1
    assert_same(tmp_path / "whole", tmp_path / "pieces")


def test_the_settings_of_lora_change_what_is_trained(directory: Path) -> None:
    def trained(**adaptation: Any) -> dict[str, int]:
        chosen = config(directory, "llama", language=True, model={"adaptation": {**LORA, **adaptation}})
        return sizes(a_trial(chosen))

    two, four = trained(), trained(rank=4)
    assert sum(four.values()) == 2 * sum(two.values())
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in two} == {"q_proj", "v_proj"}
    some = trained(target_modules=["up_proj", "o_proj"])
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in some} == {"up_proj", "o_proj"}
    every = {name.split(".lora_")[0].rpartition(".")[2] for name in trained(target_modules="all-linear")}
    assert every == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_alpha_over_rank_scales_the_products_and_dropout_drops(directory: Path) -> None:
    adaptation = {**LORA, "lora_alpha": 6.0, "lora_dropout": 0.25}
    module = a_trial(config(directory, "llama", language=True, model={"adaptation": adaptation})).module
    layer = module.network.base_model.model.model.layers[0].self_attn.q_proj
    torch.nn.init.normal_(layer.lora_B["default"].weight)
    values = torch.randn(3, 16)
    product = values @ layer.lora_A["default"].weight.T @ layer.lora_B["default"].weight.T
    assert torch.allclose(layer.eval()(values), values @ layer.base_layer.weight.T + 6.0 / 2 * product, atol=1e-5)
    assert layer.lora_dropout["default"].p == 0.25


def test_weights_can_be_held_in_half_the_bytes(directory: Path) -> None:
    chosen = config(directory, "llama", model={"adaptation": LORA, "weights": "bf16"})
    trial = a_trial(chosen)
    kinds = {name.rpartition(".")[0].rpartition(".")[0]: w.dtype for name, w in trial.module.named_parameters()}
    assert {kind for name, kind in kinds.items() if ".lora_" in name} == {torch.float32}
    assert torch.bfloat16 in kinds.values()
    trial.train()
    assert trial.module(trial._data.train.inputs[:2]).dtype == torch.float32


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a directory that is not there": (
        "nowhere",
        {"data": {"vocabulary": "VOCABULARY"}},
        "where there is no config.json; mount the model's directory",
    ),
    "bytes instead of the model's tokens": (
        "bert",
        {"data": {"vocabulary": "bytes"}},
        "data.vocabulary.name is 'bytes', but a pretrained model knows only its own tokens; use auto or tokenizer",
    ),
    "a text longer than the model reads": (
        "llama",
        {"data": {"length": 128}},
        "data.length makes samples of 128 tokens, the model of model.directory reads 64; reduce it",
    ),
    "layers that the model does not have": (
        "llama",
        {"model": {"adaptation": {"name": "lora", "target_modules": ["query"]}}},
        "this model has the linear layers down_proj, gate_proj, k_proj, o_proj, q_proj, score, up_proj, v_proj",
    ),
    "an encoder as a language model": (
        "bert",
        {"language": True},
        "model.directory holds a model that sees later tokens, which is no language model; use another",
    ),
    "a rank without LoRA": (
        "bert",
        {"model": {"adaptation": {"rank": 4}}},
        "model.adaptation.rank is 4 but has no effect with model.adaptation full",
    ),
}


@pytest.mark.parametrize(("name", "settings", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_used_is_told(name: str, settings: dict[str, Any], told: str, directory: Path) -> None:
    text = json.dumps(settings).replace(
        '"VOCABULARY"', json.dumps({"name": "tokenizer", "file": str(directory / "bert")})
    )
    with pytest.raises(SettingError) as raised:
        a_trial(config(directory, name, **json.loads(text)))
    assert told in str(raised.value)


def test_images_and_weights_that_could_hold_code_are_refused(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"model.name is 'pretrained' but data.name is 'digits'; it reads data text"):
        a_config({"data": "digits", "model": {"name": "pretrained", "directory": str(directory / "bert")}})
    copied = tmp_path / "bert"
    copied.mkdir()
    for file in (directory / "bert").glob("*.json"):
        (copied / file.name).write_bytes(file.read_bytes())
    (copied / "pytorch_model.bin").write_bytes(b"code")
    with pytest.raises(SettingError, match="has no safetensors file, the only format of weights that is read"):
        a_trial(config(directory, str(copied)))
    (copied / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(SettingError, match=r"model.directory: .* cannot be used for this data"):
        a_trial(config(directory, str(copied)))


def test_a_tokenizer_of_another_layout_is_read_by_transformers(directory: Path, tmp_path: Path) -> None:
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "licen", "##ce", "return"]
    (tmp_path / "vocab.txt").write_text("\n".join(names))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    own = {"vocabulary": {"name": "tokenizer", "file": str(tmp_path)}}
    inputs = a_trial(config(directory, "bert", data=own))._data.train.inputs
    assert set(inputs.unique().tolist()) <= set(range(10))
    assert (inputs[:, 0] == 3).all()
