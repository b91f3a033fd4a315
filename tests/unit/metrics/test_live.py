"""Scrapes folded into a report, for images that leave none."""

import math

from tuning_operator.api.study import Goal, Objective, Summarize
from tuning_operator.metrics.exposition import Scrape
from tuning_operator.metrics.live import Live
from tuning_operator.metrics.termination import report_of
from tuning_trial.report import Best

ACCURACY = Objective(metric="acc", goal=Goal.MAXIMIZE)
MEAN = Objective(metric="loss", goal=Goal.MINIMIZE, summarize=Summarize.MEAN, window=2)


def test_nothing_seen_is_no_report() -> None:
    assert Live([ACCURACY]).add(Scrape(3, {})) is None


def test_the_last_value_the_best_one_and_the_mean_of_the_window() -> None:
    live = Live([ACCURACY, MEAN])
    for step, (acc, loss) in enumerate([(0.5, 4.0), (0.9, 2.0), (0.7, 1.0)]):
        report = live.add(Scrape(step, {"acc": acc, "loss": loss}))
    assert report is not None
    assert (report.step, report.final) == (2, {"acc": 0.7, "loss": 1.0})
    assert report.best == {"acc": Best(0.9, 1), "loss": Best(1.0, 2)}
    assert report.mean == {"loss": 1.5}
    assert not report.done


def test_the_same_scrape_twice_counts_once() -> None:
    live = Live([MEAN])
    for loss in (4.0, 4.0, 2.0):
        report = live.add(Scrape(None, {"loss": loss}))
    assert report is not None
    assert report.mean == {"loss": 3.0}
    assert report.step == 2


def test_nan_is_kept_as_the_last_value_and_never_the_best() -> None:
    live = Live([ACCURACY])
    live.add(Scrape(1, {"acc": 0.5}))
    report = live.add(Scrape(2, {"acc": math.nan}))
    assert report is not None
    assert math.isnan(report.final["acc"])
    assert report.best == {"acc": Best(0.5, 1)}


def test_a_termination_message_is_a_report_or_words() -> None:
    report = report_of('{"v":1,"step":3,"final":{"acc":0.5},"done":true}')
    assert report is not None
    assert (report.step, report.done) == (3, True)
    for words in ("", "Traceback (most recent call last):", "{'v': 1}", '{"v":2}', "[1]"):
        assert report_of(words) is None


def test_rungs_are_what_the_trial_says_they_are() -> None:
    live = Live([ACCURACY], [1, 3, 9])
    live.add(Scrape(1, {"acc": 0.5}, {1: {"acc": 0.5}}))
    report = live.add(Scrape(5, {"acc": 0.9}, {1: {"acc": 0.1}, 3: {"acc": 0.7}}))
    assert report is not None
    assert report.rungs == {1: {"acc": 0.5}, 3: {"acc": 0.7}}


def test_of_an_image_that_only_tells_steps_the_first_value_at_or_after_a_rung_counts() -> None:
    live = Live([ACCURACY, MEAN], [1, 3, 9, 27])
    for step, acc, loss in ((0, 0.1, 8.0), (2, 0.5, 4.0), (4, 0.7, 2.0), (6, 0.8, 1.0), (12, math.nan, 1.5)):
        report = live.add(Scrape(step, {"acc": acc, "loss": loss}))
    assert report is not None
    assert {budget: values["loss"] for budget, values in report.rungs.items()} == {1: 6.0, 3: 3.0, 9: 1.25}
    assert (report.rungs[1]["acc"], report.rungs[3]["acc"]) == (0.5, 0.7)
    assert math.isnan(report.rungs[9]["acc"])


def test_a_rung_waits_for_every_objective() -> None:
    live = Live([ACCURACY, MEAN], [1])
    report = live.add(Scrape(2, {"acc": 0.5}))
    assert report is not None
    assert report.rungs == {}
    report = live.add(Scrape(2, {"loss": 4.0}))
    assert report is not None
    assert report.rungs == {1: {"acc": 0.5, "loss": 4.0}}
