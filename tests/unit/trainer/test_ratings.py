"""Recommendation: files of MovieLens' layouts, splits by user, models, and metrics as scikit-learn has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import ndcg_score
from sklearn.preprocessing import OneHotEncoder
from torchmetrics.functional.retrieval import retrieval_normalized_dcg, retrieval_recall

from tests.samples.rated import write_ratings
from tests.unit.trainer.builders import a_config, a_session, a_trial, ran, the_data
from tests.unit.trainer.test_resume import OBJECTIVES, assert_same, train_in_pieces
from tuning_trainer.config import SettingError
from tuning_trainer.config.loss import AutoLoss
from tuning_trainer.config.ratings import Ratings, RatingsSplit
from tuning_trainer.data import ratings_files
from tuning_trainer.data.ratings_split import split_ratings
from tuning_trainer.metrics.ranking import ranking
from tuning_trainer.optim.ranking import bpr, for_ranking
from tuning_trainer.tasks.ranking import Choices, Ranking

ROWS = [("1", "10", 4.0, 100.0), ("1", "20", 2.5, 200.0), ("2", "10", 5.0, 50.0)]
LAYOUTS = {
    "u.data": "\n".join("\t".join(map(str, row)) for row in ROWS),
    "ratings.dat": "\n".join("::".join(map(str, row)) for row in ROWS),
    "ratings.csv": "\n".join(["userId,movieId,rating,timestamp", *(",".join(map(str, row)) for row in ROWS)]),
}


@pytest.mark.parametrize("where", ["file", "folder"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_ratings_are_read_in_every_layout(tmp_path: Path, name: str, where: str) -> None:
    (tmp_path / name).write_text(LAYOUTS[name])
    path = str(tmp_path / name if where == "file" else tmp_path)
    found = ratings_files.read_ratings(Ratings(path=path, split=RatingsSplit(by="last")))
    assert found.times is not None
    assert [*zip(found.users, found.items, found.ratings.tolist(), found.times.tolist(), strict=True)] == ROWS


ITEMS = {
    "u.item": "1|Caf\xe9 (1995)|01-Jan-1995||http://x|0|1\n2|Heat (1995)|01-Jan-1995||http://y|1|1\n3|M (1931)|||||0",
    "movies.dat": "1::Caf\xe9 (1995)::Comedy|Drama\n2::Heat (1995)::Crime|Drama\n3::M (1931)::Crime",
    "movies.csv": 'movieId,title,genres\n1,"Caf\xe9, The",Comedy|Drama\n2,Heat,Crime|Drama\n3,M,Crime',
}


@pytest.mark.parametrize(
    ("name", "features"),
    [
        pytest.param("u.item", ["column6", "column7", "column3=01-Jan-1995"], id="ml-100k"),
        pytest.param("movies.dat", ["column3=Crime", "column3=Drama"], id="ml-1m"),
        pytest.param("movies.csv", ["genres=Crime", "genres=Drama"], id="ml-latest"),
    ],
)
def test_features_of_items_are_read_in_every_layout(tmp_path: Path, name: str, features: list[str]) -> None:
    (tmp_path / name).write_bytes(ITEMS[name].encode("latin-1"))
    rows = [f"{user}\t{item}\t{(user * item) % 5 + 1}\t{user}" for user in range(1, 40) for item in (1, 2, 3)]
    (tmp_path / "u.data").write_text("\n".join(rows))
    data = {"name": "ratings", "path": str(tmp_path / "u.data"), "items": str(tmp_path), "split": {"by": "last"}}
    prepared = the_data(a_config({"data": data, "model": "two_tower"}))
    assert prepared.description["encoding"]["item_features"] == features
    assert prepared.layout.tables["item_features"] == (4, len(features))
    assert prepared.tables["item_features"][0].tolist() == [0.0] * len(features)


def test_the_last_of_repeated_ratings_counts(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("1\t1\t5\t1\n1\t2\t4\t2\n1\t1\t3\t3\n")
    found = ratings_files.read_ratings(Ratings(path=str(tmp_path)))
    assert [*zip(found.items, found.ratings.tolist(), strict=True)] == [("2", 4.0), ("1", 3.0)]


def test_the_last_ratings_of_each_user_are_held_out() -> None:
    users = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2])
    times = np.array([4.0, 1.0, 3.0, 2.0, 1.0, 2.0, 9.0, 8.0, 7.0])
    parts = split_ratings(users, times, RatingsSplit(by="last"))
    assert (sorted(parts.test), sorted(parts.validation), sorted(parts.train)) == ([0, 6], [2, 7], [1, 3, 4, 5, 8])
    without = split_ratings(users, times, RatingsSplit(by="last"), separate_test=True)
    assert (len(without.test), sorted(without.validation)) == (0, [0, 6])


def test_a_random_split_holds_its_shares_and_leaves_each_user_some() -> None:
    users = np.repeat(np.arange(300), np.random.default_rng(0).integers(1, 30, 300))
    parts = split_ratings(users, None, RatingsSplit(validation=0.1, test=0.25))
    assert abs(len(parts.validation) / len(users) - 0.1) < 0.02
    assert abs(len(parts.test) / len(users) - 0.25) < 0.02
    assert set(users[parts.train]) == set(range(300))
    assert np.array_equal(np.sort(np.concatenate([parts.train, parts.validation, parts.test])), np.arange(len(users)))
    again = split_ratings(users, None, RatingsSplit(validation=0.1, test=0.25))
    assert np.array_equal(parts.train, again.train)


def test_recall_and_ndcg_are_those_of_torchmetrics_and_scikit_learn() -> None:
    random = torch.Generator().manual_seed(0)
    scores = torch.rand(50, 30, generator=random)
    chosen = torch.full((50, 6), -1)
    for row in range(50):
        count = 1 + row % 6
        chosen[row, :count] = torch.randperm(30, generator=random)[:count]
    relevant = torch.zeros(50, 30).scatter_(1, chosen.clamp(min=0), (chosen >= 0).float(), reduce="add").clamp(max=1)
    found = ranking(scores, chosen, (1, 5, 10))
    for place, length in enumerate((1, 5, 10)):
        recall = [retrieval_recall(s, r.long(), top_k=length) for s, r in zip(scores, relevant, strict=True)]
        ndcg = [retrieval_normalized_dcg(s, r.long(), top_k=length) for s, r in zip(scores, relevant, strict=True)]
        assert torch.allclose(found[0, place].float(), torch.stack(recall), atol=1e-6)
        assert torch.allclose(found[1, place].float(), torch.stack(ndcg), atol=1e-6)
        assert float(found[1, place].mean()) == pytest.approx(ndcg_score(relevant, scores, k=length), abs=1e-6)


def test_what_a_user_chose_in_training_is_masked_in_his_lists() -> None:
    task = Ranking(
        items=5,
        candidates=torch.tensor([False, True, True, True, False]),
        choices=Choices(torch.tensor([0, 0, 1, 3]), torch.tensor([1, 2, 3])),
        top=(1,),
    )
    meter = task.meter(task.loss(AutoLoss()))
    scores = torch.tensor([[9.0, 8, 7, 6, 9], [9, 1, 2, 3, 9]])
    meter.add(scores, torch.tensor([[1, 2, -1], [2, 1, 4]]))  # user 1 chose 1 before, user 2 chose 2 and 3
    values = meter.values()
    assert values["recall_at_1"] == pytest.approx((1 / 1 + 1 / 2) / 2)
    assert values["ndcg_at_1"] == pytest.approx(1.0)
    # Of user 1: 2 against 3. Of user 2: 1 and 4 against nobody, as all others were chosen or are no candidates.
    assert values["loss"] == pytest.approx(
        float(torch.nn.functional.softplus(torch.tensor(6.0 - 7.0))) / 5 / 3, abs=1e-4
    )


def test_bpr_is_the_papers_criterion_and_its_gradient() -> None:
    scores = torch.tensor([[0.3, -0.2, 0.9], [1.5, 0.4, 0.1]], dtype=torch.float64, requires_grad=True)
    loss = bpr(scores, scores)
    loss.backward()
    above = scores.detach()[:, :1] - scores.detach()[:, 1:]
    assert torch.allclose(loss.detach(), -(1 / (1 + (-above).exp())).log().mean())
    falling = torch.exp(-above) / (1 + torch.exp(-above)) / 4
    assert scores.grad is not None
    assert torch.allclose(scores.grad, torch.cat([-falling.sum(1, keepdim=True), falling], dim=1))


@pytest.mark.parametrize("name", ["bpr", "cross_entropy", "binary_cross_entropy"])
def test_losses_of_a_ranking_fall_when_the_chosen_item_rises(name: str) -> None:
    loss = for_ranking(a_config(loss=name).loss)
    low, high = torch.zeros(3, 4), torch.zeros(3, 4)
    high[:, 0] = 2.0
    assert float(loss(high, high)) < float(loss(low, low))


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ratings(tmp_path_factory.mktemp("rated"))


def settings(rated: Path, **more: Any) -> dict[str, Any]:
    return {"name": "ratings", "path": str(rated), **more}


def final(data: dict[str, Any], model: dict[str, Any], **parameters: Any) -> dict[str, float]:
    epochs = {"epochs": 15, "evaluate_every": 15, "lr": 0.02, "batch_size": 64}
    code, session = ran(a_config({"data": data, "model": model}, **(epochs | parameters)))
    assert code == 0
    return session.snapshot().final


def test_factorisation_beats_biases_alone(rated: Path) -> None:
    split = {"validation": 0.2, "test": 0.1}
    found = final(
        settings(rated, split=split), {"name": "factorization", "width": 8}, weight_decay=1e-2, optimizer="adamw"
    )
    lines = ratings_files.read_ratings(Ratings(path=str(rated)))
    parts = split_ratings(np.unique(lines.users, return_inverse=True)[1], None, RatingsSplit(**split))
    encoder = OneHotEncoder(handle_unknown="ignore")
    pairs = np.stack([lines.users, lines.items], axis=1)
    baseline = Ridge(alpha=1.0).fit(encoder.fit_transform(pairs[parts.train]), lines.ratings[parts.train])
    error = baseline.predict(encoder.transform(pairs[parts.validation])) - lines.ratings[parts.validation]
    assert {"train_loss", "val_loss", "val_rmse", "val_mae"} <= found.keys()
    assert found["val_rmse"] < float(np.sqrt((error**2).mean())) - 0.05
    assert found["val_mae"] < found["val_rmse"]


@pytest.mark.parametrize(
    ("model", "more"),
    [
        pytest.param({"name": "factorization", "width": 8}, {}, id="factorization"),
        pytest.param({"name": "two_tower", "width": 8}, {"items": True}, id="two towers with features"),
        pytest.param({"name": "two_tower", "width": 8, "item_vectors": False}, {"items": True}, id="content alone"),
    ],
)
def test_rankings_beat_chance(rated: Path, model: dict[str, Any], more: dict[str, Any]) -> None:
    data = settings(rated, feedback="implicit", top=[5, 10], split={"by": "last"})
    found = final(data | ({"items": str(rated)} if more else {}), model, negatives=4, lr=0.01)
    # Of 60 items 10 were chosen in training: a list of 10 by chance holds the wanted one in a fifth of the cases.
    assert found["val_recall_at_10"] > 0.35
    assert found["val_recall_at_5"] <= found["val_recall_at_10"]
    assert found["val_ndcg_at_5"] <= found["val_ndcg_at_10"] <= found["val_recall_at_10"]


def test_all_items_at_once_have_the_scores_they_have_alone(rated: Path) -> None:
    data = settings(rated, feedback="implicit", items=str(rated))
    trial = a_trial(a_config({"data": data, "model": {"name": "two_tower", "width": 4}}))
    module = trial.module.eval()
    everything = module(torch.tensor([[3], [7]]))
    assert everything.shape == (2, 61)
    assert torch.allclose(module(torch.tensor([[3, 5, 9], [7, 0, 60]]))[1], everything[1, [0, 60]], atol=1e-6)


def test_factorisation_is_the_formula_and_the_unknown_have_no_part(rated: Path) -> None:
    module = a_trial(a_config({"data": settings(rated), "model": {"name": "factorization", "width": 4}})).module.eval()
    with torch.no_grad():
        module.offset.fill_(0.25)
        module.users.biases.weight[:] = 0.5
        module.items.biases.weight[:] = 0.125
    users, items = (side.vectors.weight.detach() for side in (module.users, module.items))
    found = module(torch.tensor([[2, 3], [0, 3], [2, 0], [0, 0]]))[:, 0]
    assert torch.allclose(found, torch.tensor([0.875 + float(users[2] @ items[3]), 0.375, 0.75, 0.25]))


def test_drawn_items_were_not_chosen_by_the_user(rated: Path) -> None:
    prepared = the_data(a_config({"data": settings(rated, feedback="implicit", negatives=6)}))
    chosen = {tuple(pair) for pair in prepared.train.inputs.tolist()}
    assert prepared.draw is not None
    torch.manual_seed(0)
    inputs, _ = prepared.draw(prepared.train.inputs, prepared.train.targets)
    drawn = [(row[0], item) for row in inputs.tolist() for item in row[2:]]
    assert len(drawn) == 6 * len(prepared.train)
    assert sum(pair in chosen for pair in drawn) <= len(drawn) * 0.01
    assert {item for _, item in drawn} == set(range(1, 61))


def test_a_stopped_training_draws_the_same(rated: Path, tmp_path: Path) -> None:
    data = settings(rated, feedback="implicit", split={"by": "last"})
    config = a_config({"data": data, "model": {"name": "factorization", "width": 4}}, epochs=2, batch_size=300)
    assert ran(config, a_session(tmp_path / "whole", objectives=OBJECTIVES))[0] == 0
    assert train_in_pieces(config, tmp_path / "pieces", questions=3)[0] > 1
    assert_same(tmp_path / "whole", tmp_path / "pieces")


def test_unknown_users_and_items_of_a_test_file_are_told_by_what_is_known(rated: Path, tmp_path: Path) -> None:
    (tmp_path / "u1.test").write_text("1\t2\t4\t1\n999\t2\t4\t1\n1\t888\t4\t1\n")
    data = settings(rated, test_path=str(tmp_path / "u1.test"))
    explicit = the_data(a_config({"data": data}), final=True)
    test = explicit.test()
    assert test.inputs.shape == (3, 2)
    assert (test.inputs == 0).tolist() == [[False, False], [True, False], [False, True]]
    implicit = the_data(a_config({"data": data | {"feedback": "implicit"}}), final=True)
    part = implicit.test()
    assert part.inputs.shape == (1, 1)  # a user who is not known gets no list
    assert 0 in part.targets[0].tolist()  # an item that is not known counts as missed


def write(root: Path, text: str, name: str = "u.data") -> str:
    (root / name).write_text(text)
    return str(root / name)


@pytest.mark.parametrize(
    ("name", "text", "more", "words"),
    [
        pytest.param("u.data", "1\t2\t\t4\n1\t3\t4\t4", {}, "1 of 2 ratings lack a user, an item, or", id="no rating"),
        pytest.param("u.data", "1\t2\tgood\t4\n1\t3\t4\t4", {}, "holds string, not numbers", id="a word"),
        pytest.param("u.data", "1\t2\n1\t3", {}, "has 2 columns; user, item, rating, time", id="no column of ratings"),
        pytest.param("u.data", "", {}, "cannot be read as a table", id="nothing"),
        pytest.param("u.data", "1\t2\t3\t4\n1\t2", {}, "cannot be read as a table", id="a short line"),
        pytest.param("r.csv", "user,movieId,rating\n1,2,3", {}, "data.user names the column 'userId'", id="a column"),
        pytest.param("r.csv", "userId,movieId,rating\n1,2,3", {"split": {"by": "last"}}, "data.time names", id="time"),
        pytest.param("u.data", "1\t2\t3\t4", {"liked": 4.0, "feedback": "implicit"}, "no rating reaches", id="liked"),
        pytest.param("u.data", "1\t2\t3\t4\n2\t2\t3\t4", {}, "leaves no rating for validation", id="too few"),
        pytest.param(
            "u.data", "1\t2\t3\t4", {"split": {"validation": 0.6, "test": 0.5}}, "leave nothing to train", id="shares"
        ),
    ],
)
def test_files_that_cannot_be_used_are_refused(
    tmp_path: Path, name: str, text: str, more: dict[str, Any], words: str
) -> None:
    data = {"name": "ratings", "path": write(tmp_path, text, name), **more}
    with pytest.raises(SettingError) as refused:
        the_data(a_config({"data": data}))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        pytest.param({"path": "/none"}, "/none cannot be read: No such file", id="no file"),
        pytest.param({"path": "."}, "a folder without any of u.data", id="no file in the folder"),
        pytest.param({"items": "/none"}, "data.items: /none cannot be read", id="no features"),
    ],
)
def test_missing_files_are_refused(rated: Path, tmp_path: Path, more: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError) as refused:
        the_data(a_config({"data": settings(rated) | ({"path": str(tmp_path)} if more == {"path": "."} else more)}))
    assert words in str(refused.value)


def test_ratings_that_are_missing_are_left_out_when_told_so(tmp_path: Path) -> None:
    path = write(tmp_path, "1\t2\t\t4\n1\t3\t4\t4")
    assert len(ratings_files.read_ratings(Ratings(path=path, missing="drop"))) == 1


@pytest.mark.parametrize(
    ("data", "changes", "words"),
    [
        pytest.param("iris", {"model": "factorization"}, "the data are no ratings", id="factors of a table"),
        pytest.param("ratings", {"model": "mlp"}, "use factorization or two_tower", id="mlp of ratings"),
        pytest.param("iris", {"loss": "bpr"}, "loss.name is 'bpr' but the data has classes", id="bpr of classes"),
        pytest.param("ratings", {"loss": "bpr", "model": "factorization"}, "is a regression", id="bpr of ratings"),
        pytest.param(
            "ratings",
            {"model": {"name": "two_tower", "item_vectors": False}},
            "name their file in data.items",
            id="content",
        ),
    ],
)
def test_what_does_not_fit_is_refused(rated: Path, data: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError) as refused:
        a_trial(a_config({"data": settings(rated) if data == "ratings" else data} | changes))
    assert words in str(refused.value)


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_losses_of_numbers_do_not_fit_a_ranking(rated: Path, loss: str) -> None:
    data = settings(rated, feedback="implicit")
    with pytest.raises(SettingError, match="but items are ranked; use bpr"):
        a_trial(a_config({"data": data, "model": "factorization"}, loss=loss))
