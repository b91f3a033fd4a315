"""The operator's own metrics, as a Prometheus reads them."""

from __future__ import annotations

from prometheus_client import generate_latest

from tuning_operator.cluster.meters import Meters


def read(meters: Meters) -> dict[str, float]:
    lines = generate_latest(meters.registry).decode().splitlines()
    return {name: float(value) for line in lines if line[0] != "#" for name, _, value in [line.rpartition(" ")]}


def test_a_state_that_no_trial_is_in_any_more_is_zero() -> None:
    meters = Meters()
    meters.state(shard=0, shards=2, queue=0, trials={"Running": 3})
    meters.state(shard=0, shards=2, queue=0, trials={"Succeeded": 3})
    found = read(meters)
    assert found['tuning_operator_trials{state="Running"}'] == 0
    assert found['tuning_operator_trials{state="Succeeded"}'] == 3


def test_the_watch_lags_by_what_our_own_writes_say() -> None:
    now = 10.0
    meters = Meters(clock=lambda: now)
    meters.wrote("a")
    now = 10.5
    meters.watched("a")
    meters.watched("a")
    meters.watched("somebody else's")
    found = read(meters)
    assert found["tuning_operator_watch_lag_seconds_count"] == 1
    assert found["tuning_operator_watch_lag_seconds_sum"] == 0.5


def test_what_was_written_and_is_never_seen_takes_no_room() -> None:
    meters = Meters()
    for number in range(20_000):
        meters.wrote(str(number))
    meters.watched("0")
    meters.watched("19999")
    assert read(meters)["tuning_operator_watch_lag_seconds_count"] == 1


def test_accelerator_seconds_by_resource() -> None:
    meters = Meters()
    for resource, seconds in (("nvidia.com/gpu", 2.5), ("nvidia.com/gpu", 1.5), ("amd.com/gpu", 1.0), ("x", 0.0)):
        meters.spent(resource, seconds)
    found = read(meters)
    assert found['tuning_operator_accelerator_seconds_total{resource="nvidia.com/gpu"}'] == 4.0
    assert found['tuning_operator_accelerator_seconds_total{resource="amd.com/gpu"}'] == 1.0
    assert 'tuning_operator_accelerator_seconds_total{resource="x"}' not in found
