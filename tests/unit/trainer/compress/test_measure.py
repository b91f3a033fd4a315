"""What a model costs, against what can be counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.unit.trainer.builders import a_config, a_session, ran
from tuning_trainer import models
from tuning_trainer.config import SettingError
from tuning_trainer.config.measure import Measure
from tuning_trainer.config.model import Lenet
from tuning_trainer.data.layout import Layout
from tuning_trainer.measure.cost import wanted
from tuning_trainer.measure.energy import energy
from tuning_trainer.measure.operations import flops
from tuning_trainer.measure.size import size
from tuning_trainer.measure.speed import speed, timed
from tuning_trial.environment import Objective

CPU = torch.device("cpu")


def test_flops_of_a_lenet_by_hand() -> None:
    model = models.build(Lenet(), layout=Layout((1, 28, 28)), outputs=10).eval()
    convolutions = 2 * (28 * 28 * 6 * 25 * 1) + 2 * (10 * 10 * 16 * 25 * 6)
    dense = 2 * (400 * 120 + 120 * 84 + 84 * 10)
    assert flops(model, torch.zeros(1, 1, 28, 28)) == {"flops": convolutions + dense}


def test_weights_are_counted_with_and_without_zeros() -> None:
    model = nn.Sequential(nn.Linear(10, 4), nn.BatchNorm1d(4))
    with torch.no_grad():
        model[0].weight[:2] = 0
        model[0].bias.fill_(1)
    found = size(model)
    assert (found["parameters"], found["nonzero_parameters"]) == (52, 52 - 20 - 4)  # the norm's biases are zero


def test_quantiles_and_throughput() -> None:
    found = speed([0.001 * n for n in range(1, 101)], batch_size=4)
    assert found["latency_p50_ms_b4"] == pytest.approx(50.5)
    assert found["latency_p95_ms_b4"] == pytest.approx(95.05)
    assert found["throughput_b4"] == pytest.approx(4 / 0.0505)


def test_as_many_runs_count_as_were_asked_for() -> None:
    runs: list[int] = []
    assert len(timed(lambda batch: runs.append(len(batch)), torch.zeros(3, 2), repeats=7)) == 7
    assert runs == [3] * 12  # five to warm up


def test_energy_is_what_the_counter_gained_for_each_sample() -> None:
    runs: list[int] = []
    found = energy(lambda b: runs.append(1), torch.zeros(8, 2), counter=lambda: 100.0 + 16.0 * len(runs), seconds=0.0)
    assert found == {"energy_mj_b8": 2.0}
    assert energy(lambda b: None, torch.zeros(8, 2), seconds=0.0) == {}  # a CPU does not tell


def test_objectives_are_measured_without_a_setting() -> None:
    found = wanted(Measure(size=False), ["val_accuracy", "latency_p95_ms_b16", "throughput_b4", "flops"], device=CPU)
    assert (found.size, found.flops, found.memory, found.latency, found.energy) == (False, True, False, (4, 16), ())
    assert wanted(Measure(latency=True), ["model_size_mb"], device=CPU).latency == (1, 64)
    with pytest.raises(SettingError, match=r"energy_mj_b2.*does not tell its energy"):
        wanted(Measure(), ["energy_mj_b2"], device=CPU)


def test_costs_are_reported_at_the_end() -> None:
    objectives = (Objective("val_accuracy", True), Objective("latency_p50_ms_b2", False))
    code, session = ran(a_config(memory=True, flops=True), a_session(objectives=objectives))
    found = session.snapshot().final
    assert code == 0
    assert {"latency_p50_ms_b2", "latency_p95_ms_b2", "throughput_b2", "flops", "peak_memory_mb"} <= found.keys()
    assert found["parameters"] == 4 * 128 + 128 + 128 * 128 + 128 + 128 * 3 + 3
    assert 0.07 < found["model_size_mb"] < 0.072
    assert found["latency_p50_ms_b2"] > 0
    assert found["peak_memory_mb"] > 50
