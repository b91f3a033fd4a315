"""Magnitude pruning against torch's own, and the schedule against the formula of the paper."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from tuning_trainer.compress.masks import magnitude_masks, prunable
from tuning_trainer.compress.plan import cubic, plan
from tuning_trainer.config import SettingError
from tuning_trainer.config.compress import Channels, Compress, Prune, Quantize


def a_model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 7))


@pytest.mark.parametrize("share", [0.0, 0.25, 0.8])
def test_the_smallest_of_the_model_are_those_of_torch(share: float) -> None:
    model, reference = a_model(), a_model()
    masks = magnitude_masks(prunable(model), share, scope="model")
    layers = [(reference[0], "weight"), (reference[3], "weight")]
    prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=share)
    assert masks.keys() == {"0.weight", "3.weight"}  # neither biases nor norms
    assert torch.equal(masks["0.weight"], reference[0].weight_mask.bool())
    assert torch.equal(masks["3.weight"], reference[3].weight_mask.bool())


def test_the_smallest_of_each_layer_are_those_of_torch() -> None:
    model, reference = a_model(), a_model()
    masks = magnitude_masks(prunable(model), 0.5, scope="layer")
    for name, index in (("0.weight", 0), ("3.weight", 3)):
        prune.l1_unstructured(reference[index], "weight", amount=0.5)
        assert torch.equal(masks[name], reference[index].weight_mask.bool())


def test_what_is_dropped_stays_dropped_as_the_share_rises() -> None:
    model = a_model()
    weights = prunable(model)
    before = {name: torch.ones_like(w, dtype=torch.bool) for name, w in weights.items()}
    for share in (0.2, 0.5, 0.7):
        after = magnitude_masks(weights, share, scope="model")
        assert all(not (after[name] & ~before[name]).any() for name in after)
        with torch.no_grad():
            for name, weight in weights.items():
                weight.mul_(after[name])
        before = after


def test_the_share_rises_as_in_the_paper() -> None:
    final, steps = 0.8, 5
    for t in range(steps + 1):
        assert cubic(final, done=t, of=steps) == pytest.approx(final + (0 - final) * (1 - t / steps) ** 3)
    assert cubic(final, done=steps, of=steps) == final


@pytest.mark.parametrize(
    ("compress", "epochs", "want"),
    [
        pytest.param(Compress(), 8, (None, None, None, 0), id="nothing"),
        pytest.param(Compress(prune=Prune(share=0.5)), 8, (None, 6, None, 6), id="a quarter, its ramp is one epoch"),
        pytest.param(Compress(prune=Prune(share=0.5, epochs=6)), 8, (None, 2, None, 4), id="a ramp of half its epochs"),
        pytest.param(
            Compress(channels=Channels(share=0.5, epochs=2), prune=Prune(share=0.5, epochs=3, ramp=0.0)),
            8,
            (3, 5, None, 5),
            id="channels before weights",
        ),
        pytest.param(Compress(quantize=Quantize(bits=8)), 8, (None, None, 8, 8), id="rounded at the end"),
        pytest.param(Compress(quantize=Quantize(bits=8, epochs=3)), 8, (None, None, 5, 5), id="rounded in training"),
        pytest.param(Compress(quantize=Quantize(bits=1)), 8, (None, None, 6, 6), id="one bit is trained"),
    ],
)
def test_when_stages_begin(
    compress: Compress, epochs: int, want: tuple[int | None, int | None, int | None, int]
) -> None:
    found = plan(compress, epochs=epochs)
    assert (found.channels, found.prune, found.quantize, found.settled) == want


def test_stages_that_need_more_epochs_than_there_are_are_refused() -> None:
    compress = Compress(channels=Channels(share=0.5, epochs=3), quantize=Quantize(bits=4, epochs=3))
    with pytest.raises(SettingError, match=r"train.epochs is 5, .*compress.channels 3, compress.quantize 3"):
        plan(compress, epochs=5)
