"""Names of what belongs to a study: functions of the study, its uid, the trial's number and the attempt; never random.

A crash between two writes repeats into `AlreadyExists`, and a study re-created under its old name (another uid)
never meets the objects of the one before it. All names are DNS-1123 labels of at most 63 characters, so they are
also good as label values and host names.
"""

import hashlib
from typing import Final

MAX: Final = 63
_HASH: Final = 6
_OBJECT_MAX: Final = 40
_TRIAL_MAX: Final = 57
"""Leaves room for `-` and an attempt of five digits."""


def trial_name(study_name: str, uid: str, number: int) -> str:
    """`digits-lenet-3f9a1c-12`: the study's name, what tells this study from others of that name, the number."""
    tail = f"-{_digest(study_name, uid)}-{number}"
    return _label(study_name)[: _TRIAL_MAX - len(tail)].rstrip("-") + tail


def job_name(trial_name: str, attempt: int) -> str:
    """`digits-lenet-3f9a1c-12-0`: the trial's name and the attempt."""
    name = f"{trial_name}-{attempt}"
    if len(name) <= MAX:
        return name
    tail = f"-{_digest(trial_name)}-{attempt}"
    return _label(trial_name)[: MAX - len(tail)].rstrip("-") + tail


def object_name(trial_name: str, attempt: int) -> str:
    """As `job_name`, for objects of other kinds: their controllers add to it and put the sum into labels, and some want
    a letter first."""
    name = f"{trial_name}-{attempt}"
    if name[0].isalpha() and len(name) <= _OBJECT_MAX:
        return name
    tail = f"-{_digest(trial_name)}-{attempt}"
    label = trial_name if trial_name[0].isalpha() else f"s-{trial_name}"
    return label[: _OBJECT_MAX - len(tail)].rstrip("-") + tail


def service_name(study_name: str, uid: str) -> str:
    """`digits-lenet-3f9a1c`: of what the pods of a study's trials find each other by."""
    tail = f"-{_digest(study_name, uid)}"
    label = _label(study_name)
    # Services have begun with a letter for longer than they have not had to.
    label = label if label[0].isalpha() else f"s-{label}"
    return label[: MAX - len(tail)].rstrip("-") + tail


def _label(text: str) -> str:
    """The characters of a DNS label; what is lost here, the digest tells apart."""
    cleaned = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower()).strip("-")
    return cleaned or "study"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_HASH]
