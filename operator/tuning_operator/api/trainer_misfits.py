"""Settings of the shared trainer that it takes one by one and refuses together: found before anything starts.

The trainer has the last word; each rule here is one that it raises as InvalidSetting. Where both sides are parameters
the study may keep them apart by `when` or `forbidden`, so that is a problem only if no value is a good one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tuning_operator.api.parameters import Parameter
from tuning_operator.api.problem import Problem, shown

Tuned = Mapping[str, tuple[int, Parameter]]

PRIVACY = ("privacy.noise", "privacy.max_epsilon")
SCHEDULE_FREE = ("schedule_free_sgd", "schedule_free_adamw")


def _set(value: Any) -> bool:
    return value is not None and value is not False and value != 0


@dataclass(frozen=True, slots=True)
class Misfit:
    """What `paths` (any of them) hold and what `other` holds do not go together."""

    paths: tuple[str, ...]
    holds: Callable[[Any], bool]
    other: str
    other_holds: Callable[[Any], bool]
    remedy: str
    unless: str = ""
    """A setting with which they do."""


MISFITS = (
    Misfit(
        PRIVACY,
        _set,
        "data.split.folds",
        _set,
        "does not go with data.split.folds, whose trainings each spend their epsilon on the same samples; use "
        "data.split.fold with trial.replicates, or no folds",
        unless="data.split.fold",
    ),
    Misfit(
        ("schedule.name",),
        lambda value: value != "none",
        "optimizer.name",
        SCHEDULE_FREE.__contains__,
        "does not go with a schedule-free optimizer; write schedule none, or set it `when` the optimizer is another",
    ),
    Misfit(
        ("train.ema",),
        _set,
        "optimizer.name",
        SCHEDULE_FREE.__contains__,
        "does not go with a schedule-free optimizer, which averages by itself; leave it out",
    ),
    Misfit(
        ("export.always",),
        _set,
        "data.split.folds",
        _set,
        "does not go with data.split.folds, which trains several models; use one of the two",
        unless="data.split.fold",
    ),
    Misfit(
        PRIVACY,
        _set,
        "runtime.processes",
        lambda value: isinstance(value, int) and value > 1,
        "does not go with several processes; set runtime.processes to 1",
    ),
    Misfit(
        ("encryption.key_file",),
        _set,
        "runtime.parallel",
        lambda value: value == "fsdp",
        "does not go with runtime.parallel fsdp, whose checkpoints cannot be encrypted; use ddp",
    ),
    Misfit(
        ("runtime.channels_last",),
        _set,
        "runtime.parallel",
        lambda value: value == "fsdp",
        "does not go with runtime.parallel fsdp, which shares out contiguous weights; use ddp",
    ),
)


def misfits(fixed: Mapping[str, Any], tuned: Tuned, *, replicated: str | None) -> Iterator[Problem]:
    """Problems of settings by path, fixed or tuned; `replicated` is the path that replicates set, if any."""
    for rule in MISFITS:
        if rule.unless and (rule.unless in tuned or rule.unless == replicated or _set(fixed.get(rule.unless))):
            continue
        other = _values(rule.other, fixed, tuned)
        if not any(map(rule.other_holds, other)):
            continue
        for path in rule.paths:
            values = _values(path, fixed, tuned)
            bad = [value for value in values if rule.holds(value)]
            sure = path not in tuned or rule.other not in tuned
            always = len(bad) == len(values) and all(map(rule.other_holds, other)) and not _may_be_absent(path, tuned)
            if bad and (sure or always):
                where = f"spec.parameters[{tuned[path][0]}]" if path in tuned else f"spec.trial.trainer.{path}"
                yield Problem(where, shown(bad[0]), rule.remedy)
                break


def _values(path: str, fixed: Mapping[str, Any], tuned: Tuned) -> list[Any]:
    """The values that trials can have; of a range its ends; none where the setting is left alone."""
    if path not in tuned:
        return [fixed[path]] if path in fixed else []
    parameter = tuned[path][1]
    held = parameter.float_ or parameter.int_
    return list(parameter.choice or parameter.ordinal or ([] if held is None else [held.min, held.max]))


def _may_be_absent(path: str, tuned: Tuned) -> bool:
    return path in tuned and bool(tuned[path][1].when)
