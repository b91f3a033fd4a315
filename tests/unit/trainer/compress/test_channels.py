"""Removed channels: the smaller model computes what the larger one does with these channels at zero."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from tuning_trainer import models
from tuning_trainer.compress import channels
from tuning_trainer.config import SettingError
from tuning_trainer.config.model import Cnn, Lenet, Mlp, Transformer
from tuning_trainer.data.layout import Layout

SHAPE = (1, 8, 8)
MODELS = {
    "an mlp": Mlp(width=12, layers=3),
    "an mlp with batch norm and dropout": Mlp(width=12, norm="batch", dropout=0.2),
    "a lenet": Lenet(),
    "a lenet with batch norm, three stages": Lenet(norm="batch", layers=3),
    "a residual cnn": Cnn(width=8, layers=3, blocks=2),
    "a cnn without skips": Cnn(width=8, layers=2, residual=False, norm="none"),
}


def built(settings: Any) -> nn.Module:
    torch.manual_seed(1)
    model = models.build(settings, layout=Layout(SHAPE), outputs=5)
    inputs = torch.randn(64, *SHAPE)
    model(inputs)  # running statistics that are not the first ones
    return model.eval()


def removed(model: nn.Module, share: float) -> tuple[nn.Module, list[Tensor]]:
    """The model with channels at zero, and what stays of each group."""
    zeroed = copy.deepcopy(model)
    kept = []
    with torch.no_grad():
        for group in channels.groups(zeroed):
            width = channels.remaining(group.width, share)
            order = torch.argsort(group.sizes("l2"), descending=True)
            kept.append(order[:width].sort().values)
            for module in (*group.makers, *group.norms):
                for tensor in (module.weight, module.bias):
                    if isinstance(tensor, Tensor):
                        tensor[order[width:]] = 0
    return zeroed, kept


@pytest.mark.parametrize("settings", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.99])
def test_the_smaller_model_computes_the_same_as_zeros_would(settings: Any, share: float) -> None:
    model = built(settings)
    zeroed, kept = removed(model, share)
    before = sum(p.numel() for p in model.parameters())
    widths = [channels.remaining(group.width, share) for group in channels.groups(model)]
    channels.shrink(model, widths, norm="l2")
    inputs = torch.randn(16, *SHAPE)
    assert torch.allclose(model(inputs), zeroed(inputs), atol=1e-5)
    assert [group.width for group in channels.groups(model)] == widths == [len(each) for each in kept]
    assert sum(p.numel() for p in model.parameters()) < before * (1 - share / 2)
    model.train()(inputs).sum().backward()  # and it trains


@pytest.mark.parametrize(("norm", "power"), [("l1", 1), ("l2", 2)])
def test_the_channels_are_those_of_torch(norm: Any, power: int) -> None:
    model = built(MODELS["a lenet"])
    first = channels.groups(model)[0]
    reference = copy.deepcopy(first.makers[0])
    prune.ln_structured(reference, "weight", amount=3, n=power, dim=0)
    dropped = (reference.weight_mask.flatten(1).sum(dim=1) == 0).nonzero().flatten().tolist()
    smallest = torch.topk(first.sizes(norm), 3, largest=False).indices.sort().values.tolist()
    assert smallest == dropped


def test_blocks_that_add_up_lose_the_same_channels() -> None:
    groups = channels.groups(built(Cnn(width=4, layers=2, blocks=2)))
    assert [len(group.makers) for group in groups] == [1, 1, 1, 3, 1, 3]  # stem, two blocks; two blocks, a skip


def test_shapes_of_a_smaller_model_can_be_taken_over() -> None:
    model, other = built(MODELS["a residual cnn"]), built(MODELS["a residual cnn"])
    channels.shrink(model, [channels.remaining(g.width, 0.5) for g in channels.groups(model)], norm="l2")
    assert channels.fit(other, {name: tuple(v.shape) for name, v in model.state_dict().items()})
    other.load_state_dict(model.state_dict())
    inputs = torch.randn(4, *SHAPE)
    assert torch.equal(other(inputs), model(inputs))


def test_a_model_of_other_channels_is_refused() -> None:
    with pytest.raises(SettingError, match=r"compress.channels.share needs .* mlp, lenet or cnn; .*transformer"):
        channels.groups(built(Transformer()))
