"""Rules about the search space: the kinds of parameters, their ranges, and what they depend on."""

from collections.abc import Callable, Iterator

from tuning_operator.api.rule import Rule, Shown, integer, number, word
from tuning_operator.api.rules.shared import ALL_NAMES, Value, listed

_KINDS = ("float", "int", "choice", "ordinal", "expression")
_UNKNOWN = "has(p.when) && !p.when.all(w, self.parameters.exists(q, q.name == w.parameter))"
_DERIVED = "has(p.when) && p.when.exists(w, self.parameters.exists(q, q.name == w.parameter && has(q.expression)))"


def _range(kind: str, shown: Callable[[str], Shown], least: str, above: str) -> list[Rule]:
    """The rules of `float` or `int`; they sit on the parameter so that their messages can name it."""

    def held(condition: Callable[[Value], bool]) -> Callable[[Value], bool]:
        return lambda self: kind not in self or condition(self[kind])

    def cel(condition: str) -> str:
        return f"!has(self.{kind}) || " + condition.replace("$", f"self.{kind}")

    low, high, step = shown(f"{kind}.min"), shown(f"{kind}.max"), shown(f"{kind}.step")
    return [
        Rule(
            "spec.parameters[]",
            cel("$.min < $.max"),
            held(lambda range: range["min"] < range["max"]),
            "parameter {}: min {} is not below max {}; write a smaller min, or for a fixed value set it in spec.trial "
            "and remove the parameter",
            (word("name"), low, high),
            field=f"{kind}.min",
        ),
        Rule(
            "spec.parameters[]",
            cel(f"$.scale != 'Log' || $.min {least}"),
            held(lambda range: range["scale"] != "Log" or (range["min"] >= 1 if kind == "int" else range["min"] > 0)),
            f"parameter {{}}: scale: Log needs a min {above}, but min is {{}}; write a larger min or scale: Linear",
            (word("name"), low),
            field=f"{kind}.min",
        ),
        Rule(
            "spec.parameters[]",
            cel("$.scale != 'Log' || !has($.step)"),
            held(lambda range: range["scale"] != "Log" or "step" not in range),
            "parameter {}: step {} and scale: Log exclude each other; remove one, or list the values as a choice",
            (word("name"), step),
            field=f"{kind}.step",
        ),
        Rule(
            "spec.parameters[]",
            cel("!has($.step) || $.min >= $.max || $.step <= $.max - $.min"),
            held(lambda r: "step" not in r or r["min"] >= r["max"] or r["step"] <= r["max"] - r["min"]),
            "parameter {}: step {} is wider than the range from {} to {}; write a smaller step",
            (word("name"), step, low, high),
            field=f"{kind}.step",
        ),
    ]


def _prior() -> list[Rule]:
    return [
        Rule(
            "spec.parameters[]",
            "!has(self.float) || !has(self.float.prior) || !has(self.float.step)",
            lambda self: "float" not in self or "prior" not in self["float"] or "step" not in self["float"],
            "parameter {}: prior and step exclude each other; remove one",
            (word("name"),),
            field="float.prior",
        ),
        Rule(
            "spec.parameters[]",
            "!has(self.float) || !has(self.float.prior) || "
            "(self.float.min <= self.float.prior.mean && self.float.prior.mean <= self.float.max)",
            lambda self: (
                "float" not in self
                or "prior" not in self["float"]
                or self["float"]["min"] <= self["float"]["prior"]["mean"] <= self["float"]["max"]
            ),
            "parameter {}: the prior's mean {} is outside the range from {} to {}; write a mean inside it",
            (word("name"), number("float.prior.mean"), number("float.min"), number("float.max")),
            field="float.prior.mean",
        ),
    ]


def _conditions() -> list[Rule]:
    return [
        Rule(
            "spec.parameters[].when[]",
            "has(dyn(self).values) != (has(self.min) || has(self.max))",
            lambda self: ("values" in self) != ("min" in self or "max" in self),
            "when on {} needs either values or a range; write values: [...], or min, max or both",
            (word("parameter"),),
        ),
        Rule(
            "spec.parameters[].when[]",
            "!has(self.min) || !has(self.max) || self.min <= self.max",
            lambda self: "min" not in self or "max" not in self or self["min"] <= self["max"],
            "when on {}: min {} is above max {}; write a min that is at most max",
            (word("parameter"), number("min"), number("max")),
            field="min",
        ),
    ]


def _env_cel(variable: str) -> str:
    return f"{variable}.name.upperAscii().replace('.', '_').replace('-', '_')"


def _env_clash(spec: Value) -> list[str]:
    envs = [each["name"].upper().replace(".", "_").replace("-", "_") for each in spec["parameters"]]
    return [each["name"] for each, env in zip(spec["parameters"], envs, strict=True) if envs.count(env) > 1]


def _unknown_conditions(spec: Value) -> Iterator[tuple[str, str]]:
    names = {each["name"] for each in spec["parameters"]}
    for each in spec["parameters"]:
        for when in each.get("when", []):
            if when["parameter"] not in names:
                yield each["name"], when["parameter"]


def _derived_conditions(spec: Value) -> Iterator[tuple[str, str]]:
    derived = {each["name"] for each in spec["parameters"] if "expression" in each}
    for each in spec["parameters"]:
        for when in each.get("when", []):
            if when["parameter"] in derived:
                yield each["name"], when["parameter"]


PARAMETERS: tuple[Rule, ...] = (
    Rule(
        "spec.parameters[]",
        "[has(self.float), has(self.int), has(dyn(self).choice), has(dyn(self).ordinal), has(self.expression)]"
        ".filter(each, each).size() == 1",
        lambda self: sum(kind in self for kind in _KINDS) == 1,
        "parameter {} needs exactly one of float, int, choice, ordinal and expression; write for example "
        "float: {min: 0.001, max: 0.1} or choice: [a, b]",
        (word("name"),),
    ),
    *_range("float", number, least="> 0.0", above="above 0"),
    *_range("int", integer, least=">= 1", above="of at least 1"),
    *_prior(),
    *_conditions(),
    Rule(
        "spec.parameters[]",
        "!has(self.when) || self.when.all(w, w.parameter != self.name)",
        lambda self: all(when["parameter"] != self["name"] for when in self.get("when", [])),
        "parameter {} depends on itself; name another parameter in when, or remove when",
        (word("name"),),
        field="when",
    ),
    Rule(
        "spec",
        f"!self.parameters.exists(p, {_UNKNOWN})",
        lambda self: not list(_unknown_conditions(self)),
        "parameter {} has a when on {}, which does not exist; write one of: {}",
        (
            Shown(
                f"self.parameters.filter(p, {_UNKNOWN})[0].name",
                lambda self: next(_unknown_conditions(self))[0],
            ),
            Shown(
                f"self.parameters.map(p, {_UNKNOWN}, "
                "p.when.filter(w, !self.parameters.exists(q, q.name == w.parameter))[0].parameter)[0]",
                lambda self: next(_unknown_conditions(self))[1],
            ),
            ALL_NAMES,
        ),
        field="parameters",
    ),
    Rule(
        "spec",
        f"self.parameters.all(p, self.parameters.exists_one(q, {_env_cel('p')} == {_env_cel('q')}))",
        lambda self: not _env_clash(self),
        "parameters {} would share one environment variable TUNING_PARAM_*: upper case, and - and . become _; "
        "rename one",
        (
            Shown(
                f"self.parameters.filter(p, !self.parameters.exists_one(q, {_env_cel('p')} == {_env_cel('q')}))"
                ".map(p, p.name)",
                lambda self: listed(_env_clash(self)),
            ),
        ),
        field="parameters",
    ),
    Rule(
        "spec",
        f"!self.parameters.exists(p, {_DERIVED})",
        lambda self: not list(_derived_conditions(self)),
        "parameter {} has a when on {}, which is an expression; name the parameters that the expression is made of",
        (
            Shown(
                f"self.parameters.filter(p, {_DERIVED})[0].name",
                lambda self: next(_derived_conditions(self))[0],
            ),
            Shown(
                f"self.parameters.map(p, {_DERIVED}, p.when.filter(w, self.parameters.exists(q, "
                "q.name == w.parameter && has(q.expression)))[0].parameter)[0]",
                lambda self: next(_derived_conditions(self))[1],
            ),
        ),
        field="parameters",
    ),
    Rule(
        "spec",
        "self.parameters.exists(p, !has(p.expression))",
        lambda self: any("expression" not in each for each in self["parameters"]),
        "every parameter is an expression, so there is nothing to search; write a float, int, choice or ordinal",
        field="parameters",
    ),
)
