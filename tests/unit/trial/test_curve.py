"""The learning curve in the checkpoint directory."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tuning_trial.curve import FILE, MAX_LINES, Curve, read_lines


def steps(directory: Path) -> list[int]:
    return [line["step"] for line in read_lines(directory / FILE)]


def a_curve(directory: Path, *reported: int) -> Curve:
    curve = Curve(directory)
    for step in reported:
        curve.add(step, {"a": step / 10})
    return curve


def test_a_resumed_trial_goes_on_with_its_curve_and_repeats_no_step(tmp_path: Path) -> None:
    a_curve(tmp_path, 1, 2, 3, 4)
    a_curve(tmp_path, 3, 4, 5)
    assert steps(tmp_path) == [1, 2, 3, 4, 5]
    a_curve(tmp_path, 1)
    assert steps(tmp_path) == [1]


def test_a_long_curve_is_thinned_and_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    a_curve(tmp_path, *range(3 * MAX_LINES))
    kept = steps(tmp_path)
    assert len(kept) <= MAX_LINES
    assert kept == sorted(set(kept))
    assert (kept[0], kept[-1]) == (0, 3 * MAX_LINES - 1)


def test_of_a_line_that_is_too_long_the_objectives_stay(tmp_path: Path) -> None:
    Curve(tmp_path, keep={"a"}).add(1, {"a": math.inf, **{f"metric_{i}": 0.5 for i in range(100)}})
    assert read_lines(tmp_path / FILE) == [{"step": 1, "a": None}]


@pytest.mark.parametrize("body", [b"", b"\xff\n[1]\n{\n", b'{"step":"1"}\n', b"[" * 5000])
def test_lines_that_are_none_are_passed_over(tmp_path: Path, body: bytes) -> None:
    (tmp_path / FILE).write_bytes(body + b'\n{"step":1,"a":2}\n')
    assert read_lines(tmp_path / FILE) == [{"step": 1, "a": 2}]


def test_a_directory_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    a_curve(tmp_path / "file" / "below", 1, 2)
    assert read_lines(tmp_path / "file" / "below" / FILE) == []
