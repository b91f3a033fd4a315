"""What no CRD can say of the search space: conditions, lists of values, expressions, and the points to try first."""

import math
from collections.abc import Iterator, Mapping

from tuning_operator.api.derived import CircleError, derived_order
from tuning_operator.api.expressions import Compiled, ExpressionError, Kind, compile_expression, kind_of
from tuning_operator.api.parameters import Condition, Parameter, ParameterValues
from tuning_operator.api.problem import Problem, nearest, shown
from tuning_operator.api.study import StudySpec
from tuning_operator.api.values import among, can_be, described, lies_between, numbers, same


def space_problems(spec: StudySpec) -> list[Problem]:
    """Everything wrong with parameters, forbidden combinations and first points."""
    problems = [*_conditions(spec.parameters), *_lists(spec.parameters)]
    kinds, wrong = _expressions(spec.parameters)
    problems += wrong
    forbidden: list[Compiled] = []
    if not wrong:
        forbidden, wrong = _forbidden(spec.forbidden, kinds)
        problems += wrong
    return [*problems, *_enqueue(spec, forbidden)]


def _conditions(parameters: list[Parameter]) -> Iterator[Problem]:
    by_name = {parameter.name: parameter for parameter in parameters}
    parents = {each.name: [when.parameter for when in each.when] for each in parameters}
    reported: set[str] = set()
    for index, parameter in enumerate(parameters):
        cycle = _cycle(parents, parameter.name)
        if cycle and reported.isdisjoint(cycle):
            reported.update(cycle)
            way = " needs ".join([*cycle, cycle[0]])
            yield Problem(f"spec.parameters[{index}].when", way, "none of these could ever be active; remove one when")
        for at, when in enumerate(parameter.when):
            other = by_name.get(when.parameter)
            if other is not None:  # else the rule of the CRD says so
                yield from _condition(when, other, f"spec.parameters[{index}].when[{at}]")


def _condition(when: Condition, other: Parameter, where: str) -> Iterator[Problem]:
    for position, value in enumerate(when.values or ()):
        if not can_be(other, value):
            remedy = f"{other.name} never has this value; write {described(other)}"
            yield Problem(f"{where}.values[{position}]", shown(value), remedy)
    if when.values is not None:
        return
    if other.choice is not None:
        yield Problem(where, other.name, "a choice has no order; write values, or make it an ordinal")
    elif other.ordinal is not None and not numbers(other.ordinal):
        yield Problem(where, other.name, "its values are no numbers; write values instead of min and max")
    elif not lies_between(other, when.min, when.max):
        low = "" if when.min is None else f" from {when.min:g}"
        high = "" if when.max is None else f" to {when.max:g}"
        yield Problem(where, f"{low}{high}".strip(), f"{other.name} is never there; it is {described(other)}")


def _cycle(parents: Mapping[str, list[str]], start: str) -> list[str]:
    """A way from `start` along `when` back to itself; empty if there is none."""
    ways = [[start]]
    seen = set()
    while ways:
        way = ways.pop()
        for parent in parents.get(way[-1], []):
            if parent == start:
                return way
            if parent not in seen:
                seen.add(parent)
                ways.append([*way, parent])
    return []


def _lists(parameters: list[Parameter]) -> Iterator[Problem]:
    for index, parameter in enumerate(parameters):
        for kind, values in (("choice", parameter.choice or []), ("ordinal", parameter.ordinal or [])):
            for at, value in enumerate(values):
                if among(value, values[:at]):
                    yield Problem(
                        f"spec.parameters[{index}].{kind}[{at}]", shown(value), "is there twice; write it once"
                    )


def _expressions(parameters: list[Parameter]) -> tuple[dict[str, Kind], list[Problem]]:
    """What each parameter is in an expression, and what is wrong with those that are expressions."""
    place = {parameter.name: index for index, parameter in enumerate(parameters)}
    kinds = {each.name: kind_of(each) for each in parameters if each.expression is None}
    known = {each.name: kinds.get(each.name, Kind.ANY) for each in parameters}
    problems = []
    for parameter in parameters:
        if parameter.expression is not None:
            try:
                compile_expression(parameter.expression, known)
            except ExpressionError as error:
                where = f"spec.parameters[{place[parameter.name]}].expression"
                problems.append(Problem(where, shown(parameter.expression), str(error)))
    if problems:
        return {}, problems
    try:
        order = derived_order(parameters)
    except CircleError as error:
        where = f"spec.parameters[{place[error.names[0]]}].expression"
        return {}, [Problem(where, "", str(error))]
    for name in order:
        text = parameters[place[name]].expression or ""
        try:
            kinds[name] = compile_expression(text, kinds).kind
        except ExpressionError as error:
            return {}, [Problem(f"spec.parameters[{place[name]}].expression", shown(text), str(error))]
    return {name: kinds[name] for name in place}, []


def _forbidden(texts: list[str], kinds: Mapping[str, Kind]) -> tuple[list[Compiled], list[Problem]]:
    compiled, problems = [], []
    for at, text in enumerate(texts):
        try:
            each = compile_expression(text, kinds)
            if each.kind is not Kind.BOOL:
                found = {Kind.INT: "a whole number", Kind.DOUBLE: "a number", Kind.STRING: "a string"}
                raise ExpressionError(
                    f"comes to {found.get(each.kind, 'no truth value')}; write what is true of a forbidden "
                    "combination, for example layers * width > 4096"
                )
            compiled.append(each)
        except ExpressionError as error:
            problems.append(Problem(f"spec.forbidden[{at}]", shown(text), str(error)))
    return compiled, problems


def _enqueue(spec: StudySpec, forbidden: list[Compiled]) -> Iterator[Problem]:
    by_name = {parameter.name: parameter for parameter in spec.parameters}
    for at, point in enumerate(spec.enqueue):
        wrong = list(_point(point, by_name, f"spec.enqueue[{at}]"))
        yield from wrong
        if not wrong:
            met = [each.text for each in forbidden if each.holds(point)]
            if met:
                yield Problem(f"spec.enqueue[{at}]", shown(point), f"is forbidden by {met[0]!r}; change one of them")


def _point(point: ParameterValues, by_name: Mapping[str, Parameter], where: str) -> Iterator[Problem]:
    for name, value in point.items():
        parameter = by_name.get(name)
        if parameter is None:
            hint = nearest(name, by_name) or f"; write one of {', '.join(by_name)}"
            yield Problem(f"{where}.{name}", shown(value), f"is no parameter of this study{hint}")
        elif parameter.expression is not None:
            yield Problem(f"{where}.{name}", shown(value), "is computed by its expression; leave it out")
        elif not can_be(parameter, value):
            yield Problem(f"{where}.{name}", shown(value), f"is no value of {name}; write {described(parameter)}")
        else:
            for when in parameter.when:
                if when.parameter in point and not _met(when, point):
                    remedy = f"is not active where {when.parameter} is {shown(point[when.parameter])}; leave it out"
                    yield Problem(f"{where}.{name}", shown(value), remedy)


def _met(when: Condition, point: ParameterValues) -> bool:
    value = point[when.parameter]
    if when.values is not None:
        return any(same(value, each) for each in when.values)
    if isinstance(value, bool | str):
        return False
    return (-math.inf if when.min is None else when.min) <= value <= (math.inf if when.max is None else when.max)
