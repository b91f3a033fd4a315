"""Where `spec.warmStart` is found on one machine: ledgers beside this one, and files beside the study's.

A study by name is the folder of that name where this study's folder is; labels are those of the study file as it was
run. A ConfigMap is a manifest in a file beside the study's (or in it). Each source that a person names and that is not
there says so in its `problem`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from tuning_operator.api.load import BadFileError, Document, load_file
from tuning_operator.api.names import STUDY_KIND
from tuning_operator.api.study import ConfigMapKey, StudySpec
from tuning_operator.local.ledger import Ledger, LedgerError
from tuning_operator.local.optuna_storage import optuna_source
from tuning_operator.search.sources import Source, earlier_result, study_source, table_source, trials_source

_MOST_BYTES = 4 << 20
"""Of a file that may hold a ConfigMap; one in a cluster has at most 1 MiB."""


def sources(spec: StudySpec, *, ledger: Path, directory: Path, before: float) -> list[Source]:
    """What `spec.warmStart` names, in its order. `ledger` is this study's folder, `directory` the study file's.

    Of other studies, trials count that ended `before` this study was created: it learns the same whenever it goes on.
    """
    found: list[Source] = []
    for index, each in enumerate(spec.warm_start):
        if each.study is not None:
            found.append(_study(ledger.with_name(each.study), ledger, before))
        elif each.selector is not None:
            chosen = [path for path in _beside(ledger) if _has(path, each.selector.match_labels)]
            found += [_study(path, ledger, before) for path in chosen]
            if not chosen:
                labels = ", ".join(f"{name}={value}" for name, value in each.selector.match_labels.items())
                found.append(Source(f"studies with {labels}"))
        elif each.config_map is not None:
            found.append(_config_map(each.config_map, directory))
        elif each.optuna is not None:
            found.append(optuna_source(each.optuna.storage, each.optuna.name, spec.objectives, directory=directory))
        else:
            found.append(trials_source(f"spec.warmStart[{index}].trials", each.trials or ()))
    return found


def _study(path: Path, own: Path, before: float) -> Source:
    name = f"study {path.name}"
    if path == own:
        return Source(name, problem="that is this study itself; name another one")
    try:
        ledger = Ledger(path)
    except LedgerError as error:
        return Source(name, problem=str(error))
    if not ledger.exists():
        return Source(name, problem=f"it has not run here ({path} holds no study); run it first, or leave it out")
    results = [
        earlier_result(
            trial.suggestion.parameters,
            role=trial.role,
            state=trial.result.state,
            values=trial.result.values,
            metrics=trial.result.metrics,
            infeasible=trial.result.infeasible,
        )
        for trial in ledger.trials
        if trial.result is not None and trial.ended_at is not None and trial.ended_at <= before
    ]
    return study_source(path.name, ledger.study.spec, results)


def _beside(ledger: Path) -> list[Path]:
    paths = ledger.parent.iterdir() if ledger.parent.is_dir() else ()
    return sorted(path for path in paths if path != ledger and (path / "study.json").is_file())


def _has(path: Path, labels: Mapping[str, str]) -> bool:
    try:
        studies = [each for each in load_file(path / "study.yaml") if each.value.get("kind") == STUDY_KIND]
    except (BadFileError, AttributeError):
        return False
    held = (studies[0].value["metadata"].get("labels") or {}) if studies else {}
    return all(held.get(name) == value for name, value in labels.items())


def _config_map(key: ConfigMapKey, directory: Path) -> Source:
    name = f"ConfigMap {key.name}"
    for path in sorted(each for each in directory.iterdir() if each.suffix in (".yaml", ".yml", ".json")):
        for document in _documents(path):
            value = document.value
            if isinstance(value, dict) and value.get("kind") == "ConfigMap":
                metadata, data = value.get("metadata"), value.get("data")
                if isinstance(metadata, dict) and metadata.get("name") == key.name:
                    text = data.get(key.key) if isinstance(data, dict) else None
                    return table_source(
                        name, text if text is None or isinstance(text, str) else json.dumps(text), key=key.key
                    )
    return Source(
        name,
        problem=f"no file in {directory} holds a ConfigMap of this name; put its manifest beside the study file",
    )


def _documents(path: Path) -> list[Document]:
    try:
        return load_file(path) if path.stat().st_size <= _MOST_BYTES else []
    except (OSError, BadFileError):
        return []  # a file of somebody else's
