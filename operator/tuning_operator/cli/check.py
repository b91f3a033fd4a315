"""`tuning check FILE...`: what a cluster would say to study files, without a cluster."""

import json
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tuning_operator.api.load import BadFileError, Document, load_file
from tuning_operator.api.problem import Problem
from tuning_operator.api.validation import is_study, validate
from tuning_operator.search.verdict import search_problems

GOOD, BAD = 0, 2


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem, and where it stands."""

    file: str
    line: int | None
    study: str
    by: str
    """Who would refuse it: `file` (no YAML), `cluster` (the API server) or `operator` (nothing would start)."""
    problem: Problem

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.problem}"


def check(
    paths: Iterable[Path],
    *,
    output: str = "text",
    service_accounts: Collection[str] = (),
    stream: TextIO | None = None,
) -> int:
    """Check files and folders of files, print the verdict; 0 if all is well, else 2."""
    studies: list[str] = []
    findings: list[Finding] = []
    for path in paths:
        files = sorted(each for each in path.rglob("*") if each.suffix in (".yaml", ".yml", ".json")) or [path]
        for file in files if path.is_dir() else [path]:
            _check_file(file, studies, findings, service_accounts=service_accounts, must_have=not path.is_dir())
    if not studies and not findings:
        findings.append(Finding(", ".join(map(str, paths)), None, "", "file", Problem("", "", "holds no TuningStudy")))
    write = _json if output == "json" else _text
    write(studies, findings, stream or sys.stdout)
    return BAD if findings else GOOD


def _check_file(
    file: Path, studies: list[str], findings: list[Finding], *, service_accounts: Collection[str], must_have: bool
) -> None:
    try:
        documents = load_file(file)
    except BadFileError as error:
        findings.append(Finding("", None, "", "file", Problem("", "", str(error))))
        return
    held = [each for each in documents if is_study(each.value)]
    if must_have and not held:
        remedy = "holds no TuningStudy; write kind: TuningStudy and apiVersion: tuning.study/v1alpha1"
        findings.append(Finding(str(file), None, "", "file", Problem("", "", remedy)))
    for document in held:
        name = _name(document)
        studies.append(f"{file}: {name}")
        verdict = validate(document.value, service_accounts=service_accounts)
        invalid = verdict.invalid if verdict.spec is None else search_problems(verdict.spec)
        found = [
            Finding(str(file), document.line(problem.path), name, by, problem)
            for by, problems in (("cluster", verdict.refused), ("operator", invalid))
            for problem in problems
        ]
        findings += sorted(found, key=lambda each: each.line or 0)


def _name(document: Document) -> str:
    metadata = document.value.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


def _text(studies: list[str], findings: list[Finding], stream: TextIO) -> None:
    for finding in findings:
        text = str(finding.problem) if not finding.file else str(finding)
        print(text, file=stream)
    if findings:
        print(f"{len(findings)} problem{'s' if len(findings) > 1 else ''}", file=stream)
    else:
        for study in studies:
            print(f"{study}: good", file=stream)


def _json(studies: list[str], findings: list[Finding], stream: TextIO) -> None:
    json.dump(
        {
            "good": not findings,
            "studies": len(studies),
            "problems": [
                {
                    "file": each.file,
                    "line": each.line,
                    "study": each.study,
                    "by": each.by,
                    "path": each.problem.path,
                    "value": each.problem.value,
                    "remedy": each.problem.remedy,
                }
                for each in findings
            ],
        },
        stream,
        indent=2,
    )
    stream.write("\n")
