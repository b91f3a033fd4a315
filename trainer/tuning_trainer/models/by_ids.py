"""Models whose samples are numbers of things that tables describe: the nodes of a graph, users and items."""

from __future__ import annotations

from torch import nn

from tuning_trainer.config import graph, ratings
from tuning_trainer.config import model as settings
from tuning_trainer.config.errors import SettingError
from tuning_trainer.data.layout import Layout
from tuning_trainer.models.linear import Linear
from tuning_trainer.models.mlp import Mlp

NEEDS = {
    "gcn": "the data is no graph",
    "gat": "the data is no graph",
    "factorization": "the data are no ratings",
    "two_tower": "the data are no ratings",
}
"""Why a model does not fit data of another kind."""


def build(model: settings.Model, *, layout: Layout, outputs: int) -> nn.Module:
    """The model of nodes [N] -> [N, outputs], or of users and items. Raises `SettingError` when it does not fit."""
    if "edges" not in layout.tables:
        return _of_ratings(model, layout)
    from tuning_trainer.models.graph import GraphNetwork, OnFeatures

    features = Layout(layout.tables["features"][1:])
    match model:
        case graph.Gcn() | graph.Gat():
            return GraphNetwork(model, layout=layout, outputs=outputs)
        case settings.Linear():
            return OnFeatures(Linear(model, layout=features, outputs=outputs), layout=layout)
        case settings.Mlp():
            return OnFeatures(Mlp(model, layout=features, outputs=outputs), layout=layout)
    raise SettingError(f"model.name is {model.name!r}, but the data is a graph; use gcn, gat, linear or mlp")


def _of_ratings(model: settings.Model, layout: Layout) -> nn.Module:
    from tuning_trainer.models.recommend import Recommender

    match model:
        case ratings.Factorization() | ratings.TwoTower():
            return Recommender(model, layout=layout)
    raise SettingError(f"model.name is {model.name!r}, but the data are ratings; use factorization or two_tower")
