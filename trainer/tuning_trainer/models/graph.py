"""Models of the nodes of a graph, on scatter operations of torch alone: graph convolution and graph attention.

The graph is part of the model: its features and edges are buffers. Inputs are nodes [N]; each pass computes all nodes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuning_trainer.config import graph as settings
from tuning_trainer.data.layout import Layout
from tuning_trainer.models.activations import ACTIVATIONS
from tuning_trainer.models.held import Holder

_NORMS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
SLOPE = 0.2
"""Of the leaky ReLU of attention, as in the paper."""


class OnFeatures(Holder):
    """A model of the features of each node alone: [N] -> [N, outputs]."""

    def __init__(self, inner: nn.Module, *, layout: Layout) -> None:
        super().__init__(layout.tables, "features")
        self.inner = inner

    def forward(self, nodes: Tensor) -> Tensor:
        """Nodes [N] -> [N, outputs]."""
        return self.inner(self.table("features")[nodes])  # type: ignore[no-any-return]


class GraphNetwork(Holder):
    """Layers over a whole graph; between two of them normalisation and activation, before each one dropout."""

    def __init__(self, model: settings.Gcn | settings.Gat, *, layout: Layout, outputs: int) -> None:
        super().__init__(layout.tables, "features", "edges", "edge_weights")
        self.share = model.dropout
        self.layers = nn.ModuleList()
        self.skips = nn.ModuleList()
        self.between = nn.ModuleList()
        size = layout.tables["features"][1]
        for place in range(model.layers):
            last = place == model.layers - 1
            layer = _layer(model, size, outputs, last=last)
            self.layers.append(layer)
            if model.skip:
                same = size == layer.size
                self.skips.append(nn.Identity() if same else nn.Linear(size, layer.size, bias=False))
            size = layer.size
            if not last:
                norm = [] if model.norm == "none" else [_NORMS[model.norm](size)]
                self.between.append(nn.Sequential(*norm, ACTIVATIONS[model.activation]()))

    def forward(self, nodes: Tensor) -> Tensor:
        """Nodes [N] -> [N, outputs]."""
        values, edges, weights = self.table("features"), self.table("edges"), self.table("edge_weights")
        for place, layer in enumerate(self.layers):
            values = functional.dropout(values, self.share, self.training)
            found: Tensor = layer(values, edges, weights)
            values = found + self.skips[place](values) if len(self.skips) else found
            if place < len(self.between):
                values = self.between[place](values)
        return values[nodes]


def _layer(model: settings.Gcn | settings.Gat, size: int, outputs: int, *, last: bool) -> Convolution | Attention:
    if isinstance(model, settings.Gcn):
        return Convolution(size, outputs if last else model.width)
    if last:
        return Attention(size, outputs, heads=model.last_heads, join=False, dropout=model.dropout)
    return Attention(size, model.width, heads=model.heads, join=True, dropout=model.dropout)


class Convolution(nn.Module):
    """The sum over the neighbours, and the node itself, of `W x` times the edge's weight, plus a bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.size = outputs
        self.matrix = nn.Linear(inputs, outputs, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.xavier_uniform_(self.matrix.weight)

    def forward(self, values: Tensor, edges: Tensor, weights: Tensor) -> Tensor:
        """[nodes, inputs], edges from first to second [2, E] -> [nodes, outputs]."""
        sources, goals = edges
        sent = self.matrix(values)[sources] * weights[:, None]
        return _sums(sent, goals, len(values)) + self.bias


class Attention(nn.Module):
    """The sum over the neighbours, and the node itself, of `W x` times an attention that softmax makes a share."""

    def __init__(self, inputs: int, outputs: int, *, heads: int, join: bool, dropout: float) -> None:
        """`join`: heads are put side by side; else they are averaged."""
        super().__init__()
        self.size = outputs * heads if join else outputs
        self.shape = (heads, outputs)
        self.join = join
        self.share = dropout
        self.matrix = nn.Linear(inputs, heads * outputs, bias=False)
        self.of_source = nn.Parameter(torch.empty(heads, outputs))
        self.of_goal = nn.Parameter(torch.empty(heads, outputs))
        self.bias = nn.Parameter(torch.zeros(self.size))
        for weight in (self.matrix.weight, self.of_source, self.of_goal):
            nn.init.xavier_uniform_(weight)

    def forward(self, values: Tensor, edges: Tensor, weights: Tensor) -> Tensor:
        """[nodes, inputs], edges from first to second [2, E] -> [nodes, outputs]. Weights of the edges do not count."""
        sources, goals = edges
        heads: Tensor = self.matrix(values).view(-1, *self.shape)
        score = (heads * self.of_source).sum(dim=2)[sources] + (heads * self.of_goal).sum(dim=2)[goals]
        attention = _softmax(functional.leaky_relu(score, SLOPE), goals, len(values))
        attention = functional.dropout(attention, self.share, self.training)
        found = _sums(heads[sources] * attention[:, :, None], goals, len(values))
        return (found.flatten(1) if self.join else found.mean(dim=1)) + self.bias


def _sums(sent: Tensor, goals: Tensor, nodes: int) -> Tensor:
    """What is sent along the edges [E, ...], added up at the nodes where they end."""
    empty = torch.zeros(nodes, *sent.shape[1:], dtype=sent.dtype, device=sent.device)
    return empty.index_add(0, goals, sent)


def _softmax(scores: Tensor, goals: Tensor, nodes: int) -> Tensor:
    """Softmax of [E, heads] over the edges that end at the same node."""
    places = goals[:, None].expand_as(scores)
    least = torch.full((nodes, scores.shape[1]), -torch.inf, dtype=scores.dtype, device=scores.device)
    most = least.scatter_reduce(0, places, scores.detach(), "amax")
    powers = (scores - most[goals]).exp()
    return powers / _sums(powers, goals, nodes)[goals]
