"""Settings of recommendation: the files of ratings, and models of users and items."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section
from tuning_trainer.config.split import Path, Share
from tuning_trainer.config.structure import Activation, Dropout

Column = Annotated[str, Field(min_length=1)]


class RatingsSplit(Section):
    """How the ratings of each user are split in training, validation and test."""

    by: Literal["random", "last"] = "random"
    """random: by shares; at least one rating of each user is for training. last: each user's newest rating is for tests
    and the one before for validation; the ratings of users with fewer than 3 are all for training.
    """
    validation: Share = 0.1
    """random: share of each user's ratings that is held out for validation."""
    test: Share = 0.1
    """random: share of each user's ratings that is held out as the test part; it is read in role Final only, once."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the split. Separate from the training seed: all trials of a study see the same parts."""


class Ratings(Section):
    """Ratings of items by users, in the layouts of MovieLens, for factorization and two_tower.

    Users and items are those of the training part, and of the files of their features. Others are unknown: without
    features, the model says of one what it says on the whole, and never recommends it. When a user rated an item more
    than once, the last line counts.
    """

    name: Literal["ratings"] = "ratings"
    path: Path
    """The mounted file: `u.data` (by tabs), `ratings.dat` (by `::`), both without a header, or `ratings.csv`; or a
    folder with one of these. User, item, rating and time; a csv by the names of its columns.
    """
    test_path: Path | None = None
    """A file of the same layout that is the test part, such as `u1.test`; null: as `split` says."""
    feedback: Literal["explicit", "implicit"] = "explicit"
    """explicit: predict the rating; RMSE and MAE, in its unit. implicit: rank what a user will choose above what not,
    by comparing each chosen item with others drawn at random; recall and NDCG over all items but those that the user
    chose in training.
    """
    liked: float | None = None
    """implicit: least rating that counts as a choice; null: every line does."""
    top: Annotated[
        tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(strict=False, min_length=1, max_length=8)
    ] = (10,)
    """implicit: lengths of the lists that are judged, each as `recall_at_10` and `ndcg_at_10`."""
    negatives: Annotated[int, Field(ge=1, le=10_000)] = 1
    """implicit: items drawn for each choice, anew each time, from those that the user did not choose in training."""
    items: Path | None = None
    """A file of features of the items, such as `u.item`, `movies.dat` or `movies.csv`, for two_tower; null: none.
    Numbers are standardised. Of texts, the parts between `|` are features if at least two items have them, such as
    genres.
    """
    users: Path | None = None
    """A file of features of the users, such as `u.user` or `users.dat`, likewise."""
    categories: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Most features that a column of texts becomes; the rarer ones are left out."""
    user: Column = "userId"
    """csv: the column of the user."""
    item: Column = "movieId"
    """csv: the column of the item."""
    rating: Column = "rating"
    """csv: the column of the rating; may be absent with implicit feedback."""
    time: Column = "timestamp"
    """csv: the column of the time; may be absent unless the split is by the last."""
    missing: Literal["error", "drop"] = "error"
    """A rating that is missing or not finite is an error, or its line is left out."""
    split: RatingsSplit = RatingsSplit()
    """How the ratings are split."""


class Factorization(Section):
    """Matrix factorisation (Koren et al., 2009): the product of a user's and an item's vector, plus a bias of each."""

    name: Literal["factorization"] = "factorization"
    width: Annotated[int, Field(ge=1, le=16384)] = 32
    """Numbers of each vector."""
    bias: bool = True
    """Whether users and items have a bias."""
    deviation: Annotated[float, Field(gt=0, le=10)] = 0.1
    """Deviation of the first vectors from 0."""
    dropout: Dropout = 0.0
    """Share of the numbers of each vector dropped while training."""


class TwoTower(Section):
    """Two networks (Covington et al., 2016), of a user and of an item, each from a vector of its own and its features;
    the score is the product of what they give.
    """

    name: Literal["two_tower"] = "two_tower"
    width: Annotated[int, Field(ge=1, le=16384)] = 32
    """Numbers of each vector, and of what a network gives."""
    layers: Annotated[int, Field(ge=0, le=16)] = 1
    """Hidden layers of each network."""
    hidden: Annotated[int, Field(ge=1, le=65536)] = 64
    """Nodes of a hidden layer."""
    item_vectors: bool = True
    """Whether items have vectors of their own besides their features; without, the model knows items by content alone,
    and unknown ones as well as known ones.
    """
    bias: bool = True
    """Whether users and items have a bias."""
    activation: Activation = "relu"
    """Activation after each hidden layer."""
    dropout: Dropout = 0.0
    """Share of the nodes dropped after each hidden layer while training."""
