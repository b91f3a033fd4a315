"""The parts of the data: disjoint, stratified, the same for everybody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_trainer.config import SettingError
from tuning_trainer.config.split import Split, TrainingSplit
from tuning_trainer.data.split import split

shares = st.floats(0.0, 0.45)


@given(
    targets=st.lists(st.integers(0, 4), min_size=2, max_size=200),
    validation=shares,
    test=shares,
    seed=st.integers(0, 5),
    stratify=st.booleans(),
)
def test_every_sample_is_in_exactly_one_part(
    targets: list[int], validation: float, test: float, seed: int, stratify: bool
) -> None:
    settings = Split(validation=validation, test=test, seed=seed, stratify=stratify)
    values = np.array(targets)
    try:
        parts = split(values, settings, classes=True)
    except SettingError:
        return
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(together.tolist()) == list(range(len(targets)))
    assert len(parts.validation) == round(validation * len(targets))
    assert len(parts.test) == round(test * len(targets))
    again = split(values, settings, classes=True)
    assert np.array_equal(parts.train, again.train)


def test_classes_keep_their_share_in_every_part() -> None:
    targets = np.repeat([0, 1, 2], [100, 50, 10])
    parts = split(targets, Split(validation=0.2, test=0.1), classes=True)
    assert np.bincount(targets[parts.validation]).tolist() == [20, 10, 2]
    assert np.bincount(targets[parts.test]).tolist() == [10, 5, 1]


def test_the_seed_of_the_split_changes_the_parts() -> None:
    targets = np.arange(100) % 2
    one, other = (split(targets, TrainingSplit(seed=s), classes=True).validation.tolist() for s in (0, 1))
    assert one != other


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param(Split(validation=0.01, test=0.2), "data.split.validation is 0.01", id="too small a part"),
        pytest.param(Split(validation=0.6, test=0.4), "no sample of 10 to train with", id="nothing left"),
    ],
)
def test_a_part_that_would_be_empty_is_refused(settings: Split, words: str) -> None:
    with pytest.raises(SettingError) as refused:
        split(np.zeros(10), settings, classes=False)
    assert words in str(refused.value)
