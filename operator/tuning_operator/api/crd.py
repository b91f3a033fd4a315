"""The CustomResourceDefinitions, generated from the models and the rules.

`python -m tuning_operator.api.crd --write crds/` writes them, `--check crds/` says whether the files are what the
models say. Each file applies by a plain `kubectl apply`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tuning_operator.api import names
from tuning_operator.api.rule import attach
from tuning_operator.api.rules import STUDY_RULES, STUDY_TRANSITIONS
from tuning_operator.api.status import StudyStatus
from tuning_operator.api.structural import Schema, structural
from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import TuningTrialSpec, TuningTrialStatus
from tuning_operator.api.trial_rules import TRIAL_TRANSITIONS

UNSEEN = {"observedGeneration": -1}
"""The status from the first moment on. Without it, kstatus (Flux, Helm) takes a study that nobody has seen for done."""

HEADER = "# Generated from the models by: python -m tuning_operator.api.crd --write crds/\n"


def study_schema() -> Schema:
    """The schema of a whole TuningStudy."""
    schema = _whole(
        "A search for good hyperparameters: what to optimise, over what, with which trials. The best is in its status.",
        structural(StudySpec),
        structural(StudyStatus),
    )
    schema["properties"]["status"]["default"] = UNSEEN
    attach(schema, [*STUDY_RULES, *STUDY_TRANSITIONS])
    return schema


def trial_schema() -> Schema:
    """The schema of a whole TuningTrial."""
    schema = _whole(
        "One trial of a TuningStudy, written by the operator. Trials are the study's ledger: what they record stays.",
        structural(TuningTrialSpec),
        structural(TuningTrialStatus),
    )
    attach(schema, TRIAL_TRANSITIONS)
    return schema


def definitions() -> dict[str, dict[str, Any]]:
    """All definitions by file name."""
    study = _definition(
        kind=names.STUDY_KIND,
        plural=names.STUDY_PLURAL,
        short="tstudy",
        schema=study_schema(),
        columns=[
            _column("State", "string", ".status.state", "Where the study stands."),
            _column("Trials", "integer", ".status.counts.total", "Trials created so far."),
            _column("Running", "integer", ".status.counts.running", "Trials that run."),
            _column("Failed", "integer", ".status.counts.failed", "Trials that failed."),
            _column("Best", "string", ".status.bestValue", "The best value so far."),
            _column("Algorithm", "string", ".status.algorithm.name", "What makes the suggestions.", wide=True),
            _column("Objective", "string", ".spec.objectives[*].metric", "What is optimised.", wide=True),
            _column(
                "Message", "string", '.status.conditions[?(@.type=="Ready")].message', "What is the case.", wide=True
            ),
            _column("Age", "date", ".metadata.creationTimestamp", "Time since the study was created."),
        ],
    )
    trial = _definition(
        kind=names.TRIAL_KIND,
        plural=names.TRIAL_PLURAL,
        short="ttrial",
        schema=trial_schema(),
        columns=[
            _column("Study", "string", ".spec.study", "The study it belongs to."),
            _column("State", "string", ".status.state", "Where the trial stands."),
            _column("Value", "string", ".status.result.values.*", "The objective's value."),
            _column("Reason", "string", ".status.result.reason", "How it ended."),
            _column("Attempt", "integer", ".status.attempt", "The current or last attempt.", wide=True),
            _column("By", "string", ".spec.suggestion.by", "What suggested the parameters.", wide=True),
            _column("Message", "string", ".status.result.message", "What happened.", wide=True),
            _column("Age", "date", ".metadata.creationTimestamp", "Time since the trial was created."),
        ],
    )
    return {f"{each['metadata']['name']}.yaml": each for each in (study, trial)}


def text(definition: dict[str, Any]) -> str:
    """The definition as it stands in its file."""
    body = yaml.dump(definition, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return HEADER + str(body)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tuning_operator.api.crd", description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", type=Path, metavar="DIRECTORY", help="write the definitions")
    what.add_argument("--check", type=Path, metavar="DIRECTORY", help="fail if the files differ from the models")
    options = parser.parse_args(arguments)
    stale = []
    for name, definition in definitions().items():
        path = (options.write or options.check) / name
        wanted = text(definition)
        if options.write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted)
        elif not path.exists() or path.read_text() != wanted:
            stale.append(path)
    for path in stale:
        print(f"{path}: differs from the models; run python -m tuning_operator.api.crd --write {options.check}")
    return 1 if stale else 0


def _whole(description: str, spec: Schema, status: Schema) -> Schema:
    return {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"`{names.API_VERSION}`.", "maxLength": 64},
            "kind": {"type": "string", "description": "Kind of the object.", "maxLength": 64},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }


def _definition(*, kind: str, plural: str, short: str, schema: Schema, columns: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{names.GROUP}", "labels": {"app.kubernetes.io/name": names.FIELD_MANAGER}},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["tuning"],
            },
            "conversion": {"strategy": "None"},
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _column(name: str, type: str, path: str, description: str, *, wide: bool = False) -> dict[str, Any]:
    column = {"name": name, "type": type, "jsonPath": path, "description": description}
    return column | ({"priority": 1} if wide else {})


class _Dumper(yaml.SafeDumper):
    """Without anchors: every part of a definition stands where it is used."""

    def ignore_aliases(self, data: object) -> bool:
        return True


if __name__ == "__main__":
    sys.exit(main())
