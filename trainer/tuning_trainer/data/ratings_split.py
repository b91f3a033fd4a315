"""Divides ratings in training, validation and test, for each user on his own. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.ratings import RatingsSplit
from tuning_trainer.data.split import Parts

LEAST = 3
"""Ratings of a user of whom the last ones are held out."""


def split_ratings(
    users: npt.NDArray[np.int64],
    times: npt.NDArray[np.float64] | None,
    settings: RatingsSplit,
    *,
    separate_test: bool = False,
) -> Parts:
    """Parts of the ratings of `users`, numbers from 0. With a `separate_test`, none of them is for tests.

    Raises `SettingError` when a part that was asked for would be empty.
    """
    random = np.random.default_rng(settings.seed)
    count = len(users)
    chance = random.random(count)
    by_last = times is not None and settings.by == "last"
    order = np.lexsort((chance, users)) if times is None or not by_last else np.lexsort((chance, times, users))
    sizes = np.bincount(users)
    before = np.cumsum(sizes) - sizes
    places = np.empty(count, dtype=np.int64)
    places[order] = np.arange(count) - np.repeat(before, sizes)
    size = sizes[users]
    from_end = size - 1 - places
    if by_last:
        enough = size >= LEAST
        test = enough & (from_end == 0) & (not separate_test)
        validation = enough & (from_end == (0 if separate_test else 1))
    else:
        share = 0.0 if separate_test else settings.test
        # A draw for each user decides how a fraction of a rating is rounded, so that shares hold on the whole.
        point = (from_end + random.random(len(sizes))[users]) / size
        test = (point < share) & (places > 0)
        validation = (point >= share) & (point < share + settings.validation) & (places > 0)
    if settings.by == "random" and settings.validation + (0.0 if separate_test else settings.test) >= 1:
        raise SettingError(
            f"data.split.validation {settings.validation} and data.split.test {settings.test} leave nothing to "
            "train with"
        )
    for name, part, wanted in (
        ("validation", validation, by_last or settings.validation > 0),
        ("test", test, not separate_test and (by_last or settings.test > 0)),
    ):
        if wanted and not part.any():
            raise SettingError(
                f"data.split leaves no rating for {name}; users need more ratings, or use a larger share"
            )
    rows = random.permutation(count)
    held = validation | test
    return Parts(train=rows[~held[rows]], validation=rows[validation[rows]], test=rows[test[rows]])
