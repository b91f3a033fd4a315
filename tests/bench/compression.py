"""What compression costs a CNN on the digits, and what a teacher is worth. Bars: 80 % of the weights pruned with at
most 1 point of accuracy lost; 8 bits with at most 0.3 x the size and 0.5 points lost; a student of a tenth of the
parameters beats with a teacher itself without one.

    python -m tests.bench.compression [--seeds 5]

All are means over the same seeds and on the test part, which no training sees. The teacher of each seed is the plain
model of that seed. Both students train for as long as each other, which is long: from outputs there is more to learn
than from targets, and it takes longer (Beyer et al., 2022). How long, temperature and weight were chosen on seeds 5 to
9, so that seeds 0 to 4 judge them anew. Points are hundredths of accuracy.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from tuning_trainer.config import resolve
from tuning_trainer.engine.run import run
from tuning_trial import Environment, Session

TEACHER: dict[str, Any] = {"name": "cnn", "width": 16}
STUDENT: dict[str, Any] = {"name": "cnn", "width": 9, "layers": 2}
EPOCHS, STUDENT_EPOCHS = 16, 40
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "80 % pruned": {"prune.share": 0.8, "prune.epochs": 10},
    "8 bits": {"quantize.bits": 8},
    "8 bits, static": {"quantize.bits": 8, "quantize.activations": "static"},
    "4 bits": {"quantize.bits": 4, "quantize.epochs": 4},
    "half the channels": {"channels.share": 0.5, "channels.epochs": 10},
    "80 % pruned, 8 bits": {"prune.share": 0.8, "prune.epochs": 10, "quantize.bits": 8},
}


def trained(directory: Path, model: dict[str, Any], seed: int, epochs: int, **parameters: Any) -> dict[str, float]:
    """Metrics of the final run of one training."""
    settings = {
        "data": {"name": "digits", "split": {"validation": 0.2, "test": 0.2, "seed": seed}},
        "model": model,
        "optimizer": {"name": "adam", "lr": 0.005},
        "schedule": {"name": "cosine"},
        "train": {"epochs": epochs, "batch_size": 64},
        "export": {"evaluation": "never"},
        "runtime": {"device": "cpu"},
        "seed": seed,
    }
    session = Session(Environment(checkpoint_dir=directory, role="Final"))
    code = run(resolve(settings, parameters).config, session)
    report = session.snapshot()
    if code != 0:
        raise RuntimeError(f"{parameters}: {report.error}")
    return dict(report.final)


def main() -> int:
    """Prints the means of each case; 1 where a bar is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for seed in seeds:
            for name, parameters in CASES.items():
                place = Path(scratch) / f"{seed}-{name}"
                found.setdefault(name, []).append(trained(place, TEACHER, seed, EPOCHS, **parameters))
            teacher = {"distill": "saved", "distill.directory": str(Path(scratch) / f"{seed}-plain")}
            softly = {"distill.temperature": 4.0, "distill.weight": 0.9}
            for name, taught in (("student alone", {}), ("student, taught", teacher | softly)):
                place = Path(scratch) / f"{seed}-{name}"
                found.setdefault(name, []).append(trained(place, STUDENT, seed, STUDENT_EPOCHS, **taught))
    for name in ("student alone", "student, taught"):
        print(f"{name:22} seed by seed", *(f"{100 * row['test_accuracy']:.2f}" for row in found[name]))
    means = {name: {m: statistics.fmean(r[m] for r in rows) for m in rows[0]} for name, rows in found.items()}
    for name, row in means.items():
        print(
            f"{name:22} accuracy {100 * row['test_accuracy']:6.2f}  parameters {row['parameters']:8.0f}  "
            f"not zero {row['nonzero_parameters']:8.0f}  MB {row['model_size_mb']:.4f}  "
            f"log-loss {row['test_log_loss']:.4f}"
        )
    return verdict(means)


def verdict(means: dict[str, dict[str, float]]) -> int:
    """Holds the means against the bars."""

    def lost(name: str) -> float:
        return 100 * (means["plain"]["test_accuracy"] - means[name]["test_accuracy"])

    size = means["8 bits"]["model_size_mb"] / means["plain"]["model_size_mb"]
    alone, taught = means["student alone"], means["student, taught"]
    gain = 100 * (taught["test_accuracy"] - alone["test_accuracy"])
    bars = {
        f"80 % pruned: {lost('80 % pruned'):.2f} points lost, bar 1": lost("80 % pruned") <= 1,
        f"8 bits: {lost('8 bits'):.2f} points lost, bar 0.5": lost("8 bits") <= 0.5,
        f"8 bits: {size:.3f} x the size, bar 0.3": size <= 0.3,
        f"student: {alone['parameters'] / means['plain']['parameters']:.3f} x the parameters, bar 0.1": (
            alone["parameters"] <= 0.1 * means["plain"]["parameters"]
        ),
        f"student: {gain:+.2f} points by its teacher, bar above 0": gain > 0,
    }
    for text, held in bars.items():
        print(("held   " if held else "MISSED ") + text)
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
