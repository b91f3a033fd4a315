"""Graphs: the layers are the papers' formulas, files are read as they stand, and neighbours help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
import torch

from tests.samples.linked import write_graph
from tests.unit.trainer.builders import a_config, a_session, a_trial, ran, the_data
from tests.unit.trainer.test_resume import OBJECTIVES, assert_same, train_in_pieces
from tuning_trainer import models
from tuning_trainer.config import SettingError
from tuning_trainer.config.graph import Gat, Gcn, Graph
from tuning_trainer.data import graph
from tuning_trainer.data.layout import Layout
from tuning_trainer.models import held

SQUARE = np.array([[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2], [0, 0], [1, 1], [2, 2], [3, 3]]).T
"""A path of four nodes, both ways, and each node to itself."""
ADJACENCY = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]], dtype=float)


def test_the_adjacency_is_normalised_as_in_the_paper() -> None:
    by_hand = [1 / 2, 1 / np.sqrt(6), 1 / 3, 1 / 3, 1 / np.sqrt(6), 1 / 2]
    found = np.zeros((4, 4))
    found[SQUARE[1], SQUARE[0]] = graph.normalised(SQUARE, 4)
    assert np.allclose([found[0, 0], found[0, 1], found[1, 1], found[1, 2], found[2, 3], found[3, 3]], by_hand)
    root = np.diag(ADJACENCY.sum(1) ** -0.5)
    assert np.allclose(found, root @ ADJACENCY @ root)


def built(model: Gcn | Gat, *, outputs: int = 2) -> tuple[torch.nn.Module, torch.Tensor]:
    tables = {
        "features": torch.rand(4, 3, generator=torch.Generator().manual_seed(1)),
        "edges": torch.from_numpy(SQUARE),
        "edge_weights": torch.from_numpy(graph.normalised(SQUARE, 4)),
    }
    torch.manual_seed(0)
    layout = Layout((), ids=(4,), tables={name: tuple(table.shape) for name, table in tables.items()})
    module = models.build(model, layout=layout, outputs=outputs)
    held.fill(module, tables)
    return module.eval(), tables["features"]


def test_graph_convolution_is_the_formula_of_kipf_and_welling() -> None:
    module, features = built(Gcn(width=5))
    first, second = module.layers
    root = torch.from_numpy(np.diag(ADJACENCY.sum(1) ** -0.5)).float()
    spread = root @ torch.from_numpy(ADJACENCY).float() @ root
    hidden = torch.relu(spread @ features @ first.matrix.weight.T + first.bias)
    expected = spread @ hidden @ second.matrix.weight.T + second.bias
    assert torch.allclose(module(torch.tensor([3, 1])), expected[[3, 1]], atol=1e-6)


def test_graph_attention_is_the_formula_of_velickovic() -> None:
    module, features = built(Gat(layers=1, last_heads=2))
    (layer,) = module.layers
    expected = torch.zeros(4, 2)
    for head in range(2):
        sent = features @ layer.matrix.weight[2 * head : 2 * head + 2].T
        for node in range(4):
            near = np.flatnonzero(ADJACENCY[node])
            scores = [
                torch.nn.functional.leaky_relu(layer.of_goal[head] @ sent[node] + layer.of_source[head] @ sent[n], 0.2)
                for n in near
            ]
            expected[node] += torch.softmax(torch.stack(scores), 0) @ sent[near] / 2
    assert torch.allclose(module(torch.arange(4)), expected + layer.bias, atol=1e-6)


@pytest.mark.parametrize("model", [Gcn(layers=3, width=4), Gat(layers=3, width=2, heads=2, norm="layer", skip=True)])
def test_a_node_is_reached_by_as_many_edges_as_there_are_layers(model: Gcn | Gat) -> None:
    near, _ = built(model.model_copy(update={"layers": 2}))
    far, _ = built(model)
    for module, changes in ((near, False), (far, True)):
        before = module(torch.tensor([0]))
        module.table("features")[3] += 10.0
        assert torch.allclose(module(torch.tensor([0])), before) != changes


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = write_graph(tmp_path_factory.mktemp("graph"))
    files = {"path": str(root / "digits.content"), "edges": str(root / "digits.cites")}
    return {"name": "graph", **files, "split": {"validation": 0.5, "test": 0.4}}  # a tenth is for training


def accuracy(data: dict[str, Any], model: dict[str, Any]) -> float:
    settings = {"data": data, "model": model, "train": {"epochs": 60, "batch_size": "full", "evaluate_every": 60}}
    code, session = ran(a_config(settings, lr=0.01, weight_decay=5e-4))
    assert code == 0
    return session.snapshot().final["val_accuracy"]


def test_neighbours_help(digits: dict[str, Any]) -> None:
    alone = accuracy(digits, {"name": "mlp", "layers": 1, "dropout": 0.5})
    convolution = accuracy(digits, {"name": "gcn"})
    attention = accuracy(digits, {"name": "gat", "width": 4, "heads": 4, "skip": True})
    assert alone > 0.8
    assert convolution > alone + 0.02
    assert attention > alone + 0.02


def write_karate_club(root: Path) -> dict[str, Any]:
    """Zachary (1977), as networkx gives it: who of 34 went with whom when a club fell apart."""
    club = networkx.karate_club_graph()
    nodes = [f"{member},{club.nodes[member]['club']}" for member in club]
    (root / "nodes.csv").write_text("\n".join(["member,side", *nodes]))
    (root / "edges.csv").write_text("\n".join(["from,to", *(f"{a},{b}" for a, b in club.edges)]))
    files = {"path": str(root / "nodes.csv"), "edges": str(root / "edges.csv"), "node": "member", "label": "side"}
    return {"name": "graph", **files, "split": {"validation": 0.5, "test": 0.2, "seed": 1}}


def test_sides_of_the_karate_club_are_told_from_friendships_alone(tmp_path: Path) -> None:
    assert accuracy(write_karate_club(tmp_path), {"name": "gcn", "width": 16, "dropout": 0.2}) >= 0.9


def test_a_stopped_training_goes_on_bit_by_bit(tmp_path: Path) -> None:
    settings = {"data": write_karate_club(tmp_path), "model": {"name": "gat", "width": 2, "heads": 2}}
    config = a_config({**settings, "train": {"epochs": 3, "batch_size": 4}})
    assert ran(config, a_session(tmp_path / "whole", objectives=OBJECTIVES))[0] == 0
    assert train_in_pieces(config, tmp_path / "pieces", questions=2)[0] > 1
    assert_same(tmp_path / "whole", tmp_path / "pieces")


def write(root: Path, nodes: str, edges: str = "a b\nb c\nc d", **settings: Any) -> Graph:
    ending = "csv" if "," in nodes else "content"
    (root / f"nodes.{ending}").write_text(nodes)
    (root / "edges").write_text(edges)
    return Graph(path=str(root / f"nodes.{ending}"), edges=str(root / "edges"), **settings)


CORA = "a 1 0 x\nb 0 1 y\nc 1 1 x\nd 0 0 y"
CSV = "id,one,two,label\na,1,0,x\nb,0,1,y\nc,1,1,x\nd,0,0,\n"


@pytest.mark.parametrize(
    ("edges", "directed", "expected"),
    [
        pytest.param("a b\nb\tc\n\n", False, {(0, 1), (1, 0), (1, 2), (2, 1)}, id="both ways"),
        pytest.param("from,to,weight\na, b, 3\na,b,1", True, {(0, 1)}, id="one way, twice, below a header"),
    ],
)
def test_edges_are_read_once_with_each_node_to_itself(
    tmp_path: Path, edges: str, directed: bool, expected: set[tuple[int, int]]
) -> None:
    found = graph.load(write(tmp_path, CORA, edges, directed=directed)).edges
    assert {(a, b) for a, b in found.T.tolist()} == expected | {(n, n) for n in range(4)}
    assert len(found.T) == len(expected) + 4


def test_nodes_without_a_class_are_in_the_graph_and_in_no_part(tmp_path: Path) -> None:
    source = graph.load(write(tmp_path, CSV))
    assert source.features.shape == (4, 2)
    assert (source.nodes.tolist(), source.targets.tolist(), source.classes) == ([0, 1, 2], [0, 1, 0], ("x", "y"))


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        pytest.param("rows", [[1, 0], [0, 1], [0.5, 0.5], [0, 0]], id="words"),
        pytest.param("none", [[1, 0], [0, 1], [1, 1], [0, 0]], id="as they are"),
        pytest.param("standardize", [[1, -1], [-1, 1], [1, 1], [-1, -1]], id="by nodes a and b only"),
    ],
)
def test_features_are_scaled_by_the_training_part(tmp_path: Path, scale: Any, expected: list[list[float]]) -> None:
    encoding = graph.load(write(tmp_path, CORA, scale=scale)).learn(np.array([0, 1]))
    assert np.allclose(encoding.tables["features"], expected)


def test_a_missing_feature_is_the_mean_of_the_training_part_when_told_so(tmp_path: Path) -> None:
    source = graph.load(write(tmp_path, CSV.replace("c,1", "c,"), missing="mean", scale="none"))
    assert source.learn(np.array([0, 1])).tables["features"][2].tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("nodes", "edges", "settings", "words"),
    [
        pytest.param(CSV, "a b", {"node": "nod"}, "data.node names the column 'nod'", id="no such column"),
        pytest.param(CSV, "a b", {"label": "lable"}, "did you mean 'label'", id="no such class"),
        pytest.param(CSV.replace("b,0", "b,zero"), "a b", {}, "line 3 holds 'zero', which is no number", id="text"),
        pytest.param(CSV.replace("b,0", "b,nan"), "a b", {}, "first 'b'; repair them", id="not a number"),
        pytest.param(CSV.replace("b,0", "b,0,0"), "a b", {}, "line 3 has 5 columns, the header 4", id="a wide line"),
        pytest.param(CORA.replace("b 0", "b 0 0"), "a b", {}, "line 2 has 5 columns and line 1 has 4", id="wide"),
        pytest.param(CORA.replace("b 0", "a 0"), "a c", {}, "node 'a' is there twice", id="a node twice"),
        pytest.param(CORA.replace("y", "x"), "a b", {}, "have 1 classes", id="one class"),
        pytest.param(CORA, "a b\na z\n", {}, "1 of 2 edges name a node that is not in data.path, first 'z'", id="edge"),
        pytest.param(CORA, "a b\nc", {}, "line 2 holds 'c', not two nodes", id="half an edge"),
        pytest.param(CORA, "", {}, "holds no edge", id="no edges"),
        pytest.param("", "a b", {}, "holds no lines", id="no nodes"),
    ],
)
def test_files_that_hold_no_graph_are_refused(
    tmp_path: Path, nodes: str, edges: str, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingError) as refused:
        graph.load(write(tmp_path, nodes, edges, **settings))
    assert words in str(refused.value)


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(SettingError, match=r"data\.path: /none/nodes\.csv cannot be read"):
        graph.load(Graph(path="/none/nodes.csv", edges="/none/edges.csv"))


def test_a_few_unknown_edges_are_left_out_when_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = graph.load(write(tmp_path, CORA, "a b\na z\n", unknown_edges=0.5))
    assert found.edges.shape == (2, 6)
    assert "1 of 2 edges name a node" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "model", "words"),
    [
        pytest.param("iris", "gcn", "the data is no graph", id="a graph model without a graph"),
        pytest.param("graph", "cnn", "the data is a graph; use gcn, gat, linear or mlp", id="a cnn of a graph"),
    ],
)
def test_models_that_do_not_fit_are_refused(tmp_path: Path, data: str, model: str, words: str) -> None:
    settings: Any = write_karate_club(tmp_path) if data == "graph" else data
    with pytest.raises(SettingError, match=words):
        a_trial(a_config({"data": settings, "model": model}))


def test_what_the_model_holds_is_in_its_state_and_not_trained(tmp_path: Path) -> None:
    trial = a_trial(a_config({"data": write_karate_club(tmp_path), "model": "gcn"}))
    prepared = the_data(a_config({"data": write_karate_club(tmp_path), "model": "gcn"}))
    assert torch.equal(trial.module.state_dict()["edges"], prepared.tables["edges"])
    assert "features" in trial.module.state_dict()
    assert {name.rpartition(".")[2] for name, _ in trial.module.named_parameters()} == {"weight", "bias"}
