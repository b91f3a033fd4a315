"""`tuning report`, of a study on this machine or of one on a cluster, and the report at the end of `tuning run`."""

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from tuning_operator.cli.cluster_study import Asked, ClusterError, Found, name_of, read
from tuning_operator.cli.exits import BAD_INPUT, SUCCEEDED
from tuning_operator.cli.places import ledgers
from tuning_operator.cli.report.data import Curve, ReportData, report_data
from tuning_operator.cli.report.evaluation import ARTIFACT, read_evaluation
from tuning_operator.cli.report.figures import figures
from tuning_operator.cli.report.page import page
from tuning_operator.cli.summary import weights
from tuning_operator.local.ledger import Ledger, LedgerError
from tuning_operator.local.records import study_resource, trial_resource
from tuning_trial.curve import FILE, read_lines


def report(options: argparse.Namespace) -> int:
    name = options.cluster or name_of(options.place)
    if options.evaluation is not None and read_evaluation(options.evaluation) is None:
        print(f"--evaluation {options.evaluation}: it is no evaluation.json of a trial", file=sys.stderr)
        return BAD_INPUT
    try:
        return _of_cluster(name, options) if name is not None else _of_this_machine(options)
    except (LedgerError, ClusterError) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"the report could not be written: {error}", file=sys.stderr)
    return BAD_INPUT


def write(ledger: Ledger, path: Path, *, evaluation: Path | None = None) -> None:
    found = weights(ledger)
    file = evaluation or found.get(ARTIFACT)
    _write(
        report_data(
            study_resource(ledger.study, dict(ledger.status)),
            [trial_resource(trial, ledger.study) for trial in ledger.trials],
            files={"ledger": str(ledger.directory), **{name: str(file) for name, file in found.items()}},
            curves=_curves(ledger),
            evaluation=read_evaluation(file) if file is not None else None,
        ),
        path,
    )


def _curves(ledger: Ledger) -> dict[int, Curve]:
    """What the trials reported step by step, where they use the SDK."""
    metric = ledger.study.spec.objectives[0].metric
    found: dict[int, Curve] = {}
    for trial in ledger.trials:
        lines = read_lines(ledger.files(trial.number, 0).checkpoint / FILE)
        curve = [(line["step"], line[metric]) for line in lines if isinstance(line.get(metric), int | float)]
        if curve:
            found[trial.number] = curve
    return found


def _of_this_machine(options: argparse.Namespace) -> int:
    found = ledgers(options.place)
    if options.report is not None and len(found) > 1:
        raise LedgerError(f"--report {options.report}: there are {len(found)} studies here; name one")
    for ledger in found:
        path = options.report or ledger.directory / "report.html"
        write(ledger, path, evaluation=options.evaluation)
        print(path)
    return SUCCEEDED


def _of_cluster(name: str, options: argparse.Namespace) -> int:
    found = read(Asked(name, options.namespace, options.kubeconfig, options.context))
    path: Path = options.report or Path(f"{name}.html")
    try:
        evaluation = read_evaluation(options.evaluation) if options.evaluation is not None else None
        data = report_data(found.study, found.trials, files=_where(found), evaluation=evaluation)
    except ValidationError as error:
        raise ClusterError(
            f"{name}: this version of tuning does not understand the study ({error.errors()[0]['msg']}); "
            "use the version of the operator in the cluster"
        ) from error
    _write(data, path)
    print(path)
    return SUCCEEDED


def _where(found: Found) -> dict[str, str]:
    spec, status = found.study["spec"], found.study.get("status", {})
    where = {"study": f"{found.study['metadata']['name']} in namespace {found.namespace}"}
    claim = spec["trial"].get("checkpoints", {}).get("claimName")
    checkpoint = status.get("best", {}).get("checkpoint")
    if claim and checkpoint:
        where["best checkpoint"] = f"{checkpoint} in claim {claim}"
    final = status.get("final", {})
    for name, path in final.get("artifacts", {}).items():
        where[name] = f"{final['trial']}/{path}" + (f" in claim {claim}" if claim else "")
    return where


def _write(data: ReportData, path: Path) -> None:
    path.write_text(page(data, figures(data)), encoding="utf-8")
