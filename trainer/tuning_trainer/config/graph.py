"""Settings of graphs: the files of their nodes and edges, and models over them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tuning_trainer.config.base import Section
from tuning_trainer.config.split import Path, Share, Split
from tuning_trainer.config.structure import Activation, Dropout


class Graph(Section):
    """One graph whose nodes are to be classified, from a file of nodes and a file of edges, for gcn, gat, and, by the
    features of each node alone, linear and mlp.

    All nodes and edges are known to the model; the classes of the validation and test part are not. A node without a
    class belongs to the graph and to no part. Without features, each node is a feature of its own.
    """

    name: Literal["graph"] = "graph"
    path: Path
    """The mounted file of nodes."""
    edges: Path
    """The mounted file of edges: two nodes a line, by comma or white space; more columns are not read, and neither is a
    first line that names no node.
    """
    format: Literal["auto", "csv", "content"] = "auto"
    """Format of the nodes. csv: a header and commas; content: that of Cora, without a header and by white space: the
    node, its features, its class. `auto`: content for a file that ends in .content, else csv.
    """
    node: Annotated[str, Field(min_length=1)] = "id"
    """csv: the column that names the node."""
    label: Annotated[str, Field(min_length=1)] = "label"
    """csv: the column of the class; empty where it is not known."""
    drop: Annotated[tuple[str, ...], Field(strict=False, max_length=1000)] = ()
    """csv: columns that are no features."""
    missing: Literal["error", "mean"] = "error"
    """A feature that is missing or not finite is an error, or becomes the mean of the training part."""
    scale: Literal["standardize", "rows", "none"] = "standardize"
    """Features are standardised by the training part; or divided by the sum of their node, as usual for words; or left
    as they are.
    """
    directed: bool = False
    """Edges lead from the first to the second node only."""
    unknown_edges: Share = 0.01
    """Largest share of the edges that may name a node which is not in the file; they are counted and left out."""
    split: Split = Split()
    """How the nodes with a class are split."""


class Gcn(Section):
    """A graph convolutional network (Kipf and Welling, 2017). Each step computes the whole graph, so a `batch_size` of
    `full` is the fastest.
    """

    name: Literal["gcn"] = "gcn"
    layers: Annotated[int, Field(ge=1, le=64)] = 2
    """Convolutions; each one reaches one edge further."""
    width: Annotated[int, Field(ge=1, le=16384)] = 64
    """Numbers of a node between two layers."""
    activation: Activation = "relu"
    """Activation between two layers."""
    norm: Literal["none", "batch", "layer"] = "none"
    """Normalisation before each activation."""
    skip: bool = False
    """Whether each layer's input, through a matrix where its size differs, is added to its output."""
    dropout: Dropout = 0.5
    """Share of the numbers dropped before each layer while training."""


class Gat(Section):
    """A graph attention network (Velickovic et al., 2018). Each step computes the whole graph, so a `batch_size` of
    `full` is the fastest.
    """

    name: Literal["gat"] = "gat"
    layers: Annotated[int, Field(ge=1, le=64)] = 2
    """Layers of attention; each one reaches one edge further."""
    width: Annotated[int, Field(ge=1, le=16384)] = 8
    """Numbers of a node and head between two layers."""
    heads: Annotated[int, Field(ge=1, le=256)] = 8
    """Attention heads between two layers, put side by side."""
    last_heads: Annotated[int, Field(ge=1, le=256)] = 1
    """Attention heads of the last layer, averaged."""
    activation: Activation = "elu"
    """Activation between two layers."""
    norm: Literal["none", "batch", "layer"] = "none"
    """Normalisation before each activation."""
    skip: bool = False
    """Whether each layer's input, through a matrix where its size differs, is added to its output."""
    dropout: Dropout = 0.5
    """Share of the numbers dropped before each layer, and of the attention, while training."""
