"""Models of `transformers` from a mounted directory, all of them trained or adapted by `peft`.

Both libraries take seconds to import and are imported only here. Nothing is fetched from a network, no code of the
directory is run, and weights are read from safetensors only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.pretrained import LoraAdaptation
from tuning_trainer.config.pretrained import Pretrained as Settings
from tuning_trainer.data.layout import Layout
from tuning_trainer.models import tokens


class Pretrained(nn.Module):
    """Tokens from 1, with 0 as padding, to logits: [N, T] -> [N, outputs], or [N, T, V] for a language model.

    Its state holds what the directory does not: trained weights, and new ones. It is loaded into a module that was
    built from the same directory.
    """

    def __init__(self, model: Settings, *, layout: Layout, outputs: int) -> None:
        """Raises `SettingError` for a directory that cannot be used, or does not fit the data."""
        super().__init__()
        self.causal = layout.causal
        network, new = _load(model, causal=layout.causal, outputs=outputs)
        _check(network.config, model, layout)
        self.filler = _special(network.config, ("pad_token_id", "eos_token_id", "bos_token_id"))
        self.start = _special(network.config, ("bos_token_id", "eos_token_id", "pad_token_id"))
        network.config.pad_token_id = self.filler
        network.config.use_cache = False
        if isinstance(model.adaptation, LoraAdaptation):
            network = _adapt(network, model.adaptation, causal=layout.causal)
        self.network = network
        if layout.causal:
            _check_order(self, layout)
        weights = dict(self.named_parameters(remove_duplicate=False))
        self._left_out = {n for n, w in weights.items() if not w.requires_grad and _plain(n) not in new}
        self.register_state_dict_post_hook(_without_frozen)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(_frozen_may_be_missing)  # type: ignore[no-untyped-call]

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, T] -> [N, outputs] or [N, T, V]."""
        if self.causal:
            known = torch.where(inputs == tokens.PADDING, self.start, inputs - 1)
            return self.network(input_ids=known).logits.float()  # type: ignore[no-any-return]
        there = tokens.valid(inputs)
        known = torch.where(inputs == tokens.PADDING, self.filler, inputs - 1)
        return self.network(input_ids=known, attention_mask=there.long()).logits.float()  # type: ignore[no-any-return]


def _plain(name: str) -> str:
    """The name that a weight of an adapted network has in the directory."""
    return name.partition("base_model.model.")[2].replace(".base_layer.", ".")


def _without_frozen(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Mapping[str, Any]) -> None:
    assert isinstance(module, Pretrained)
    for name in module._left_out:
        state.pop(f"{prefix}{name}", None)


def _frozen_may_be_missing(module: nn.Module, keys: Any) -> None:
    assert isinstance(module, Pretrained)
    keys.missing_keys[:] = [
        key for key in keys.missing_keys if not any(key == n or key.endswith(f".{n}") for n in module._left_out)
    ]


def _load(model: Settings, *, causal: bool, outputs: int) -> tuple[Any, frozenset[str]]:
    """The network of the directory, and the names of its weights that are new."""
    path = Path(model.directory)
    if not (path / "config.json").is_file():
        raise SettingError(
            f"model.directory is {model.directory!r}, where there is no config.json; mount the model's directory"
        )
    if not any(path.glob("*.safetensors")):
        raise SettingError(f"model.directory: {path} has no safetensors file, the only format of weights that is read")
    import transformers
    from safetensors import SafetensorError

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    options: dict[str, Any] = {
        "local_files_only": True,
        "use_safetensors": True,
        "trust_remote_code": False,
        "dtype": torch.bfloat16 if model.weights == "bf16" else torch.float32,
        "output_loading_info": True,
    }
    kind = transformers.AutoModelForCausalLM
    if not causal:
        kind = transformers.AutoModelForSequenceClassification
        options |= {"num_labels": outputs, "ignore_mismatched_sizes": True}
    try:
        network, info = kind.from_pretrained(path, **options)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        told = " ".join(str(error).split())[:300]
        raise SettingError(f"model.directory: {path} cannot be used for this data: {told}") from None
    mismatched = {name if isinstance(name, str) else name[0] for name in info["mismatched_keys"]}
    new = frozenset(info["missing_keys"]) | mismatched
    if new:
        print(f"tuning_trainer: new weights, not in model.directory: {', '.join(sorted(new)[:8])}", flush=True)
    return network, new


def _check(config: Any, model: Settings, layout: Layout) -> None:
    length, count = layout.shape[0], (layout.vocabulary or 0) - 1
    words = config.get_text_config().vocab_size
    if count > words:
        raise SettingError(
            f"data.vocabulary has {count} tokens, the model of model.directory {words}; use the model's own tokenizer"
        )
    most = getattr(config.get_text_config(), "max_position_embeddings", None)
    if most and length > most:
        field = "data.window" if layout.causal else "data.length"
        raise SettingError(
            f"{field} makes samples of {length} tokens, the model of model.directory reads {most}; reduce it"
        )


def _special(config: Any, names: tuple[str, ...]) -> int:
    """The first of these tokens that the model has; 0 without any."""
    for name in names:
        found = getattr(config, name, None)
        if isinstance(found, list):
            found = found[0] if found else None
        if found is not None:
            return int(found)
    return 0


def _adapt(network: Any, adaptation: LoraAdaptation, *, causal: bool) -> Any:
    from peft import LoraConfig, TaskType, get_peft_model

    wanted = adaptation.target_modules
    layers: Any = list(wanted) if isinstance(wanted, tuple) else None if wanted == "default" else wanted
    try:
        settings = LoraConfig(
            task_type=TaskType.CAUSAL_LM if causal else TaskType.SEQ_CLS,
            r=adaptation.rank,
            lora_alpha=adaptation.lora_alpha,
            lora_dropout=adaptation.lora_dropout,
            target_modules=layers,
        )
        return get_peft_model(network, settings)
    except ValueError as error:
        leaves = sorted({name.rpartition(".")[2] for name, m in network.named_modules() if isinstance(m, nn.Linear)})
        told = " ".join(str(error).split())[:200]
        raise SettingError(
            f"model.adaptation.target_modules is {wanted!r}: {told}; this model has the linear layers "
            f"{', '.join(leaves)}"
        ) from None


def _check_order(module: Pretrained, layout: Layout) -> None:
    """Some architectures load as language models although each position sees all others."""
    length = min(4, layout.shape[0])
    ours = torch.ones(1, length, dtype=torch.int64)
    theirs = ours.clone()
    theirs[0, -1] = 2
    training = module.training
    module.eval()
    with torch.no_grad():
        changes = (module(ours) - module(theirs)).abs()[0].amax(dim=1)
    module.train(training)
    if changes[:-1].max() > 1e-4 * changes[-1]:
        raise SettingError(
            "model.directory holds a model that sees later tokens, which is no language model; use another"
        )
