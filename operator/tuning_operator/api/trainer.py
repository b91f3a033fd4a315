"""The shared trainer's settings as the operator knows them: a table, without the trainer and without torch.

`trainer_settings.json` is written by `python -m tuning_trainer --schema` and checked in. The trainer itself has the
last word; this finds, before anything starts, what it would refuse.
"""

import json
import operator
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from tuning_operator.api.base import JSONScalar
from tuning_operator.api.derived import kinds_of
from tuning_operator.api.expressions import ExpressionError, Kind
from tuning_operator.api.parameters import Parameter
from tuning_operator.api.problem import Problem, nearest, shown
from tuning_operator.api.scheduling import SchedulerName
from tuning_operator.api.study import StudySpec, TrialSpec
from tuning_operator.api.trainer_misfits import misfits
from tuning_operator.api.values import count

WORDS = {
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "an object",
}

KIND_WORDS = {
    Kind.BOOL: "true or false",
    Kind.STRING: "text",
    Kind.INT: "a whole number",
    Kind.DOUBLE: "a number",
}

BOUNDS = (
    ("minimum", "at least", operator.lt),
    ("exclusiveMinimum", "more than", operator.le),
    ("maximum", "at most", operator.gt),
    ("exclusiveMaximum", "less than", operator.ge),
)

Settings = Mapping[str, Any]


@cache
def known() -> Settings:
    """The table; see `tuning_trainer.config.schema` for its form."""
    table: Settings = json.loads((files(__package__) / "trainer_settings.json").read_text())
    return table


def trainer_problems(spec: StudySpec, table: Settings | None = None) -> list[Problem]:
    """Settings and parameters that the shared trainer does not know or cannot use."""
    if spec.trial.trainer is None:
        return []
    table = table or known()
    problems: list[Problem] = []
    fixed = dict(_flat(spec.trial.trainer, "", table, problems))
    tuned = _tuned(spec, table, problems)
    for path, value in fixed.items():
        problems += _value_problems(table["settings"][path], f"spec.trial.trainer.{path}", value)
    kinds = _kinds(spec)
    for path, (index, parameter) in tuned.items():
        problems += _range_problems(_setting(path, table), f"spec.parameters[{index}]", parameter)
        problems += _shared_problems(spec, _setting(path, table), f"spec.parameters[{index}].name", parameter)
        if parameter.expression is not None and parameter.name in kinds:
            where = f"spec.parameters[{index}].expression"
            problems += _kind_problems(_setting(path, table), where, parameter.expression, kinds[parameter.name])
    problems += _without_effect(fixed, tuned, table)
    problems += _missing(fixed, tuned, table)
    replicated = spec.trial.replicates.parameter if spec.trial.replicates is not None else None
    varied = _path_of(replicated, table) if replicated is not None else None
    problems += misfits(fixed, tuned, replicated=varied if isinstance(varied, str) else None)
    return problems


def setting_problem(trial: TrialSpec, name: str) -> str:
    """What is wrong with a name that is to be set in every trial; empty if the trainer or the template knows it."""
    if trial.trainer is None or f"$({variable(name)})" in json.dumps(trial.template):
        return ""
    path = _path_of(name, known())
    if isinstance(path, list):
        return f"could mean {' or '.join(path)}; write the whole"
    hint = nearest(name, known()["names"]) or "; see the trainer's settings"
    return "" if path is not None else f"is no setting of the trainer{hint}"


def for_trainer(parameters: Mapping[str, JSONScalar]) -> dict[str, JSONScalar]:
    """The parameters that the trainer takes; it refuses those that only fill fields of the Job."""
    return {name: value for name, value in parameters.items() if _path_of(name, known())}


def variable(parameter: str) -> str:
    """The environment variable of a parameter: `optimizer.lr` -> `TUNING_PARAM_OPTIMIZER_LR`."""
    return "TUNING_PARAM_" + parameter.upper().replace(".", "_").replace("-", "_")


def _flat(tree: Mapping[str, Any], prefix: str, table: Settings, problems: list[Problem]) -> Iterator[tuple[str, Any]]:
    """Settings by path; `data: digits` is short for `data: {name: digits}`."""
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if path in table["choices"] and isinstance(value, str):
            yield f"{path}.name", value
        elif path in table["sections"]:
            if isinstance(value, dict):
                yield from _flat(value, f"{path}.", table, problems)
            else:
                problems.append(Problem(f"spec.trial.trainer.{path}", shown(value), "write an object of settings"))
        elif path in table["settings"]:
            yield path, value
        else:
            siblings = {
                each[len(prefix) :].partition(".")[0]
                for each in (*table["settings"], *table["sections"])
                if each.startswith(prefix)
            }
            hint = nearest(name, siblings) or f"; write one of {', '.join(sorted(siblings))}"
            if not prefix and isinstance(full := table["names"].get(name), str):
                hint = f", write it as {full}"
            problems.append(Problem(f"spec.trial.trainer.{path}", shown(value), f"is no setting of the trainer{hint}"))


def _tuned(spec: StudySpec, table: Settings, problems: list[Problem]) -> dict[str, tuple[int, Parameter]]:
    """Parameters by the path of the setting they stand for; those that fill a field of the Job need not be settings."""
    bound = {bind.parameter for bind in spec.trial.bind}
    template = json.dumps(spec.trial.template)
    tuned: dict[str, tuple[int, Parameter]] = {}
    for index, parameter in enumerate(spec.parameters):
        where = f"spec.parameters[{index}].name"
        path = _path_of(parameter.name, table)
        if isinstance(path, list):
            problems.append(Problem(where, shown(parameter.name), f"could mean {' or '.join(path)}; write the whole"))
        elif path is None:
            if parameter.name not in bound and f"$({variable(parameter.name)})" not in template:
                hint = nearest(parameter.name, table["names"]) or "; see the trainer's settings"
                remedy = f"is no setting of the trainer and fills no field of the Job{hint}"
                problems.append(Problem(where, shown(parameter.name), remedy))
        elif path in tuned:
            other = tuned[path][1].name
            problems.append(Problem(where, shown(parameter.name), f"sets {path}, as {other} does; keep one of them"))
        else:
            tuned[path] = (index, parameter)
    return tuned


def _path_of(name: str, table: Settings) -> str | list[str] | None:
    """The path that a parameter's name means, which may lie in an open setting; several where it is ambiguous."""
    if any(name.startswith(f"{each}.") for each in table["open"]):
        return name
    found: str | list[str] | None = table["names"].get(name)
    return found


def _setting(path: str, table: Settings) -> Settings:
    """The row of a path. What lies in an open setting can be any value, and belongs where that setting does."""
    row: Settings | None = table["settings"].get(path)
    if row is not None:
        return row
    around = next(each for each in table["open"] if path.startswith(f"{each}."))
    return {**table["settings"][around], "type": ["boolean", "integer", "null", "number", "string"]}


def _value_problems(setting: Settings, where: str, value: Any) -> Iterator[Problem]:
    types = setting["type"]
    if not any(_is(kind, value) for kind in types):
        yield Problem(where, shown(value), f"write {_expected(setting)}")
    elif isinstance(value, str):
        if "choices" in setting and value not in setting["choices"]:
            hint = nearest(value, setting["choices"])
            yield Problem(where, shown(value), f"write {_expected(setting)}{hint}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        remedy = _out_of_bounds(setting, value)
        if remedy:
            yield Problem(where, shown(value), remedy)
        elif "values" in setting and value not in setting["values"]:
            yield Problem(where, shown(value), f"write one of {', '.join(map(str, setting['values']))}")


def _range_problems(setting: Settings, where: str, parameter: Parameter) -> Iterator[Problem]:
    for listed, values in (("choice", parameter.choice or []), ("ordinal", parameter.ordinal or [])):
        for at, value in enumerate(values):
            yield from _value_problems(setting, f"{where}.{listed}[{at}]", value)
    held = parameter.float_ or parameter.int_
    if held is None:
        return
    kind = "float" if parameter.float_ else "int"
    if not {"integer", "number"} & set(setting["type"]):
        remedy = f"the setting takes no range; write a choice: {_expected(setting)}"
        yield Problem(f"{where}.{kind}", parameter.name, remedy)
    elif kind == "float" and "number" not in setting["type"]:
        yield Problem(f"{where}.float", parameter.name, "the setting is a whole number; write int instead of float")
    else:
        for end, value in (("min", held.min), ("max", held.max)):
            if remedy := _out_of_bounds(setting, value):
                yield Problem(f"{where}.{kind}.{end}", shown(value), remedy)


def _kinds(spec: StudySpec) -> Mapping[str, Kind]:
    try:
        return kinds_of(spec.parameters)
    except ExpressionError:
        return {}  # said where expressions are checked


def _kind_problems(setting: Settings, where: str, text: str, kind: Kind) -> Iterator[Problem]:
    """What an expression comes to must be what the setting takes."""
    fits = {Kind.BOOL: {"boolean"}, Kind.STRING: {"string"}, Kind.INT: {"integer", "number"}, Kind.DOUBLE: {"number"}}
    if kind is Kind.ANY or fits[kind] & set(setting["type"]):
        return
    whole = kind is Kind.DOUBLE and "integer" in setting["type"]
    remedy = f"write int({text})" if whole else f"write one that comes to {_expected(setting)}"
    yield Problem(where, shown(text), f"comes to {KIND_WORDS[kind]}, but the setting is {_expected(setting)}; {remedy}")


def _without_effect(
    fixed: Mapping[str, Any], tuned: Mapping[str, tuple[int, Parameter]], table: Settings
) -> Iterator[Problem]:
    """Settings of `momentum`'s kind, which only some optimizers have, where the optimizer is fixed to another."""
    for path in (*fixed, *tuned):
        for section, members in _setting(path, table).get("members", {}).items():
            chosen = _possible(section, fixed, tuned, table)
            if chosen and not set(chosen) & set(members):
                if path in tuned:
                    where, value = f"spec.parameters[{tuned[path][0]}]", tuned[path][1].name
                else:
                    where, value = f"spec.trial.trainer.{path}", shown(fixed[path])
                remedy = f"has no effect with {section} {' or '.join(chosen)}; it belongs to {', '.join(members)}"
                yield Problem(where, value, remedy)


def _shared_problems(spec: StudySpec, setting: Settings, where: str, parameter: Parameter) -> Iterator[Problem]:
    """With PBT the weights of one trial go on in another, so none may differ in what these are weights of."""
    if spec.scheduler.name is SchedulerName.PBT and setting.get("shared") and count(parameter) != 1:
        remedy = (
            "scheduler PBT copies the weights of one trial to another, which must have the same model and data; set it "
            "in spec.trial.trainer, or write another scheduler"
        )
        yield Problem(where, shown(parameter.name), remedy)


def _missing(
    fixed: Mapping[str, Any], tuned: Mapping[str, tuple[int, Parameter]], table: Settings
) -> Iterator[Problem]:
    for path, setting in table["settings"].items():
        if not setting.get("required") or path in fixed or path in tuned:
            continue
        sections = setting.get("members", {})
        always = all(
            (chosen := _possible(section, fixed, tuned, table)) and set(chosen) <= set(members)
            for section, members in sections.items()
        )
        if always and (sections or path.endswith(".name")):
            yield Problem(f"spec.trial.trainer.{path}", "", f"is missing; write {_expected(setting)}")


def _possible(
    section: str, fixed: Mapping[str, Any], tuned: Mapping[str, tuple[int, Parameter]], table: Settings
) -> list[str]:
    """The members of a choice of sections that trials can have."""
    path = f"{section}.name"
    if path in tuned:
        return [str(value) for value in tuned[path][1].choice or tuned[path][1].ordinal or []]
    chosen = fixed.get(path, table["defaults"].get(section))
    return [str(chosen)] if chosen is not None else []


def _is(kind: str, value: Any) -> bool:
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case _:
            return isinstance(value, dict)


def _expected(setting: Settings) -> str:
    words = []
    for kind in setting["type"]:
        if kind == "string" and "choices" in setting:
            words.append(f"one of {', '.join(setting['choices'])}")
        elif kind in WORDS and not (kind == "integer" and "number" in setting["type"]):
            words.append(WORDS[kind])
    return " or ".join(words)


def _out_of_bounds(setting: Settings, value: float) -> str:
    for bound, word, outside in BOUNDS:
        if bound in setting and outside(value, setting[bound]):
            return f"the trainer takes {word} {setting[bound]}; write such a value"
    return ""
