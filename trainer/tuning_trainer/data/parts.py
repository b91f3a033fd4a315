"""From the data settings to the tensors of one trial. The only place that decides which samples a role may see.

Role Search: training and validation. Role Final: training and validation together, and the test part when it is asked
for, once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tuning_trainer.config import data as settings
from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.folders import ImageFolder, Speech
from tuning_trainer.config.graph import Graph
from tuning_trainer.config.own import CustomData
from tuning_trainer.config.ratings import Ratings
from tuning_trainer.config.reduce import Reduce
from tuning_trainer.config.runtime import HoldOn
from tuning_trainer.config.split import TrainingSplit
from tuning_trainer.config.text import Language, Text
from tuning_trainer.data.folds import fold_of
from tuning_trainer.data.layout import Layout
from tuning_trainer.data.own import HasTask
from tuning_trainer.data.placement import Placement
from tuning_trainer.data.prepared import Part, Prepared
from tuning_trainer.data.source import Encoding, Rows, Source
from tuning_trainer.data.split import Divided, split
from tuning_trainer.tasks.classification import Classification
from tuning_trainer.tasks.regression import Regression
from tuning_trainer.tasks.task import Task


def prepare(
    data: settings.Data,
    *,
    final: bool,
    device: torch.device,
    pixels: bool = False,
    fold: int | None = None,
    hold_on: HoldOn = "auto",
) -> Prepared:
    """Reads, splits and encodes; with `pixels`, images are given as they are, to be normalised batch by batch; with
    `fold`, the validation part is that one of `data.split.folds`. `hold_on` says where the samples are held.

    Raises `SettingError` for data that is missing, damaged or too small.
    """
    if isinstance(data, Language):
        from tuning_trainer.data import language

        return language.prepare(data, final=final, device=device)
    if isinstance(data, Ratings):
        from tuning_trainer.data import ratings

        return ratings.prepare(data, final=final, device=device)
    source, separate_test = _read(data)
    divided = source if isinstance(source, Divided) else None
    reduce = getattr(data, "reduce", None)
    if isinstance(reduce, Reduce) and reduce.wanted:
        from tuning_trainer.data.reduced import Reduced

        source = Reduced(source, reduce)
    if divided is not None:
        parts = divided.parts(data.split)
    else:
        classes, separate = source.classes is not None, separate_test is not None
        parts = split(source.targets, data.split, classes=classes, separate_test=separate)
    if fold is not None:
        if getattr(data, "validation_path", None):
            raise SettingError("data.split.folds is set, but data.validation_path names the validation part; keep one")
        parts = fold_of(parts, source.targets, data.split, fold=fold, classes=source.classes is not None)
    rows = np.concatenate([parts.train, parts.validation]) if final else parts.train
    if not final and not len(parts.validation):
        raise SettingError(
            "data.split.validation is 0; a trial is judged by its validation part, give it a share above 0"
        )
    _check_classes(source, rows)
    encoding = source.learn(rows)
    task = _task(source, rows)
    place = Placement(encoding, task, device, early=False if pixels else None, hold_on=hold_on)

    def test() -> Part:
        if separate_test is not None:
            return place.part(*separate_test(encoding))
        if not len(parts.test):
            raise SettingError("data.split.test is 0; the final evaluation needs a test part, give it a share above 0")
        return place.part(encoding.encode(parts.test), source.targets[parts.test])

    if final and separate_test is None and not len(parts.test):
        test()
    train = place.part(encoding.encode(rows), source.targets[rows])
    return Prepared(
        train=train,
        validation=None if final else place.part(encoding.encode(parts.validation), source.targets[parts.validation]),
        test=test,
        task=task,
        layout=Layout(
            tuple(train.inputs.shape[1:]),
            vocabulary=encoding.vocabulary,
            white=encoding.white,
            ids=encoding.ids,
            tables={name: table.shape for name, table in encoding.tables.items()},
        ),
        normalize=place.normalize,
        description={
            "encoding": encoding.description,
            **task.description,
            "samples": {"train": len(rows), "validation": 0 if final else len(parts.validation)},
        },
        tables={name: torch.from_numpy(table).to(device) for name, table in encoding.tables.items()},
    )


def wanted_folds(data: settings.Data, *, final: bool) -> Sequence[int | None]:
    """The folds of which the trial trains one model each; one model and no fold without cross-validation."""
    split = data.split
    if final or not isinstance(split, TrainingSplit) or split.folds is None:
        return [None]
    return range(split.folds) if split.fold is None else [split.fold]


SeparateTest = Callable[[Encoding], tuple[npt.NDArray[Any], npt.NDArray[Any]]]


def _read(data: settings.Data) -> tuple[Source, SeparateTest | None]:
    if isinstance(data, settings.Mnist | settings.Cifar10):
        from tuning_trainer.data import image_files

        return image_files.load(data)
    if isinstance(data, settings.Table):
        from tuning_trainer.data import table

        return table.load(data)
    if isinstance(data, Text):
        from tuning_trainer.data import text

        return text.load(data)
    if isinstance(data, Speech):
        from tuning_trainer.data import speech

        return speech.load(data)
    if isinstance(data, ImageFolder):
        from tuning_trainer.data import image_folder

        return image_folder.load(data)
    if isinstance(data, Graph):
        from tuning_trainer.data import graph

        return graph.load(data), None
    if isinstance(data, CustomData):
        from tuning_trainer.data import own

        return own.load(data), None
    from tuning_trainer.data import sklearn_sets

    return sklearn_sets.load(data.name), None


def _check_classes(source: Source, rows: Rows) -> None:
    if source.classes is None:
        return
    missing = [name for name, count in zip(source.classes, _counts(source, rows), strict=True) if count == 0]
    if missing:
        raise SettingError(
            f"class {missing[0]!r} of the data has no sample in the training part; "
            "give it more samples, leave it out, or use smaller shares in data.split"
        )


def _task(source: Source, rows: Rows) -> Task:
    if isinstance(source, HasTask):
        return source.task(rows)
    if source.classes is not None:
        return Classification(source.classes, _counts(source, rows))
    values = source.targets[rows]
    return Regression(float(values.mean()), float(values.std()) or 1.0)


def _counts(source: Source, rows: Rows) -> tuple[int, ...]:
    return tuple(np.bincount(source.targets[rows], minlength=len(source.classes or ())).tolist())
