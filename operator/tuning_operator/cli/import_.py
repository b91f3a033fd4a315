"""`tuning import`: results of an Optuna study as a table that a TuningStudy can begin with, on a cluster as well.

It reads and prints; nothing is applied and nothing changes in the storage.
"""

import argparse
import json
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tuning_operator.cli.exits import BAD_INPUT, SUCCEEDED
from tuning_operator.local.optuna_storage import OptunaResults, StorageError, read_optuna
from tuning_operator.search.sources import Earlier
from tuning_operator.search.types import Observation
from tuning_operator.search.warmstart import MOST, best_and_latest

MOST_BYTES = 900_000
"""Of a ConfigMap, which may hold 1 MiB."""
_METRIC = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")


def import_(options: argparse.Namespace) -> int:
    try:
        found = read_optuna(options.storage, options.study, directory=Path())
        rows, notes = _rows(found, _metrics(found, options))
        text = _config_map(options, rows) if options.output == "configmap" else _table(rows)
    except StorageError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    for note in notes:
        print(note, file=sys.stderr)
    try:
        if options.to is None:
            sys.stdout.write(text)
        else:
            options.to.write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"{options.to or 'standard output'}: cannot be written: {error.strerror}", file=sys.stderr)
        return BAD_INPUT
    return SUCCEEDED


def _metrics(found: OptunaResults, options: argparse.Namespace) -> Sequence[str]:
    """Names for the study's values: as asked for, else as the Optuna study has them."""
    names: Sequence[str] = options.metric or found.metrics
    if not names:
        goals = ", ".join(goal.value.lower() for goal in found.goals)
        raise StorageError(
            f"{options.study}: its values have no names ({len(found.goals)} to {goals}); write --metric NAME for each, "
            "in their order, named as the objectives of your study"
        )
    if len(names) != len(found.goals):
        raise StorageError(f"{options.study}: has {len(found.goals)} values; write as many --metric, not {len(names)}")
    for name in names:
        if not _METRIC.fullmatch(name):
            raise StorageError(f"{name!r} is no name of a metric; write --metric with letters, digits and _")
    return names


def _rows(found: OptunaResults, metrics: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    source = found.source("", metrics)
    results = [each for each in source.results if all(map(math.isfinite, each.values.values()))]
    told = [
        Observation(index, each.parameters, tuple(each.values[metric] for metric in metrics))
        for index, each in enumerate(results)
    ]
    kept = best_and_latest(source.objectives or (), told)
    goals = ", ".join(f"{metric} ({goal.value})" for metric, goal in zip(metrics, found.goals, strict=True))
    notes = [f"{len(results)} complete trials, values: {goals}"]
    if len(kept) < len(results):
        notes.append(f"{len(kept)} are written: the best {MOST // 2} and the latest")
    return [_row(results[each.number]) for each in kept], notes


def _row(result: Earlier) -> dict[str, Any]:
    return {"parameters": dict(result.parameters), "values": dict(result.values)}


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """A JSON list with a row a line: what `configMap` reads, and `trials` takes as it stands."""
    return "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"


def _config_map(options: argparse.Namespace, rows: Sequence[dict[str, Any]]) -> str:
    text = _table(rows)
    if len(text.encode()) > MOST_BYTES:
        raise StorageError(
            f"{options.study}: the table has {len(text.encode())} bytes, a ConfigMap holds {MOST_BYTES}; "
            "import a study with fewer parameters"
        )
    name = options.name or re.sub(r"[^a-z0-9]+", "-", options.study.lower()).strip("-") or "earlier"
    head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name[:253]}}
    return yaml.safe_dump(head, sort_keys=False) + "data:\n  trials.json: |\n" + _indented(text)


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())
