"""torchvision's models by name: built for the data, begun with weights from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from tests.unit.trainer.builders import a_config, a_session, ran
from tuning_trainer import models
from tuning_trainer.config import SettingError
from tuning_trainer.data.layout import Layout
from tuning_trainer.models.torchvision_models import Torchvision

GREY = Layout((1, 32, 32))


def build(layout: Layout = GREY, *, outputs: int = 10, **settings: Any) -> Torchvision:
    torch.manual_seed(0)
    chosen = {"name": "torchvision", "architecture": "shufflenet_v2_x0_5", **settings}
    module = models.build(a_config({"model": chosen}).model, layout=layout, outputs=outputs)
    assert isinstance(module, Torchvision)
    return module.eval()


def test_it_is_torchvisions_model_and_grey_images_have_three_equal_channels() -> None:
    ours = build()
    theirs = torchvision.models.shufflenet_v2_x0_5(num_classes=10).eval()
    theirs.load_state_dict(ours.network.state_dict())
    images = torch.rand(2, 1, 32, 32)
    assert torch.allclose(ours(images), theirs(images.repeat(1, 3, 1, 1)), atol=1e-6)


def test_images_are_scaled_where_asked_for() -> None:
    module = build(Layout((3, 8, 8)), resize=32)
    seen: list[torch.Size] = []
    module.network.register_forward_pre_hook(lambda network, given: seen.append(given[0].shape))
    assert module(torch.rand(2, 3, 8, 8)).shape == (2, 10)
    assert seen[0] == (2, 3, 32, 32)


@pytest.mark.parametrize(
    ("architecture", "resize"),
    {"vit_b_16": 16, "inception_v3": 75, "squeezenet1_1": None, "mobilenet_v3_small": None}.items(),
)
def test_architectures_with_wishes_of_their_own_are_built(architecture: str, resize: int | None) -> None:
    assert build(architecture=architecture, resize=resize, outputs=3)(torch.rand(2, 1, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize("ending", ["safetensors", "pth", "wrapped.pth"])
def test_weights_come_from_a_file_and_only_another_number_of_classes_begins_anew(
    ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = torchvision.models.shufflenet_v2_x0_5(num_classes=1000)
    path = tmp_path / f"weights.{ending}"
    state = source.state_dict()
    if ending == "safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": state, "epoch": 3} if "wrapped" in ending else state, path)
    module = build(weights_file=str(path))
    assert "new weights, not from model.weights_file: fc.bias, fc.weight" in capsys.readouterr().out
    same = {n for n, value in module.network.state_dict().items() if torch.equal(value, state[n])}
    assert module.network.state_dict().keys() - same == {"fc.weight", "fc.bias"}
    whole = build(weights_file=str(path), outputs=1000)
    assert torch.equal(whole.network.fc.weight, source.fc.weight)


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save(nn.Linear(2, 2).state_dict(), other)
    (tmp_path / "text.pth").write_text("no weights")
    cases: list[tuple[dict[str, Any], str]] = [
        (
            {"architecture": "resnet81"},
            "model.architecture is 'resnet81', which torchvision does not have; did you mean",
        ),
        ({"weights_file": str(tmp_path / "absent.pth")}, "where there is no file; mount it there"),
        ({"weights_file": str(other)}, "is no state_dict of shufflenet_v2_x0_5: it "),
        ({"weights_file": str(tmp_path / "text.pth")}, "cannot be read as weights"),
        ({"layout": Layout((4,))}, "needs images of 1 or 3 channels"),
        ({"layout": Layout((3, 8, 8)), "architecture": "inception_v3"}, "set model.resize, such as to 224"),
        ({"architecture": "vit_b_16", "resize": 20}, "vit_b_16 cannot be built for images of 20 pixels"),
    ]
    for settings, told in cases:
        with pytest.raises(SettingError) as raised:
            build(settings.pop("layout", GREY), **settings)
        assert told in str(raised.value), settings


def test_it_is_trained_like_any_other(tmp_path: Path) -> None:
    chosen = {"name": "torchvision", "architecture": "squeezenet1_1", "resize": 24}
    config = a_config({"data": "digits", "model": chosen}, epochs=1, batch_size=512)
    code, session = ran(config, a_session(tmp_path))
    assert code == 0
    assert "val_accuracy" in session.snapshot().final
