"""From a study and a trial to the command that a process runs: what the Job builder is to the cluster.

With the shared trainer that is `python -m tuning_trainer`; with a template its first container's command, arguments and
environment, where parameters are bound and `$(NAME)` expanded as in a pod. Images, volumes, resources and nodes mean
nothing here and are left alone.
"""

import copy
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuning_operator.api.sources import source_of
from tuning_operator.api.study import MetricsSource, StudySpec
from tuning_operator.core import contract
from tuning_operator.core.model import Study, Trial
from tuning_operator.core.templates import TemplateError, fill
from tuning_operator.local.expansion import expand_all, expand_environment
from tuning_operator.local.files import AttemptFiles
from tuning_operator.local.processes import Command, StartError

DEFAULT_GRACE = 30.0
"""Seconds between SIGTERM and SIGKILL, as Kubernetes has it."""


def command_for(
    study: Study,
    trial: Trial,
    *,
    files: AttemptFiles,
    directory: Path,
    host: Mapping[str, str],
    gpus: int,
    parent: Path | None = None,
) -> Command:
    """`directory` is where the command runs: the study file's, so that a script beside it is found. `host` is this
    process's environment, `parent` the checkpoints that the trial begins with.
    """
    job = bound_job(study.spec, trial)
    pod = _at(job, "spec", "template", "spec")
    container = _first_container(pod)
    contract = contract_environment(study, trial, files=files, parent=parent)
    given = expand_environment(_given_environment(container, host), contract)
    command = [str(part) for part in container.get("command") or ()]
    arguments = [str(part) for part in container.get("args") or ()]
    if not command and study.spec.trial.trainer is not None:
        command = [sys.executable, "-m", "tuning_trainer"]
    if not command:
        raise StartError(
            "NoCommand",
            "spec.trial.template: spec.template.spec.containers[0] has no command: a local run starts the command "
            "itself and cannot look into the image; write the image's command there",
        )
    base = {name: value for name, value in host.items() if not name.startswith("TUNING_")}
    base["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), host.get("PATH", os.defpath)])
    base.setdefault("PYTHONUNBUFFERED", "1")
    return Command(
        argv=expand_all([*command, *arguments], {**given, **contract}),
        environment={**base, **given, **contract},
        directory=directory,
        grace=float(pod.get("terminationGracePeriodSeconds", DEFAULT_GRACE)),
        gpus=gpus,
    )


def contract_environment(
    study: Study, trial: Trial, *, files: AttemptFiles, parent: Path | None = None
) -> dict[str, str]:
    """The `TUNING_*` variables of docs/trial-contract.md. Nobody scrapes here, so there is no port for metrics."""
    told = contract.variables(study, trial, attempt=trial.attempt)
    told |= {"TUNING_CHECKPOINT_DIR": str(files.checkpoint), "TUNING_TERMINATION_FILE": str(files.report)}
    return told if parent is None else told | {"TUNING_PARENT_DIR": str(parent)}


def bound_job(spec: StudySpec, trial: Trial) -> dict[str, Any]:
    """The Job template with this trial's parameters in the fields they are bound to."""
    job: dict[str, Any] = copy.deepcopy(spec.trial.template or {})
    try:
        for binding in spec.trial.bind:
            if binding.parameter in trial.suggestion.parameters:
                fill(job, binding.to, trial.suggestion.parameters[binding.parameter])
    except TemplateError as error:
        raise StartError("BadBinding", str(error)) from error
    return job


def not_done_here(spec: StudySpec) -> list[str]:
    """What the study asks for and a local run leaves out; one line each, for a person."""
    pod = _at(spec.trial.template or {}, "spec", "template", "spec")
    notes = []
    if pod.get("initContainers"):
        notes.append("initContainers of the template are not run locally")
    if len(pod.get("containers") or ()) > 1:
        notes.append("only the first container of the template is run locally")
    if source_of(spec) is MetricsSource.SIDECAR:
        notes.append("no sidecar reads the trial's metrics locally: only a report that the trial writes counts")
    return notes


def _first_container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = pod.get("containers") or [{}]
    return containers[0] if isinstance(containers[0], dict) else {}


def _given_environment(container: Mapping[str, Any], host: Mapping[str, str]) -> list[tuple[str, str]]:
    result: list[tuple[str, str]] = []
    for entry in container.get("env") or ():
        name = entry["name"]
        if "valueFrom" not in entry:
            value = entry.get("value", "")
            result.append((name, value if isinstance(value, str) else json.dumps(value)))
        elif name not in host:
            raise StartError(
                "MissingEnvironment",
                f"env {name} of the template comes from the cluster (valueFrom); for a local run set it yourself: "
                f"{name}=... tuning run ...",
            )
    return result


def _at(value: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        inner = value.get(key)
        value = inner if isinstance(inner, dict) else {}
    return value
