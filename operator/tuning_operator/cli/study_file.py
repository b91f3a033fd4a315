"""The study file of a local run: read once at the start, and again when a person edits it while the study runs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tuning_operator.api.load import BadFileError, load_file
from tuning_operator.api.study import StudySpec
from tuning_operator.api.validation import is_study, validate
from tuning_operator.search.verdict import search_problems


class BadStudyError(Exception):
    """The file is no study that can run; the message says where, which value, and what to write instead."""


@dataclass(frozen=True, slots=True)
class StudyFile:
    path: Path
    name: str
    spec: StudySpec
    text: str


def read(path: Path) -> StudyFile:
    """The one study of a file. Raises `BadStudyError` with one problem a line."""
    try:
        studies = [document for document in load_file(path) if is_study(document.value)]
    except BadFileError as error:
        raise BadStudyError(str(error)) from error
    if len(studies) != 1:
        raise BadStudyError(f"{path}: holds {len(studies) or 'no'} studies; write one TuningStudy in a file")
    document = studies[0]
    verdict = validate(document.value, local=True)
    problems = verdict.problems if verdict.spec is None else search_problems(verdict.spec)
    if verdict.spec is None or problems:
        lines = [(document.line(problem.path), problem) for problem in problems]
        raise BadStudyError(
            "\n".join(f"{path}:{line}: {problem}" if line else f"{path}: {problem}" for line, problem in lines)
        )
    return StudyFile(path, document.value["metadata"]["name"], verdict.spec, path.read_text(encoding="utf-8"))


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
            file = read(self._file.path)
            if file.name == self._file.name:
                return file.spec
            self._complain(f"{file.path}: is now the study {file.name!r}; {self._file.name!r} goes on as it was")
        except BadStudyError as error:
            self._complain(f"the edited study is not taken over: {error}")
        return None


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
