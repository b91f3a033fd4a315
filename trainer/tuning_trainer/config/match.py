"""What one section of the settings decides for another. Pure."""

from __future__ import annotations

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.pretrained import Pretrained
from tuning_trainer.config.root import TrainerConfig
from tuning_trainer.config.text import AutoVocabulary, Language, Text, TokenizerVocabulary


def matched(config: TrainerConfig) -> TrainerConfig:
    """A pretrained model brings its tokenizer. Raises `SettingError` for data that such a model cannot read."""
    data, model = config.data, config.model
    if not isinstance(model, Pretrained):
        return config
    if not isinstance(data, Text | Language):
        raise SettingError(f"model.name is 'pretrained' but data.name is {data.name!r}; it reads data text or language")
    if isinstance(data.vocabulary, TokenizerVocabulary):
        return config
    if not isinstance(data.vocabulary, AutoVocabulary):
        raise SettingError(
            f"data.vocabulary.name is {data.vocabulary.name!r}, but a pretrained model knows only its own tokens; use "
            "auto or tokenizer"
        )
    own = TokenizerVocabulary(name="tokenizer", file=model.directory)  # named: it was chosen, not left to the default
    return config.model_copy(update={"data": data.model_copy(update={"vocabulary": own})})
