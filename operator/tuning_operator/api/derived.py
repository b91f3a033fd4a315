"""Which parameter is derived from which: an order in which they can be computed, and what each of them is."""

from collections.abc import Mapping, Sequence

from tuning_operator.api.expressions import ExpressionError, Kind, compile_expression, kind_of, references
from tuning_operator.api.parameters import Parameter


class CircleError(ExpressionError):
    """Expressions wait for each other."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        way = " needs ".join([*names, names[0]])
        super().__init__(f"{way}: none of these can ever be computed; write one without the others")


def derived_order(parameters: Sequence[Parameter]) -> list[str]:
    """Names of the expressions, each behind those it is made of, otherwise as written. Raises `ExpressionError`."""
    known = {parameter.name: parameter for parameter in parameters}
    needs = {
        each.name: [name for name in references(each.expression, known) if known[name].expression is not None]
        for each in parameters
        if each.expression is not None
    }
    ordered: list[str] = []
    while len(ordered) < len(needs):
        ready = next((name for name in needs if name not in ordered and set(needs[name]) <= set(ordered)), None)
        if ready is None:
            raise CircleError(_circle(needs, ordered))
        ordered.append(ready)
    return ordered


def kinds_of(parameters: Sequence[Parameter]) -> dict[str, Kind]:
    """What each parameter is in an expression. Raises `ExpressionError`."""
    by_name = {parameter.name: parameter for parameter in parameters}
    kinds: dict[str, Kind] = {each.name: kind_of(each) for each in parameters if each.expression is None}
    for name in derived_order(parameters):
        kinds[name] = compile_expression(by_name[name].expression or "", kinds).kind
    return {name: kinds[name] for name in by_name}


def _circle(needs: Mapping[str, Sequence[str]], ordered: Sequence[str]) -> list[str]:
    """A way back to itself among those that cannot be put in order."""
    at = next(name for name in needs if name not in ordered)
    way: list[str] = []
    while at not in way:
        way.append(at)
        at = next(name for name in needs[at] if name not in ordered)
    return way[way.index(at) :]
