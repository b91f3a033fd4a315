"""What a study came to: for a person, and for a program."""

from pathlib import Path
from typing import Any

from tuning_operator.api.trial import Role
from tuning_operator.cli import words
from tuning_operator.core.model import Trial
from tuning_operator.local.ledger import Ledger
from tuning_operator.local.records import Json, study_resource, trial_resource

_MOST_OF_FRONT = 8
LABEL = 12
"""Width of the words at the left."""


def as_json(ledger: Ledger) -> Json:
    """The study and its trials as a cluster would show them, and where their files are."""
    resource = study_resource(ledger.study, dict(ledger.status))
    resource["trials"] = [trial_resource(trial, ledger.study) for trial in ledger.trials]
    resource["files"] = {"ledger": str(ledger.directory), **{name: str(path) for name, path in weights(ledger).items()}}
    return resource


def as_text(ledger: Ledger) -> str:
    status = ledger.status
    lines = [_headline(ledger)]
    best = status.get("best")
    if best is not None:
        lines.append(f"{'best':<{LABEL}}trial {best['number']}: {words.metrics(best['values'])}")
        width = max(map(len, best["parameters"]), default=0)
        lines += [
            f"{'':<{LABEL}}{name:<{width}}  {words.parameter(value)}" for name, value in best["parameters"].items()
        ]
    lines += _front(status) + _rungs(status) + _confirmed(status)
    final = status.get("final")
    if final is not None:
        said = words.metrics(_tested(final.get("metrics", {}))) or final.get("message", "")
        lines.append(f"{'final':<{LABEL}}{final['state'].lower()}: {said}")
    lines += [f"{name:<{LABEL}}{path}" for name, path in weights(ledger).items()]
    failed = [trial for trial in ledger.trials if trial.result is not None and trial.result.state == "Failed"]
    if failed and status.get("state") == "Failed":
        lines.append(f"{'log':<{LABEL}}{_log(ledger, failed[-1])}")
    return "\n".join(lines)


def _front(status: Json) -> list[str]:
    front = status.get("front", ())
    shown = [f"trial {each['number']}: {words.metrics(each['values'])}" for each in front[:_MOST_OF_FRONT]]
    more = [f"and {len(front) - len(shown)} more; all stand in the report"] if len(front) > len(shown) else []
    return _listed("front", [*shown, *more])


def _rungs(status: Json) -> list[str]:
    return _listed(
        "rungs",
        [
            f"step {rung['budget']}: {rung.get('reached', 0)} reached it, {rung.get('promoted', 0)} went on"
            + (f", best {rung['best']}" if "best" in rung else "")
            + (f" (bracket {rung['bracket']})" if rung.get("bracket") else "")
            for rung in status.get("rungs", ())
        ],
    )


def _confirmed(status: Json) -> list[str]:
    return _listed(
        "confirmed",
        [
            f"trial {each['number']}: {words.metrics(each.get('values', {}))} over {each.get('runs', 0)} further runs"
            for each in status.get("confirmed", ())
        ],
    )


def _listed(label: str, lines: list[str]) -> list[str]:
    return [f"{label if index == 0 else '':<{LABEL}}{line}" for index, line in enumerate(lines)]


def weights(ledger: Ledger) -> dict[str, Path]:
    """Files of the final run, else of the best trial."""
    best = ledger.status.get("best", {}).get("number")
    chosen = [trial for trial in ledger.trials if trial.role is Role.FINAL] or [
        trial for trial in ledger.trials if trial.number == best
    ]
    result: dict[str, Path] = {}
    for trial in chosen:
        if trial.result is not None:
            directory = ledger.files(trial.number, 0).checkpoint
            result |= {name: directory / path for name, path in trial.result.artifacts.items()}
    return result


def condition(status: Json, kind: str) -> Json:
    return next((c for c in status.get("conditions", ()) if c["type"] == kind), {})


def _headline(ledger: Ledger) -> str:
    status = ledger.status
    state = str(status.get("state", "Pending"))
    kind = state if state in ("Succeeded", "Failed", "Stalled", "Suspended") else "Reconciling"
    message = condition(status, kind).get("message", "")
    return f"{ledger.study.name} {state.lower()}{f': {message}' if message else ''}"


def _tested(metrics: dict[str, Any]) -> dict[str, Any]:
    """On test data, if there are any."""
    return {name: value for name, value in metrics.items() if name.startswith("test_")} or metrics


def _log(ledger: Ledger, trial: Trial) -> Path:
    return ledger.files(trial.number, trial.attempt).log
