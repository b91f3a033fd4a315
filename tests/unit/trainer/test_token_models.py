"""Models of tokens: padding never counts, language models never see what they predict, and both are what the papers and
torch say.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.unit.trainer.builders import a_config
from tuning_trainer import models
from tuning_trainer.config import SettingError
from tuning_trainer.data.layout import Layout
from tuning_trainer.models.attention import Rotary

VOCABULARY = 12
SHORT = torch.tensor([[3, 7, 2], [5, 5, 9]])
PADDED = functional.pad(SHORT, (0, 4))


def build(*, causal: bool = False, outputs: int = 3, length: int = 7, **parameters: Any) -> nn.Module:
    torch.manual_seed(0)
    layout = Layout((length,), VOCABULARY, causal)
    return models.build(a_config(**parameters).model, layout=layout, outputs=outputs).eval()


CLASSIFIERS: dict[str, dict[str, Any]] = {
    "a bag of tokens through a linear layer": {"model": "linear"},
    "a bag of tokens through an MLP": {"model": "mlp", "width": 8},
    "a bag of tokens through an MLP without hidden layers": {"model": "mlp", "layers": 0, "width": 8},
    "an LSTM": {"model": "rnn", "width": 8, "layers": 2},
    "a GRU": {"model": "rnn", "cell": "gru", "width": 8},
    "an LSTM that reads both ways": {"model": "rnn", "width": 8, "layers": 2, "bidirectional": True},
    "a GRU that reads both ways": {"model": "rnn", "cell": "gru", "width": 8, "bidirectional": True},
    "an encoder": {"model": "transformer", "width": 8},
    "a decoder": {"model": "decoder", "width": 8},
    "a decoder with rotary positions": {"model": "decoder", "width": 8, "positions": "rotary"},
}


@pytest.mark.parametrize("parameters", CLASSIFIERS.values(), ids=CLASSIFIERS.keys())
def test_padding_changes_no_output(parameters: dict[str, Any]) -> None:
    model = build(**parameters)
    for parameter in model.parameters():
        nn.init.normal_(parameter)  # also what begins at 0
    assert torch.allclose(model(PADDED), model(SHORT), atol=1e-5)
    assert not torch.allclose(model(PADDED)[0], model(PADDED)[1], atol=1e-2)


@pytest.mark.parametrize("parameters", CLASSIFIERS.values(), ids=CLASSIFIERS.keys())
def test_padding_gets_no_gradient_and_an_empty_text_is_no_harm(parameters: dict[str, Any]) -> None:
    model = build(**parameters).train()
    outputs = model(torch.cat([PADDED, torch.zeros_like(PADDED)]))
    assert outputs.isfinite().all()
    outputs.sum().backward()
    table = next(p for p in model.parameters() if p.shape[0] == VOCABULARY)
    assert not table.grad[0].any()
    assert table.grad[3].any()


def test_a_linear_model_of_tokens_is_one_of_their_shares() -> None:
    model = build(model="linear")
    nn.init.normal_(model[0].weight)
    shares = functional.one_hot(SHORT, VOCABULARY).float().mean(dim=1)
    assert torch.allclose(model(PADDED), shares @ model[0].weight + model[1].bias, atol=1e-6)
    assert len(list(build(model="linear", bias=False).parameters())) == 1


def test_the_encoder_is_torchs_with_a_mask_of_the_padding() -> None:
    model = build(model="transformer", width=8, heads=2, layers=2, feed_forward=2.0, activation="relu")
    layers = [_torchs(block) for block in model.blocks]
    padding = PADDED == 0
    vectors = model.embed(PADDED) + model.positions
    for layer in layers:
        vectors = layer(vectors, src_key_padding_mask=padding)
    vectors = model.norm(vectors).masked_fill(padding[:, :, None], 0).sum(dim=1) / 3
    assert torch.allclose(model(PADDED), model.head(vectors), atol=1e-5)


def test_the_decoder_is_torchs_encoder_layer_with_a_causal_mask() -> None:
    model = build(causal=True, outputs=VOCABULARY - 1, model="decoder", width=8, heads=2, activation="relu", tie=False)
    vectors = model.embed(PADDED) + model.positions
    mask = nn.Transformer.generate_square_subsequent_mask(7)
    for block in model.blocks:
        vectors = _torchs(block)(vectors, src_mask=mask, is_causal=True)
    assert torch.allclose(model(PADDED), model.head(model.norm(vectors)), atol=1e-5)


def test_rotary_positions_are_those_of_transformers() -> None:
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    config = LlamaConfig(hidden_size=16, num_attention_heads=2, max_position_embeddings=9)
    vectors = torch.randn(1, 2, 9, 8)
    cosines, sines = LlamaRotaryEmbedding(config)(vectors, torch.arange(9)[None])
    wanted, _ = apply_rotary_pos_emb(vectors, vectors, cosines, sines)
    assert torch.allclose(Rotary(8, length=9)(vectors), wanted, atol=1e-6)


LANGUAGE: dict[str, dict[str, Any]] = {
    "a decoder": {"model": "decoder", "width": 8},
    "a decoder with rotary positions and a head of its own": {
        "model": "decoder",
        "width": 8,
        "positions": "rotary",
        "tie": False,
    },
    "an LSTM": {"model": "rnn", "width": 8, "layers": 2},
    "a plain recurrent network": {"model": "rnn", "cell": "tanh", "width": 8},
}


@pytest.mark.parametrize("parameters", LANGUAGE.values(), ids=LANGUAGE.keys())
def test_a_language_model_answers_at_each_position_and_sees_no_later_token(parameters: dict[str, Any]) -> None:
    model = build(causal=True, outputs=VOCABULARY - 1, **parameters)
    tokens = torch.randint(1, VOCABULARY, (2, 7))
    other = tokens.clone()
    other[:, 4] = 12 - tokens[:, 4]
    other[:, 4] += (other[:, 4] == tokens[:, 4]) * -1
    ours, theirs = model(tokens), model(other)
    assert ours.shape == (2, 7, VOCABULARY - 1)
    assert torch.allclose(ours[:, :4], theirs[:, :4], atol=1e-6)
    assert not torch.allclose(ours[:, 4:], theirs[:, 4:], atol=1e-4)


def test_a_tied_decoder_has_no_second_matrix() -> None:
    untied = build(causal=True, outputs=VOCABULARY - 1, model="decoder", width=8, tie=False)
    tied = build(causal=True, outputs=VOCABULARY - 1, model="decoder", width=8)
    sizes = [sum(p.numel() for p in model.parameters()) for model in (untied, tied)]
    assert sizes[0] - sizes[1] == (VOCABULARY - 1) * 8 + VOCABULARY - 1
    tied(SHORT).sum().backward()
    assert tied.embed.weight.grad[11].any()  # never an input, but an output


MISFITS: dict[str, tuple[Layout, dict[str, Any], str]] = {
    "a language model that reads both ways": (
        Layout((7,), 12, True),
        {"model": "rnn", "bidirectional": True},
        "model.bidirectional is true, but a language model must not see what it predicts; set it to false",
    ),
    "an encoder as a language model": (
        Layout((7,), 12, True),
        {"model": "transformer"},
        "model.name is 'transformer', but a language model predicts each token from the earlier ones; use decoder",
    ),
    "a decoder of images": (
        Layout((1, 8, 8)),
        {"model": "decoder"},
        "model.name is 'decoder' but samples of the data are no tokens; use data text or language",
    ),
    "rotary positions of odd size": (
        Layout((7,), 12, True),
        {"model": "decoder", "positions": "rotary", "width": 12, "heads": 4},
        "model.positions is 'rotary' but model.width / model.heads is 3; it must be even",
    ),
    "heads that do not divide the width": (
        Layout((7,), 12, True),
        {"model": "decoder", "width": 10, "heads": 4},
        "model.width is 10; it must be a multiple of model.heads, 4",
    ),
    "images' model for tokens": (
        Layout((7,), 12),
        {"model": "cnn"},
        "cnn needs images",
    ),
}


@pytest.mark.parametrize(("layout", "parameters", "told"), MISFITS.values(), ids=MISFITS.keys())
def test_what_does_not_fit_is_told(layout: Layout, parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError) as raised:
        models.build(a_config(**parameters).model, layout=layout, outputs=12)
    assert told in str(raised.value)


def _torchs(ours: nn.Module) -> nn.TransformerEncoderLayer:
    width, inner = ours.feed_forward[1].in_features, ours.feed_forward[1].out_features
    theirs = nn.TransformerEncoderLayer(width, ours.heads, inner, 0.0, batch_first=True, norm_first=True).eval()
    theirs.self_attn.in_proj_weight.data.copy_(ours.queries_keys_values.weight)
    theirs.self_attn.in_proj_bias.data.copy_(ours.queries_keys_values.bias)
    pairs: dict[Any, Any] = {
        theirs.self_attn.out_proj: ours.after_attention,
        theirs.norm1: ours.before_attention,
        theirs.norm2: ours.feed_forward[0],
        theirs.linear1: ours.feed_forward[1],
        theirs.linear2: ours.feed_forward[3],
    }
    for layer, source in pairs.items():
        layer.load_state_dict(source.state_dict())
    return theirs
