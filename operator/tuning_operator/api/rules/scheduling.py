"""Rules about budgets: the fidelity, the scheduler and its settings, and what they cannot go together with."""

from tuning_operator.api.rule import Rule, Shown, integer, word
from tuning_operator.api.rules.shared import Value, listed, settings_of
from tuning_operator.api.scheduling import PBTSettings

_SETTINGS = {"asha": "ASHA", "hyperband": "Hyperband", "median": "Median", "pbt": "PBT"}
_CONDITIONAL = "has(p.when) && p.when.size() > 0"
_POPULATION = f"(has(self.scheduler.pbt) ? self.scheduler.pbt.population : {PBTSettings().population})"


def _searched(spec: Value) -> bool:
    return any(each["name"] == spec["fidelity"]["parameter"] for each in spec["parameters"])


def _conditional(spec: Value) -> list[str]:
    return [each["name"] for each in spec["parameters"] if each.get("when")]


def _other(spec: Value) -> bool:
    """Another scheduler than PBT."""
    return bool(spec["scheduler"]["name"] != "PBT")


def _population(spec: Value) -> int:
    return int(spec["scheduler"].get("pbt", {}).get("population", PBTSettings().population))


_SHOWN_POPULATION = Shown(f"string({_POPULATION})", lambda self: str(_population(self)))

_PBT: tuple[Rule, ...] = (
    # Population based training is an algorithm of its own: it breeds its members from each other.
    Rule(
        "spec",
        "self.scheduler.name != 'PBT' || self.algorithm.name in ['Auto', 'Random']",
        lambda self: _other(self) or self["algorithm"]["name"] in ("Auto", "Random"),
        "scheduler PBT makes the suggestions itself, so algorithm {} would do nothing; write Auto or remove algorithm",
        (word("algorithm.name"),),
        field="algorithm.name",
    ),
    Rule(
        "spec",
        "self.scheduler.name != 'PBT' || self.objectives.size() == 1",
        lambda self: _other(self) or len(self["objectives"]) == 1,
        "scheduler PBT copies the best members, and needs one objective to say which these are; leave one, or write "
        "another scheduler",
        field="objectives",
    ),
    Rule(
        "spec",
        f"self.scheduler.name != 'PBT' || !self.parameters.exists(p, {_CONDITIONAL})",
        lambda self: _other(self) or not _conditional(self),
        "scheduler PBT changes parameters while a model trains, so none can come and go, but these have a when: {}; "
        "remove when, or write another scheduler",
        (Shown(f"self.parameters.filter(p, {_CONDITIONAL}).map(p, p.name)", lambda self: listed(_conditional(self))),),
        field="parameters",
    ),
    Rule(
        "spec",
        f"self.scheduler.name != 'PBT' || !has(self.limits.trials) || self.limits.trials >= {_POPULATION}",
        lambda self: _other(self) or self["limits"]["trials"] >= _population(self),
        "scheduler PBT has a population of {}, but limits.trials is {}; each member of each generation is a trial, "
        "write population times fidelity.max / fidelity.min trials for a full run",
        (_SHOWN_POPULATION, integer("limits.trials")),
        field="limits.trials",
    ),
    Rule(
        "spec",
        f"self.scheduler.name != 'PBT' || !has(dyn(self).enqueue) || dyn(self).enqueue.size() <= {_POPULATION}",
        lambda self: _other(self) or len(self["enqueue"]) <= _population(self),
        "enqueue has {} points, but only the first generation starts at given points, and the population is {}; write "
        "a larger population or fewer points",
        (
            Shown("string(dyn(self).enqueue.size())", lambda self: str(len(self["enqueue"]))),
            _SHOWN_POPULATION,
        ),
        field="enqueue",
    ),
    Rule(
        "spec",
        "self.scheduler.name != 'PBT' || !has(dyn(self).warmStart) || dyn(self).warmStart.size() == 0",
        lambda self: _other(self) or not self.get("warmStart"),
        "scheduler PBT learns from its own members only, so warmStart would do nothing; remove it, or write good "
        "parameters into enqueue",
        field="warmStart",
    ),
)

SCHEDULING: tuple[Rule, ...] = (
    Rule(
        "spec.fidelity",
        "self.min < self.max",
        lambda self: self["min"] < self["max"],
        "min {} is not below max {}; write a smaller min, or remove fidelity",
        (integer("min"), integer("max")),
        field="min",
    ),
    Rule(
        "spec",
        "!has(self.fidelity) || !self.parameters.exists(p, p.name == self.fidelity.parameter)",
        lambda self: not _searched(self),
        "fidelity.parameter {} is searched too, but it is the budget that the scheduler sets; remove it from "
        "parameters",
        (word("fidelity.parameter"),),
        field="fidelity.parameter",
    ),
    Rule(
        "spec",
        "self.scheduler.name == 'None' || has(self.fidelity)",
        lambda self: self["scheduler"]["name"] == "None" or "fidelity" in self,
        "scheduler {} needs fidelity; write what a cheaper trial is, for example fidelity: {parameter: epochs, "
        "min: 1, max: 27}",
        (word("scheduler.name"),),
        field="fidelity",
        reason="FieldValueRequired",
    ),
    Rule(
        "spec",
        "self.scheduler.name != 'None' || !has(self.fidelity)",
        lambda self: self["scheduler"]["name"] != "None" or "fidelity" not in self,
        "fidelity does nothing without a scheduler; name one, for example scheduler: {name: ASHA}, or remove fidelity "
        "and set {} in spec.trial",
        (word("fidelity.parameter"),),
        field="fidelity",
    ),
    *(settings_of("spec.scheduler", field, owner, what="scheduler") for field, owner in _SETTINGS.items()),
    *_PBT,
)
