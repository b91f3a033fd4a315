"""The rules between fields of a study, each once as CEL and once as Python (of a trial: `trial_rules.py`).

The API server holds every write against the CEL, `tuning check` holds files against the Python; a test feeds the same
studies to both. What does nothing yet is refused by the table in `unsupported.py`.

About the CEL: `dyn(self).x` reaches fields that hold free JSON, which are hidden from `self.x` and can only be compared
whole.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tuning_operator.api.rule import Rule, Shown, Transition, integer, number, word
from tuning_operator.api.unsupported import NOT_YET

Value = dict[str, Any]


def _objectives() -> list[Rule]:
    return [
        Rule(
            "spec.objectives[]",
            "self.summarize != 'Mean' || has(self.window)",
            lambda self: self["summarize"] != "Mean" or "window" in self,
            "objective {}: summarize: Mean needs a window; write how many last values count, for example window: 3",
            (word("metric"),),
            field="window",
            reason="FieldValueRequired",
        ),
        Rule(
            "spec.objectives[]",
            "self.summarize == 'Mean' || !has(self.window)",
            lambda self: self["summarize"] == "Mean" or "window" not in self,
            "objective {}: window has no meaning with summarize: {}; remove it or write summarize: Mean",
            (word("metric"), word("summarize")),
            field="window",
        ),
        Rule(
            "spec.constraints[]",
            "has(self.min) || has(self.max)",
            lambda self: "min" in self or "max" in self,
            "constraint on {} bounds nothing; write min, max or both",
            (word("metric"),),
            reason="FieldValueRequired",
        ),
        Rule(
            "spec.constraints[]",
            "!has(self.min) || !has(self.max) || self.min <= self.max",
            lambda self: "min" not in self or "max" not in self or self["min"] <= self["max"],
            "constraint on {}: min {} is above max {}; no value can meet both, write a min that is at most max",
            (word("metric"), number("min"), number("max")),
            field="min",
        ),
    ]


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


def _parameters() -> list[Rule]:
    conditions_cel = "has(p.when) && !p.when.all(w, self.parameters.exists(q, q.name == w.parameter))"
    return [
        Rule(
            "spec.parameters[]",
            "[has(self.float), has(self.int), has(dyn(self).choice)].filter(each, each).size() == 1",
            lambda self: sum(kind in self for kind in ("float", "int", "choice")) == 1,
            "parameter {} needs exactly one of float, int and choice; write for example "
            "float: {min: 0.001, max: 0.1} or choice: [a, b]",
            (word("name"),),
        ),
        *_range("float", number, least="> 0.0", above="above 0"),
        *_range("int", integer, least=">= 1", above="of at least 1"),
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
            f"!self.parameters.exists(p, {conditions_cel})",
            lambda self: not list(_unknown_conditions(self)),
            "parameter {} has a when on {}, which does not exist; write one of: {}",
            (
                Shown(
                    f"self.parameters.filter(p, {conditions_cel})[0].name",
                    lambda self: next(_unknown_conditions(self))[0],
                ),
                Shown(
                    f"self.parameters.map(p, {conditions_cel}, "
                    "p.when.filter(w, !self.parameters.exists(q, q.name == w.parameter))[0].parameter)[0]",
                    lambda self: next(_unknown_conditions(self))[1],
                ),
                _ALL_NAMES,
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
                    lambda self: _listed(_env_clash(self)),
                ),
            ),
            field="parameters",
        ),
    ]


def _search() -> list[Rule]:
    stepless = "has(p.float) && !has(p.float.step)"
    return [
        Rule(
            "spec",
            f"self.algorithm.name != 'Grid' || !self.parameters.exists(p, {stepless})",
            lambda self: self["algorithm"]["name"] != "Grid" or not _stepless(self),
            "algorithm Grid needs finitely many values, but these parameters have a float range without step: {}; "
            "write a step or a choice for each, or another algorithm",
            (
                Shown(
                    f"self.parameters.filter(p, {stepless}).map(p, p.name)",
                    lambda self: _listed(_stepless(self)),
                ),
            ),
            field="algorithm",
        ),
        Rule(
            "spec",
            "self.algorithm.name == 'Grid' || has(self.limits.trials)",
            lambda self: self["algorithm"]["name"] == "Grid" or "trials" in self["limits"],
            "algorithm {} needs limits.trials; write how many trials there may be at most, for example trials: 60",
            (word("algorithm.name"),),
            field="limits.trials",
            reason="FieldValueRequired",
        ),
        Rule(
            "spec.algorithm",
            "!has(self.tpe) || self.name in ['TPE', 'Auto']",
            lambda self: "tpe" not in self or self["name"] in ("TPE", "Auto"),
            "tpe holds settings of TPE, but the algorithm is {}; remove tpe or write name: TPE",
            (word("name"),),
            field="tpe",
        ),
        Rule(
            "spec.fidelity",
            "self.min < self.max",
            lambda self: self["min"] < self["max"],
            "min {} is not below max {}; write a smaller min, or remove fidelity",
            (integer("min"), integer("max")),
            field="min",
        ),
    ]


def _trial() -> list[Rule]:
    return [
        Rule(
            "spec.trial",
            "has(dyn(self).trainer) || has(self.template)",
            lambda self: "trainer" in self or "template" in self,
            "a trial needs trainer (settings of the shared trainer), template (any Job), or both; write for example "
            "trainer: {data: {name: digits}}",
            reason="FieldValueRequired",
        ),
        Rule(
            "spec",
            "!has(self.trial.bind) || self.trial.bind.all(b, self.parameters.exists(p, p.name == b.parameter))",
            lambda self: not _unbound(self),
            "bind names parameters that do not exist: {}; write one of: {}",
            (
                Shown(
                    "self.trial.bind.filter(b, !self.parameters.exists(p, p.name == b.parameter)).map(b, b.parameter)",
                    lambda self: _listed(_unbound(self)),
                ),
                _ALL_NAMES,
            ),
            field="trial.bind",
        ),
        Rule(
            "spec.final",
            "self.retrain || self.evaluate != 'None' || has(self.export)",
            lambda self: self["retrain"] or self["evaluate"] != "None" or "export" in self,
            "final does nothing with retrain: false and evaluate: None; write one of them, or remove final",
        ),
    ]


def _frozen(field: str, *parts: str, states: tuple[str, ...], order: str = "") -> Transition:
    """`field` may change only while no trial is in one of these states."""
    counts = "oldSelf.status.counts"
    free = f"!has(oldSelf.status) || !has({counts}) || {' + '.join(f'{counts}.{state}' for state in states)} == 0"
    same = " && ".join(_same_cel(f"spec.{part}") for part in parts or (field,))
    if order:  # equality of keyed lists does not look at it, the search does
        same += " && " + " == ".join(f"{it}.spec.{field}.map(x, x.{order})" for it in ("self", "oldSelf"))

    def holds(old: Value, new: Value) -> bool:
        seen = old.get("status", {}).get("counts", {})
        if not any(seen.get(state, 0) for state in states):
            return True
        return all(_dig(old["spec"], part) == _dig(new["spec"], part) for part in parts or (field,))

    return Transition(
        "",
        f"{free} || ({same})",
        holds,
        f"{field} cannot change once the study has trials: their results would no longer mean what they say; "
        "write it back as it was, and create a study with another name for the change",
        field=f"spec.{field}",
    )


def _same_cel(path: str) -> str:
    parent, _, last = path.rpartition(".")
    before, after = f"dyn(oldSelf.{parent})", f"dyn(self.{parent})"
    return f"(has({after}.{last}) ? has({before}.{last}) && {after}.{last} == {before}.{last} : !has({before}.{last}))"


def _dig(value: Value, path: str) -> Any:
    for step in path.split("."):
        value = value.get(step, {})
    return value


_ALL_NAMES = Shown("self.parameters.map(p, p.name)", lambda self: _listed(each["name"] for each in self["parameters"]))


def _listed(names: Iterable[str]) -> str:
    """As CEL's `format` writes a list."""
    return json.dumps(list(names))


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


def _stepless(spec: Value) -> list[str]:
    return [each["name"] for each in spec["parameters"] if "float" in each and "step" not in each["float"]]


def _unbound(spec: Value) -> list[str]:
    names = {each["name"] for each in spec["parameters"]}
    bound = [each["parameter"] for each in spec["trial"].get("bind", [])]
    return [name for name in bound if name not in names]


_CREATED = ("total",)
_STARTED = ("running", "succeeded", "failed", "stopped")

STUDY_RULES: tuple[Rule, ...] = (*_objectives(), *_parameters(), *_search(), *_trial(), *NOT_YET)
"""What every study must meet."""

STUDY_TRANSITIONS: tuple[Transition, ...] = (
    # A study without trials may be corrected in everything.
    _frozen("objectives", states=_CREATED, order="metric"),
    _frozen("constraints", states=_CREATED),
    _frozen("parameters", states=_CREATED, order="name"),
    _frozen("algorithm", states=_CREATED),
    _frozen("fidelity", states=_CREATED),
    _frozen("scheduler", states=_CREATED),
    _frozen("warmStart", states=_CREATED),
    # What a trial is may be corrected until one has run: a wrong image must not cost the study. `retries` and `timeout`
    # may always change.
    _frozen(
        "trial",
        *(f"trial.{part}" for part in ("trainer", "template", "bind", "accelerator", "checkpoints", "workers")),
        states=_STARTED,
    ),
    _frozen("metrics", states=_STARTED),
    _frozen("final", states=_STARTED),
)
"""What a change of a study must meet; `limits` and `suspend` may always change."""
