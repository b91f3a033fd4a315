"""Reads the nodes and the edges of a graph. Samples are its nodes with a class; the graph itself goes to the model."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tuning_trainer.config.errors import SettingError, nearest
from tuning_trainer.config.graph import Graph
from tuning_trainer.data.source import Encoding, Rows, column_statistics

Numbers = npt.NDArray[np.float64]
Edges = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GraphSource:
    """The nodes with a class as a `Source`."""

    nodes: Rows
    """Which nodes have a class, in the order of the samples."""
    targets: npt.NDArray[Any]
    classes: tuple[str, ...] | None
    features: Numbers
    """[all nodes, F], NaN where a feature is missing."""
    edges: Edges
    """[2, E], from the first to the second node, with one from each node to itself."""
    scale: str

    def learn(self, rows: Rows) -> Encoding:
        """Means and deviations of the features over the training `rows`."""
        known = self.features[self.nodes[rows]]
        with np.errstate(invalid="ignore"):
            means = np.nansum(known, axis=0) / np.maximum((~np.isnan(known)).sum(axis=0), 1)
        features = np.where(np.isnan(self.features), means, self.features)
        statistics: dict[str, Any] = {}
        if self.scale == "standardize":
            mean, deviation = column_statistics(features[self.nodes[rows]])
            features = (features - mean) / deviation
            statistics = {"mean": mean.tolist(), "deviation": deviation.tolist()}
        elif self.scale == "rows":
            sums = np.abs(features).sum(axis=1, keepdims=True)
            features = features / np.where(sums > 0, sums, 1.0)
        return Encoding(
            encode=lambda wanted: self.nodes[wanted],
            normalization=None,
            description={"kind": "graph", "scale": self.scale, **statistics},
            ids=(len(features),),
            tables={
                "features": features.astype(np.float32),
                "edges": self.edges,
                "edge_weights": normalised(self.edges, len(features)),
            },
        )


def normalised(edges: Edges, nodes: int) -> npt.NDArray[np.float32]:
    """Weights of graph convolution [E], the entries of `D^-1/2 (A + I) D^-1/2`; `edges` hold those of `I`."""
    leaving, arriving = (np.bincount(ends, minlength=nodes).astype(np.float64) for ends in edges)
    return np.asarray(1 / np.sqrt(leaving[edges[0]] * arriving[edges[1]]), dtype=np.float32)


def load(data: Graph) -> GraphSource:
    """The graph. Raises `SettingError` for files that are missing or do not hold one."""
    content = data.format == "content" or (data.format == "auto" and data.path.endswith(".content"))
    lines = _lines(data.path, setting="data.path")
    names, features, labels = _read_content(lines, data) if content else _read_csv(lines, data)
    twice = len(names) - len(set(names))
    if twice:
        seen: set[str] = set()
        first = next(n for n in names if n in seen or seen.add(n))  # type: ignore[func-returns-value]
        raise SettingError(f"data.path: node {first!r} is there twice; each node has one line")
    _check_missing(features, names, data)
    labelled = np.array([bool(label) for label in labels])
    classes = tuple(sorted({label for label in labels if label}))
    if len(classes) < 2:
        raise SettingError(f"data.path: the nodes have {len(classes)} classes; at least 2 are needed")
    index = {name: number for number, name in enumerate(classes)}
    return GraphSource(
        nodes=np.flatnonzero(labelled),
        targets=np.array([index[label] for label in labels if label], dtype=np.int64),
        classes=classes,
        features=features if features.shape[1] else np.eye(len(names)),
        edges=_read_edges(data, {name: number for number, name in enumerate(names)}),
        scale=data.scale if features.shape[1] else "none",
    )


Nodes = tuple[list[str], Numbers, list[str]]


def _read_content(lines: Sequence[str], data: Graph) -> Nodes:
    rows = [line.split() for line in lines if line.strip()]
    if not rows or len(rows[0]) < 2:
        raise SettingError(f"data.path: {data.path} holds no lines of a node, its features and its class")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise SettingError(f"data.path: line {number} has {len(row)} columns and line 1 has {len(rows[0])}")
    return [row[0] for row in rows], _numbers([row[1:-1] for row in rows], first=1), [row[-1] for row in rows]


def _read_csv(lines: Sequence[str], data: Graph) -> Nodes:
    rows = [row for row in csv.reader(lines) if row]
    header = [name.strip() for name in rows[0]] if rows else []
    for setting, names in (("node", (data.node,)), ("label", (data.label,)), ("drop", data.drop)):
        for name in names:
            if name not in header:
                raise SettingError(f"data.{setting} names the column {name!r}; {nearest(name, header or ['nothing'])}")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(header):
            raise SettingError(f"data.path: line {number} has {len(row)} columns, the header {len(header)}")
    node, target = header.index(data.node), header.index(data.label)
    wanted = [i for i, n in enumerate(header) if i not in (node, target) and n not in data.drop]
    body = [[cell.strip() for cell in row] for row in rows[1:]]
    if not body:
        raise SettingError(f"data.path: {data.path} holds no nodes below its header")
    features = _numbers([[row[i] for i in wanted] for row in body], first=2)
    return [row[node] for row in body], features, [row[target] for row in body]


def _numbers(rows: Sequence[Sequence[str]], *, first: int) -> Numbers:
    try:
        return np.array([[float(cell) if cell else np.nan for cell in row] for row in rows], dtype=np.float64)
    except ValueError as error:
        for number, row in enumerate(rows, first):
            for cell in row:
                try:
                    float(cell or "nan")
                except ValueError:
                    raise SettingError(
                        f"data.path: line {number} holds {cell!r}, which is no number; features must be, name other "
                        "columns in data.drop"
                    ) from None
        raise SettingError(f"data.path: {error}") from None


def _check_missing(features: Numbers, names: Sequence[str], data: Graph) -> None:
    features[~np.isfinite(features)] = np.nan
    wrong = np.flatnonzero(np.isnan(features).any(axis=1))
    if len(wrong) and data.missing == "error":
        raise SettingError(
            f"data.path: {len(wrong)} nodes have a feature that is missing or not finite, first {names[wrong[0]]!r}; "
            "repair them, or set data.missing to mean"
        )


def _read_edges(data: Graph, index: dict[str, int]) -> Edges:
    pairs: list[tuple[int, int]] = []
    unknown: list[str] = []
    total = 0
    for number, line in enumerate(_lines(data.edges, setting="data.edges"), 1):
        ends = re.split(r"\s*,\s*|\s+", line.strip())[:2]
        if ends == [""]:
            continue
        if len(ends) < 2:
            raise SettingError(f"data.edges: line {number} holds {line.strip()!r}, not two nodes")
        found = [index.get(end) for end in ends]
        if total == 0 and not unknown and found == [None, None]:
            continue  # a header
        total += 1
        if found[0] is None or found[1] is None:
            unknown.append(ends[0] if found[0] is None else ends[1])
        else:
            pairs.append((found[0], found[1]))
    if not pairs:
        raise SettingError(f"data.edges: {data.edges} holds no edge between two nodes of data.path")
    if unknown:
        text = f"{len(unknown)} of {total} edges name a node that is not in data.path, first {unknown[0]!r}"
        if len(unknown) > data.unknown_edges * total:
            raise SettingError(
                f"data.edges: {text}; repair them, or raise data.unknown_edges, which is {data.unknown_edges}"
            )
        print(f"tuning_trainer: {text}; they are left out", file=sys.stderr, flush=True)
    edges = np.array(pairs, dtype=np.int64)
    if not data.directed:
        edges = np.concatenate([edges, edges[:, ::-1]])
    itself = np.arange(len(index), dtype=np.int64)
    edges = np.concatenate([edges[edges[:, 0] != edges[:, 1]], np.stack([itself, itself], axis=1)])
    return np.ascontiguousarray(np.unique(edges[:, ::-1], axis=0)[:, ::-1].T)


def _lines(path: str, *, setting: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{setting}: {path} cannot be read: {error}") from None
