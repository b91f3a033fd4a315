"""The study file of a local run: read once at the start, and again when a person edits it while the study runs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from tuning_operator.api.study import StudySpec


class BadStudyError(Exception):
    """The file is no study that can run; the message says where, which value, and what to write instead."""


@dataclass(frozen=True, slots=True)
class StudyFile:
    path: Path
    name: str
    spec: StudySpec
    text: str


def read(path: Path) -> StudyFile:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadStudyError(f"{path}: {error.strerror}") from error
    document = yaml.safe_load(text)
    return StudyFile(path, document["metadata"]["name"], StudySpec.model_validate(document["spec"]), text)


class Rereader:
    """Gives the spec again when the file changed and is good; complains once about each bad version."""

    def __init__(self, file: StudyFile, complain: Callable[[str], None]) -> None:
        self._file = file
        self._complain = complain
        self._stamp = _stamp(file.path)

    def __call__(self) -> StudySpec | None:
        stamp = _stamp(self._file.path)
        if stamp == self._stamp or stamp is None:
            return None
        self._stamp = stamp
        try:
            return read(self._file.path).spec
        except BadStudyError as error:
            self._complain(f"the edited study is not taken over: {error}")
            return None


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
