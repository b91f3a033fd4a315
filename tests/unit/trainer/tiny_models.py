"""Tiny models of `transformers` with random weights and a tokenizer of their own, as a mounted directory has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, processors

from tests.unit.trainer.texts import documentation
from tuning_trainer.config.text import BpeVocabulary
from tuning_trainer.data import vocabulary

WORDS = 300
SPECIAL = {"pad_token_id": 299, "bos_token_id": 300, "eos_token_id": 301}
SIZE = {"vocab_size": WORDS + 2, **SPECIAL}


def a_tokenizer(directory: Path) -> Path:
    """Byte pairs, with a mark at the beginning and one at the end of each text."""
    learned = vocabulary.learn(BpeVocabulary(size=WORDS), [documentation()[:20_000]])
    tokenizer = Tokenizer.from_str(learned.description["tokenizer"])
    tokenizer.add_special_tokens(["<pad>", "<bos>", "<eos>"])
    marks = [(f"<{name}>", tokenizer.token_to_id(f"<{name}>")) for name in ("bos", "eos")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A <eos>", special_tokens=marks)
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"))
    return directory


def a_bert(directory: Path) -> Path:
    """Without a pooler, as it comes from pre-training on masked words."""
    config = transformers.BertConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        **SIZE,
    )
    return _saved(transformers.BertForMaskedLM, config, directory)


def a_gpt2(directory: Path) -> Path:
    """A language model with tied embeddings."""
    config = transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=64, **SIZE)
    return _saved(transformers.GPT2LMHeadModel, config, directory)


def a_llama(directory: Path) -> Path:
    """A language model with rotary positions."""
    config = transformers.LlamaConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=32,
        max_position_embeddings=64,
        **SIZE,
    )
    return _saved(transformers.LlamaForCausalLM, config, directory)


def _saved(kind: Any, config: Any, directory: Path) -> Path:
    torch.manual_seed(0)
    kind(config).save_pretrained(a_tokenizer(directory))
    return directory
