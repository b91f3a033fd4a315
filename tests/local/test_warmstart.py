"""A study that begins with what others found: their ledgers, tables and Optuna storages on the same machine."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from tests.local.studies import AStudy, Finished, results, run, trials, tuning

BEST = 1.0
"""Of x, where the loss of `DONE` is 0."""
ROWS = [{"parameters": {"x": x / 10 - 3}, "values": {"loss": (x / 10 - 3 - BEST) ** 2}} for x in range(60)]


def second(a_study: AStudy, *sources: Mapping[str, Any], **change: Any) -> AStudy:
    study = replace(a_study, name="second", algorithm={"name": "TPE", "seed": 3}, more={"warmStart": [*sources]})
    return replace(study, **change).with_limits(trials=3, parallel=1)


def suggested(study: AStudy) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [trial["spec"]["suggestion"] for trial in trials(study)]
    return found


def learned(finished: Finished) -> str:
    assert finished.code == 0, finished.err
    reason: str = finished.status["algorithm"]["reason"]
    return reason


def near_the_best(study: AStudy) -> bool:
    """Three random draws from -3 to 3 would all be as near as this once in some fifty times."""
    return all(abs(trial["spec"]["parameters"]["x"] - BEST) < 0.8 for trial in trials(study))


def test_a_second_study_learns_from_the_first(a_study: AStudy) -> None:
    run(a_study.with_limits(trials=30, parallel=4))
    study = second(a_study, {"study": "square"})
    assert "learned from 30 results of study square" in learned(run(study))
    assert [each["known"] for each in suggested(study)] == [30, 31, 32]
    assert near_the_best(study)
    assert [trial["spec"]["number"] for trial in trials(study)] == [0, 1, 2]


def test_studies_are_found_by_their_labels(a_study: AStudy) -> None:
    for name in ("one", "two", "other"):
        study = replace(a_study, name=name)
        document = study.document()
        document["metadata"]["labels"] = {"model": "lenet" if name != "other" else "resnet"}
        path = study.directory / f"{name}.yaml"
        path.write_text(yaml.safe_dump(document))
        assert tuning(study.directory, "run", path, "--no-report").code == 0
    reason = learned(run(second(a_study, {"selector": {"matchLabels": {"model": "lenet"}}})))
    assert "learned from 4 results of study one; learned from 4 results of study two" in reason
    assert "other" not in reason


def test_no_study_has_the_label_so_the_search_starts_cold(a_study: AStudy) -> None:
    study = second(a_study, {"selector": {"matchLabels": {"model": "none"}}})
    reason = learned(run(study))
    assert "nothing learned from studies with model=none: it has no results" in reason
    assert "the search starts cold" in reason
    assert suggested(study)[0]["known"] == 0


def test_a_table_teaches_from_the_spec_and_from_a_config_map_beside_the_file(a_study: AStudy) -> None:
    table = second(a_study, {"trials": ROWS})
    assert "learned from 60 results of spec.warmStart[0].trials" in learned(run(table))
    assert near_the_best(table)
    found = results(table)
    data = {"trials.json": json.dumps(ROWS)}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old"}, "data": data}
    (a_study.directory / "old.yaml").write_text(yaml.safe_dump(manifest))
    same = second(a_study, {"configMap": {"name": "old"}})
    assert "learned from 60 results of ConfigMap old" in learned(run(same, "--restart"))
    assert results(same) == found


@pytest.mark.parametrize("kind", ["sqlite url", "sqlite file", "journal file"])
def test_an_optuna_storage_teaches(a_study: AStudy, kind: str) -> None:
    directory = a_study.directory
    if kind == "journal file":
        backend = optuna.storages.journal.JournalFileBackend(str(directory / "old.log"))
        storage: Any = optuna.storages.JournalStorage(backend)
    else:
        storage = optuna.storages.RDBStorage(f"sqlite:///{directory / 'old.db'}")
    old = optuna.create_study(storage=storage, study_name="old")
    space = {"x": optuna.distributions.FloatDistribution(-3, 3)}
    old.add_trials(
        [
            optuna.create_trial(params=row["parameters"], distributions=space, value=row["values"]["loss"])
            for row in ROWS
        ]
    )
    written = {"sqlite url": "sqlite:///old.db", "sqlite file": "old.db", "journal file": "old.log"}[kind]
    before = (directory / written.removeprefix("sqlite:///")).read_bytes()
    study = second(a_study, {"optuna": {"storage": written, "name": "old"}})
    assert "learned from 60 results of Optuna study old" in learned(run(study))
    assert near_the_best(study)
    assert (directory / written.removeprefix("sqlite:///")).read_bytes() == before


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param({"study": "nowhere"}, "study nowhere: it has not run here", id="a study that never ran"),
        pytest.param({"study": "second"}, "study second: that is this study itself", id="itself"),
        pytest.param({"configMap": {"name": "none"}}, "ConfigMap none: no file in ", id="no manifest"),
        pytest.param(
            {"optuna": {"storage": "none.db", "name": "old"}}, "none.db: cannot be read: No such file", id="no file"
        ),
        pytest.param(
            {"optuna": {"storage": "study.yaml", "name": "old"}}, "study.yaml: is no Optuna storage", id="no storage"
        ),
        pytest.param(
            {"optuna": {"storage": "mysql+x://nowhere/db", "name": "old"}},
            "is no Optuna storage",
            id="no such database",
        ),
    ],
)
def test_a_source_that_is_not_there_is_refused_before_anything_runs(
    a_study: AStudy, source: Mapping[str, Any], said: str
) -> None:
    study = second(a_study, source)
    finished = run(study)
    assert finished.code == 2
    assert "spec.warmStart" in finished.err
    assert said in finished.err
    assert trials(study) == []
    assert not (a_study.directory / "none.db").exists()


def test_a_source_that_went_away_does_not_keep_a_study_from_going_on(a_study: AStudy, tmp_path: Path) -> None:
    run(a_study)
    study = second(a_study, {"study": "square"})
    assert run(study).code == 0
    (tmp_path / ".tuning" / "square").rename(tmp_path / "moved")
    finished = run(study.with_limits(trials=5))
    assert finished.code == 0
    assert "nothing learned from study square: it has not run here" in finished.err
    assert len(trials(study)) == 5


def test_points_of_the_earlier_study_may_be_run_again(a_study: AStudy) -> None:
    grid = replace(a_study, parameters=({"name": "x", "choice": [0, 1, 2]},), algorithm={"name": "Grid"})
    run(grid)
    study = second(grid, {"study": "square"}, algorithm={"name": "Grid"})
    assert run(study).code == 0
    assert sorted(trial["spec"]["parameters"]["x"] for trial in trials(study)) == [0, 1, 2]


def test_what_the_first_study_found_later_is_not_looked_at(a_study: AStudy) -> None:
    run(a_study)
    study = second(a_study, {"study": "square"})
    assert "learned from 4 results" in learned(run(study))
    run(a_study.with_limits(trials=9))
    assert "learned from 4 results" in learned(run(study.with_limits(trials=5)))
    assert [each["known"] for each in suggested(study)] == [4, 5, 6, 7, 8]


def test_the_example_begins_with_its_config_map(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "warm-start.yaml"
    finished = tuning(tmp_path, "run", example, "--output", "json", "--dir", tmp_path / "ledger", "--no-report")
    reason = learned(finished)
    assert "learned from 19 results of ConfigMap warm-start-earlier; 1 left out: x1 is not a number" in reason
    first = finished.json["trials"][0]["spec"]["suggestion"]
    assert first["known"] == 19
