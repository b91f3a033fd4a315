"""The final run: once more with the best parameters, after the search; and what the study as a whole came to.

A final run closes the search for good: its parameters are the best of a ledger that must not grow behind it, and
test data is looked at once. A final run that fails makes the study `Failed` (what was asked for is not there), with
the best still in the status.
"""

from dataclasses import dataclass
from typing import Final

from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import TrialState
from tuning_operator.core.budgets import End
from tuning_operator.core.leaders import Leader
from tuning_operator.core.model import Trial
from tuning_operator.core.tally import Tally
from tuning_operator.search.types import Suggestion

FINAL_RUN_FAILED: Final = "FinalRunFailed"
NO_SUCCESSFUL_TRIAL: Final = "NoSuccessfulTrial"
NOT_WANTED: Final = "FinalRunNotWanted"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the study came to, once nothing of it is left to do."""

    failed: bool
    reason: str
    message: str


def wanted(spec: StudySpec) -> bool:
    return spec.final is not None and spec.final.retrain


def suggestion(best: Leader, *, known: int) -> Suggestion:
    """The best trial's parameters."""
    trial = best.trial
    return Suggestion(
        trial.suggestion.parameters, by="Best", known=known, reason=f"best of {known}: trial {trial.number}"
    )


def outcome(spec: StudySpec, tally: Tally, end: End, final: Trial | None) -> Outcome:
    """Only to be asked when search and final run have ended."""
    if tally.best is None:
        reason = end.reason if end.failed else NO_SUCCESSFUL_TRIAL
        return Outcome(True, reason, end.message if end.failed else _no_success(tally, end))
    if wanted(spec) and final is not None and final.result is not None and final.result.state is TrialState.FAILED:
        said = final.result.message or final.result.reason
        return Outcome(
            True, FINAL_RUN_FAILED, f"the final run failed: {said}. The best parameters stand in status.best"
        )
    return Outcome(end.failed, end.reason, end.message)


def _no_success(tally: Tally, end: End) -> str:
    if tally.succeeded:
        return f"{end.message}, but none of the {tally.succeeded} that succeeded keeps the constraints"
    text = f"{end.message}, but no trial succeeded"
    last = tally.last_failed
    if last is not None and last.result is not None:
        text += f"; trial {last.number}: {last.result.message or last.result.reason}"
    return text
