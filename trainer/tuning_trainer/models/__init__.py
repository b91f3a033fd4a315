"""The models, one file each. A new one is a settings class in `config.model`, a file here and a line in `build`."""

from __future__ import annotations

from torch import nn

from tuning_trainer.config import model as settings
from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.own import CustomModel
from tuning_trainer.config.pretrained import Pretrained as PretrainedSettings
from tuning_trainer.config.torchvision import Torchvision as TorchvisionSettings
from tuning_trainer.data.layout import Layout
from tuning_trainer.models import by_ids, own
from tuning_trainer.models.cnn import Cnn
from tuning_trainer.models.decoder import Decoder
from tuning_trainer.models.lenet import LeNet
from tuning_trainer.models.linear import Linear
from tuning_trainer.models.mlp import Mlp
from tuning_trainer.models.rnn import Rnn
from tuning_trainer.models.transformer import Transformer

_CAUSAL = (settings.Rnn, settings.Decoder, PretrainedSettings)


def build(model: settings.Model, *, layout: Layout, outputs: int) -> nn.Module:
    """The model for samples of `layout`, with `outputs` numbers a sample: [N, *shape] -> [N, outputs]; for a causal
    layout each position has as many: [N, T] -> [N, T, outputs].

    First weights come from torch's global generator. Raises `SettingError` when the model does not fit the data.
    """
    shape = layout.shape
    if isinstance(model, CustomModel):
        return own.build(model, layout=layout, outputs=outputs)
    if layout.causal and not isinstance(model, _CAUSAL):
        raise SettingError(
            f"model.name is {model.name!r}, but a language model predicts each token from the earlier ones; use "
            "decoder, rnn or pretrained"
        )
    if layout.ids:
        return by_ids.build(model, layout=layout, outputs=outputs)
    match model:
        case settings.Linear():
            return Linear(model, layout=layout, outputs=outputs)
        case settings.Mlp():
            return Mlp(model, layout=layout, outputs=outputs)
        case settings.Lenet():
            return LeNet(model, shape=shape, outputs=outputs)
        case settings.Cnn():
            return Cnn(model, shape=shape, outputs=outputs)
        case settings.Rnn():
            return Rnn(model, layout=layout, outputs=outputs)
        case settings.Transformer():
            return Transformer(model, layout=layout, outputs=outputs)
        case settings.Decoder():
            return Decoder(model, layout=layout, outputs=outputs)
        case PretrainedSettings():
            from tuning_trainer.models.pretrained import Pretrained

            return Pretrained(model, layout=layout, outputs=outputs)
        case TorchvisionSettings():
            from tuning_trainer.models.torchvision_models import Torchvision

            return Torchvision(model, layout=layout, outputs=outputs)
    raise SettingError(f"model.name is {model.name!r}, but {by_ids.NEEDS[model.name]}; use another model")
