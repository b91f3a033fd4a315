"""Rules about how parameters are suggested: the algorithm and its settings, first points, earlier results, ends."""

from tuning_operator.api.rule import Rule, Shown, integer, word
from tuning_operator.api.rules.shared import Value, either, listed, settings_of, words_cel

_ONE_OBJECTIVE = ("CMAES", "Evolution")
_SOURCES = ("study", "selector", "configMap", "trials", "optuna")
_SETTINGS = {
    "tpe": ("TPE", "Auto"),
    "gp": ("GP", "Auto"),
    "quasiRandom": ("QuasiRandom",),
    "cmaes": ("CMAES",),
    "nsga": ("NSGAII", "NSGAIII"),
    "evolution": ("Evolution",),
}
_STEPLESS = "has(p.float) && !has(p.float.step)"


def _stepless(spec: Value) -> list[str]:
    return [each["name"] for each in spec["parameters"] if "float" in each and "step" not in each["float"]]


def _improves(spec: Value) -> bool:
    """There is a model of one objective that can say what it expects."""
    named = spec["algorithm"]["name"] in ("GP", "Auto")
    return named and len(spec["objectives"]) == 1 and spec["scheduler"]["name"] != "PBT"


def _enough_trials(spec: Value) -> bool:
    return "trials" not in spec["limits"] or len(spec["enqueue"]) <= spec["limits"]["trials"]


_OBJECTIVES = Shown("string(self.objectives.size())", lambda self: str(len(self["objectives"])))

ALGORITHM: tuple[Rule, ...] = (
    Rule(
        "spec",
        f"self.algorithm.name != 'Grid' || !self.parameters.exists(p, {_STEPLESS})",
        lambda self: self["algorithm"]["name"] != "Grid" or not _stepless(self),
        "algorithm Grid needs finitely many values, but these parameters have a float range without step: {}; "
        "write a step or a choice for each, or another algorithm",
        (Shown(f"self.parameters.filter(p, {_STEPLESS}).map(p, p.name)", lambda self: listed(_stepless(self))),),
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
    *(settings_of("spec.algorithm", field, *owners, what="algorithm") for field, owners in _SETTINGS.items()),
    Rule(
        "spec.algorithm.evolution",
        "self.sample <= self.population",
        lambda self: self["sample"] <= self["population"],
        "evolution: sample {} is larger than population {}; a tournament is held among the population, write at most "
        "its size",
        (integer("sample"), integer("population")),
        field="sample",
    ),
    Rule(
        "spec",
        f"self.objectives.size() == 1 || !(self.algorithm.name in {words_cel(_ONE_OBJECTIVE)})",
        lambda self: len(self["objectives"]) == 1 or self["algorithm"]["name"] not in _ONE_OBJECTIVE,
        "algorithm {} searches for one objective, but there are {}; write GP, NSGAII, TPE or Auto, or leave one "
        "objective and make the others constraints",
        (word("algorithm.name"), _OBJECTIVES),
        field="algorithm.name",
    ),
    Rule(
        "spec",
        "!has(self.limits.minImprovement) || "
        "(self.objectives.size() == 1 && self.algorithm.name in ['GP', 'Auto'] && self.scheduler.name != 'PBT')",
        lambda self: "minImprovement" not in self["limits"] or _improves(self),
        "limits.minImprovement needs a model of one objective, but there are {} objectives, algorithm {} and "
        "scheduler {}; remove it, or write one objective and algorithm GP",
        (_OBJECTIVES, word("algorithm.name"), word("scheduler.name")),
        field="limits.minImprovement",
    ),
    Rule(
        "spec",
        "!has(dyn(self).enqueue) || !has(self.limits.trials) || dyn(self).enqueue.size() <= self.limits.trials",
        lambda self: "enqueue" not in self or _enough_trials(self),
        "enqueue has {} points, but limits.trials is {}; write more trials or fewer points",
        (
            Shown("string(dyn(self).enqueue.size())", lambda self: str(len(self["enqueue"]))),
            integer("limits.trials"),
        ),
        field="enqueue",
    ),
    Rule(
        "spec.warmStart[]",
        f"[{', '.join(f'has(dyn(self).{source})' for source in _SOURCES)}].filter(each, each).size() == 1",
        lambda self: sum(source in self for source in _SOURCES) == 1,
        f"a warm start needs exactly one of {either(_SOURCES)}; write for example study: name-of-an-earlier-study",
    ),
)
