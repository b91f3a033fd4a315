"""What the report draws and says of studies of every kind."""

import json
import random
import time
from typing import Any

import pytest

from tests.unit.cli.reports import ACC, HEAT, LATENCY, SIZE, SPACE, a_report, a_rung, a_trial, an_asha_study
from tuning_operator.api.study import Objective
from tuning_operator.cli.report.data import ReportData
from tuning_operator.cli.report.drawing import Figure
from tuning_operator.cli.report.figures import figures
from tuning_operator.cli.report.history import volumes
from tuning_operator.cli.report.importance import fanova
from tuning_operator.cli.report.interactions import interactions
from tuning_operator.cli.report.page import page
from tuning_operator.cli.report.recorded import compared, drawn, recorded
from tuning_operator.search.pareto import hypervolume

BOTH = ("acc", "size")


def drawn_of(data: ReportData) -> dict[str, Figure]:
    return {figure.title: figure for figure in figures(data) if figure.title}


def traces(figure: Figure) -> dict[str, Any]:
    return {trace.get("name", ""): trace for trace in json.loads(figure.json)["data"]}


def test_the_line_of_the_history_is_the_best_so_far_that_keeps_the_constraints() -> None:
    trials = [a_trial(number, metrics=BOTH) for number in range(20)]
    data = a_report(*trials, constraints=[{"metric": "size", "max": 8}])
    assert any(trial.violation for trial in data.complete)
    feasible = {trial.number: trial.values["acc"] for trial in data.complete if trial.metrics["size"] <= 8}
    found = traces(drawn_of(data)["History"])
    xs, ys = found["best so far"]["x"], found["best so far"]["y"]
    assert ys == sorted(ys)
    assert ys[-1] == max(feasible.values())
    assert set(xs[:-1]) <= set(feasible)
    assert "breaks a constraint" in found


def test_several_objectives_have_a_front_and_a_hypervolume_that_never_falls() -> None:
    data = a_report(*(a_trial(number, metrics=BOTH) for number in range(40)), objectives=[ACC, SIZE], best=3)
    found = drawn_of(data)
    assert [*found][:3] == ["Pareto front", "Hypervolume", "History"]
    front = traces(found["Pareto front"])["front"]
    for acc, size in zip(front["x"], front["y"], strict=True):
        assert not any(t.values["acc"] > acc and t.values["size"] < size for t in data.complete)
    shares = [share for _, share in volumes(data)]
    assert shares == sorted(shares)
    assert 0 < shares[0] <= shares[-1] <= 1


def test_of_trials_with_the_same_values_the_first_stands_on_the_front() -> None:
    values = [(0.5, 2.0), (0.9, 5.0), (0.5, 2.0), (0.4, 3.0), (0.9, 5.0)]
    trials = [a_trial(number, values={"acc": acc, "size": size}) for number, (acc, size) in enumerate(values)]
    assert [trial.number for trial in a_report(*trials, objectives=[ACC, SIZE]).front] == [1, 0]


def test_the_hypervolume_is_that_of_all_feasible_trials_so_far() -> None:
    data = a_report(*(a_trial(number, metrics=BOTH) for number in range(30)), objectives=[ACC, SIZE])
    losses = [(-trial.values["acc"], trial.values["size"]) for trial in data.complete]
    low, high = ([f(c) for c in zip(*losses, strict=True)] for f in (min, max))
    worst = [b + 0.1 * (b - a) for a, b in zip(low, high, strict=True)]
    box = (worst[0] - low[0]) * (worst[1] - low[1])
    wanted = [hypervolume(losses[: count + 1], worst) / box for count in range(30)]
    assert [share for _, share in volumes(data)] == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("objectives", "kind"),
    [
        pytest.param([ACC, SIZE, LATENCY], "scatter", id="three objectives two by two"),
        pytest.param([ACC, SIZE, LATENCY, HEAT], "parcoords", id="four as lines"),
    ],
)
def test_fronts_of_more_objectives(objectives: list[dict[str, str]], kind: str) -> None:
    metrics = [each["metric"] for each in objectives]
    data = a_report(*(a_trial(number, metrics=metrics) for number in range(30)), objectives=objectives)
    front = json.loads(drawn_of(data)["Pareto front"].json)["data"]
    assert {trace["type"] for trace in front} == {kind}
    html = page(data, [])
    assert "best is the one at the knee" in html


def test_points_of_a_front_have_their_numbers_and_its_axes_leave_out_what_breaks_a_constraint() -> None:
    objectives = [ACC, SIZE, LATENCY]
    trials = [a_trial(number, metrics=[each["metric"] for each in objectives]) for number in range(30)]
    data = a_report(*trials, objectives=objectives, constraints=[{"metric": "acc", "min": 0.7}])
    drawn = json.loads(drawn_of(data)["Pareto front"].json)
    fronts = [trace for trace in drawn["data"] if trace["name"] == "front"]
    assert [trace["text"] for trace in fronts] == [[str(trial.number) for trial in data.front]] * 3
    low, high = drawn["layout"]["xaxis"]["range"]
    kept = [trial.values["acc"] for trial in data.feasible]
    assert low < min(kept) < max(kept) < high
    assert min(trial.values["acc"] for trial in data.complete) < low


def test_a_study_of_which_trials_still_run_has_a_timeline() -> None:
    trials = [a_trial(number) for number in range(4)]
    running = a_trial(4, state="Running")
    del running["status"]["completionTime"]
    assert "Timeline" in drawn_of(a_report(*trials, running))


def test_weights_are_named_as_the_rule_of_the_best() -> None:
    weighed = [ACC | {"weight": 2}, SIZE | {"weight": 1}]
    data = a_report(*(a_trial(number, metrics=BOTH) for number in range(9)), objectives=weighed)
    assert "best is the one by your weights" in page(data, [])


def test_optuna_s_fanova_and_the_interactions_find_what_matters() -> None:
    data = a_report(*(a_trial(number) for number in range(150)))
    names = ["lr", "layers", "idle", "optimizer"]
    shares = fanova(recorded(data), names, lambda trial: trial.values[0])
    assert shares["idle"] + shares["optimizer"] < 0.1 < shares["lr"] + shares["layers"]
    first, second, *_ = interactions(data, data.objectives[0], names)
    assert first.names == ("lr", "layers")
    assert first.share > 0.3
    assert second.share < 0.1


def test_the_interaction_of_a_product_is_all_there_is_and_of_a_sum_is_nothing() -> None:
    """By the definition of the functional ANOVA: x * y over [-1, 1]^2 has only a common part, x + y has none."""
    draw = random.Random(0)
    space = [{"name": name, "float": {"min": -1, "max": 1}} for name in "xy"]
    found = {}
    for kind in ("product", "sum"):
        trials = []
        for number in range(300):
            x, y = draw.uniform(-1, 1), draw.uniform(-1, 1)
            trial = a_trial(number, values={"acc": x * y if kind == "product" else x + y})
            trial["spec"]["parameters"] = {"x": x, "y": y}
            trials.append(trial)
        data = a_report(*trials, space=space)
        found[kind] = interactions(data, Objective(metric="acc", goal="Maximize"), ["x", "y"])[0].share  # type: ignore[arg-type]
    assert found["product"] > 0.6
    assert found["sum"] < 0.1


def test_where_few_were_trained_to_the_end_parameters_are_compared_at_one_rung() -> None:
    data = a_report(*an_asha_study(60))
    looked, which = compared(data)
    assert which == " Values are those at step 3, which 30 trials reached."
    assert {trial.number % 4 for trial in looked.complete} == {1, 3}
    assert which.strip() in drawn_of(data)["Importances"].says


def test_one_wild_value_does_not_press_the_others_into_a_line() -> None:
    trials = [a_trial(number, values={"acc": 0.5 + number / 100}) for number in range(20)]
    calm = json.loads(drawn_of(a_report(*trials))["History"].json)["layout"]
    wild = json.loads(drawn_of(a_report(*trials, a_trial(20, values={"acc": -900})))["History"].json)["layout"]
    assert "range" not in calm["yaxis"]
    assert wild["yaxis"]["range"] == pytest.approx([0.4905, 0.6995])
    assert wild["annotations"][0]["text"] == "1 value outside; all lie from -900 to 0.69"


def test_curves_come_from_the_trials_where_known_and_from_rungs_otherwise() -> None:
    trials = an_asha_study(12)
    figure = traces(drawn_of(a_report(*trials, curves={3: [(1, 0.1), (2, 0.2), (4, 0.3)]}, best=3))["Learning curves"])
    assert figure["best: trial 3"]["x"] == [1, 2, 4]
    assert {*figure["at a rung"]["x"]} == {1, 3, 9}
    assert "Learning curves" in drawn_of(a_report(*trials))


def test_a_generation_s_curve_begins_with_its_parent_s() -> None:
    trials = [a_trial(0), a_trial(1), a_trial(2, parent=1), a_trial(3, parent=1)]
    for trial in trials:
        trial["spec"]["suggestion"]["by"] = "PBT"
    curves = {0: [(1, 0.1), (2, 0.2)], 1: [(1, 0.3), (2, 0.4)], 2: [(3, 0.5), (4, 0.6)]}
    figure = traces(drawn_of(a_report(*trials, curves=curves, best=2))["Learning curves"])
    assert figure["best: trial 2"]["x"] == [1, 2, 3, 4]
    assert figure["best: trial 2"]["y"] == [0.3, 0.4, 0.5, 0.6]


def test_a_study_whose_trials_report_once_has_no_learning_curves() -> None:
    assert "Learning curves" not in drawn_of(a_report(*map(a_trial, range(9))))


def test_curves_with_holes_and_of_thousands_of_steps_are_drawn() -> None:
    curve = [(step, 0.5) for step in range(5000)]
    figure = traces(drawn_of(a_report(a_trial(0), a_trial(1), curves={0: curve, 1: []}))["Learning curves"])
    assert len(figure["best: trial 0"]["x"]) < 300
    assert figure["best: trial 0"]["x"][-1] == 4999


def test_the_rung_table_is_that_of_the_status() -> None:
    rungs = [
        {"bracket": 0, "budget": 1, "reached": 27, "promoted": 9, "best": "0.71"},
        {"bracket": 1, "budget": 3, "reached": 12, "promoted": 4, "best": "0.83"},
    ]
    html = page(a_report(*an_asha_study(12), rungs=rungs), [])
    assert "<th>bracket</th><th>budget</th><th>reached</th><th>went on</th><th>best acc</th>" in html
    assert "<tr><td>1</td><td>3</td><td>12</td><td>4</td><td>0.83</td></tr>" in html


def test_confirmed_trials_show_both_values() -> None:
    again = a_trial(3, role="Confirm", parent=1)
    confirmed = [{"number": 1, "runs": 3, "values": {"acc": 0.71}, "errors": {"acc": 0.02}}]
    data = a_report(a_trial(0), a_trial(1, values={"acc": 0.81}), again, best=1, confirmed=confirmed)
    html = page(data, [])
    assert "<tr><td>1 best</td><td>0.81</td><td>0.71 ± 0.02</td><td>3</td></tr>" in html
    assert ">3 again<" in html
    assert len(data.trials) == 2, "a further run is no trial of the search"


def test_replicates_show_their_standard_error() -> None:
    data = a_report(*(a_trial(number, errors={"acc": 0.0125}) for number in range(5)))
    html = page(data, [])
    assert "± 0.0125 (standard error), trial 0" in html
    assert traces(drawn_of(data)["History"])["trial"]["error_y"]["array"] == [0.0125] * 5


def test_earlier_results_are_listed_one_a_source() -> None:
    notes = ["learned from 3 results of study a; 1 left out: no lr", "nothing learned from study b: it has no results"]
    reason = "; ".join(["a model learns", *notes])
    html = page(a_report(a_trial(0), algorithm={"name": "TPE", "reason": reason}), [])
    for note in notes:
        assert f"<li>{note}</li>" in html
    assert '<div class="hint">a model learns</div>' in html


def test_ends_are_counted_by_their_reason_and_every_trial_says_why_it_was_tried() -> None:
    failed = [a_trial(n, state="Failed", reason="OutOfMemory", message="12 GiB") for n in (1, 2)]
    html = page(a_report(a_trial(0, why="model, best of 24"), *failed), [])
    assert "<tr><td>2</td><td>Failed</td><td>OutOfMemory</td><td>trial 2: 12 GiB</td></tr>" in html
    assert ">model, best of 24</td>" in html


@pytest.mark.parametrize(
    "trials",
    [
        pytest.param([], id="no trials"),
        pytest.param([a_trial(0)], id="one trial"),
        pytest.param([a_trial(0), a_trial(1)], id="two trials"),
        pytest.param([a_trial(number, state="Failed") for number in range(9)], id="all failed"),
        pytest.param([a_trial(number, state="Running") for number in range(3)], id="all running"),
        pytest.param([a_trial(number, values={"acc": 0.5}) for number in range(12)], id="all the same value"),
        pytest.param([a_trial(7) | {"spec": a_trial(7)["spec"] | {"number": n}} for n in range(9)], id="all one point"),
        pytest.param([a_trial(n, values={"acc": float("nan")}) for n in range(9)], id="no numbers"),
        pytest.param([a_trial(n, values={"acc": float("inf")}) for n in range(9)] + [a_trial(9)], id="infinite ones"),
        pytest.param([a_trial(n, state="Paused", rungs=[a_rung(1, 0.5)]) for n in range(9)], id="all paused"),
        pytest.param([a_trial(n, values={"acc": 1e300 * n}) for n in range(12)], id="huge values"),
    ],
)
@pytest.mark.parametrize("objectives", [[ACC], [ACC, SIZE]], ids=["one objective", "two objectives"])
def test_every_study_has_a_report(trials: list[dict[str, Any]], objectives: list[dict[str, str]]) -> None:
    data = a_report(*trials, objectives=objectives)
    assert "<h1>digits" in page(data, figures(data))


def test_parameters_of_every_kind_are_shown() -> None:
    space = [
        *SPACE,
        {"name": "batch", "ordinal": [16, 32, 64]},
        {"name": "units", "expression": "layers * 8"},
        {"name": "flag", "choice": [True, False, 1, "x"]},
        {"name": "same", "float": {"min": 2, "max": 2}},
        {"name": "grid", "float": {"min": 0, "max": 1, "step": 0.3}},
    ]
    trials = []
    for number in range(24):
        trial = a_trial(number)
        more = {
            "batch": [16, 32, 64][number % 3],
            "units": 8.0,
            "flag": [True, 1, "x"][number % 3],
            "same": 2,
            "grid": 0.6,
        }
        trial["spec"]["parameters"] |= more
        trials.append(trial)
    data = a_report(*trials, space=space)
    assert "Slices" in drawn_of(data)
    assert "<th>units</th>" in page(data, [])


def test_ten_thousand_trials_make_a_report_that_a_browser_can_open() -> None:
    data = a_report(*map(a_trial, range(10_000)), best=17)
    started = time.process_time()
    html = page(data, figures(data))
    assert time.process_time() - started < 60
    assert len(html) < 6_000_000
    assert len(drawn(data)) <= 1000
    assert "1000 of 10000 trials are shown" in html or "of 10000 trials are shown" in html
    assert max(data.complete, key=lambda trial: trial.values["acc"]) in drawn(data)
