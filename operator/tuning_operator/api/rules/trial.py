"""Rules about what a trial is, how often it runs, and what happens after the search."""

from tuning_operator.api.rule import Rule, Shown, word
from tuning_operator.api.rules.shared import ALL_NAMES, Value, listed


def _unbound(spec: Value) -> list[str]:
    names = {each["name"] for each in spec["parameters"]}
    bound = [each["parameter"] for each in spec["trial"].get("bind", [])]
    return [name for name in bound if name not in names]


def _named(spec: Value, name: str) -> bool:
    return any(each["name"] == name for each in spec["parameters"])


TRIAL: tuple[Rule, ...] = (
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
                lambda self: listed(_unbound(self)),
            ),
            ALL_NAMES,
        ),
        field="trial.bind",
    ),
    Rule(
        "spec.final",
        "self.retrain || self.evaluate != 'None' || has(self.export) || has(self.confirm)",
        lambda self: self["retrain"] or self["evaluate"] != "None" or "export" in self or "confirm" in self,
        "final does nothing with retrain: false and evaluate: None; write one of them, or remove final",
    ),
    Rule(
        "spec.final",
        "!has(self.export) || size(self.export) == 0 || self.retrain",
        lambda self: not self.get("export") or self["retrain"],
        "export is of the model that the final run trains; write retrain: true, or remove export",
        field="export",
    ),
    Rule(
        "spec",
        "!has(self.trial.replicates) || !has(self.trial.replicates.parameter) || "
        "!self.parameters.exists(p, p.name == self.trial.replicates.parameter)",
        lambda self: not _named(self, self["trial"]["replicates"]["parameter"]),
        "replicates.parameter {} is searched too, but each replicate sets it; remove it from parameters, or name "
        "another, for example seed",
        (word("trial.replicates.parameter"),),
        field="trial.replicates.parameter",
    ),
    Rule(
        "spec",
        "!has(self.trial.replicates) || self.scheduler.name == 'None'",
        lambda self: "replicates" not in self["trial"] or self["scheduler"]["name"] == "None",
        "replicates and scheduler {} exclude each other: a rung is reached by one run, not by several; remove one, "
        "final.confirm runs the best again after the search",
        (word("scheduler.name"),),
        field="trial.replicates",
    ),
)
