"""Rules about objectives and constraints."""

from tuning_operator.api.rule import Rule, Shown, number, word
from tuning_operator.api.rules.shared import Value, listed


def _weightless(spec: Value) -> list[str]:
    return [each["metric"] for each in spec["objectives"] if "weight" not in each]


OBJECTIVES: tuple[Rule, ...] = (
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
    Rule(
        "spec",
        "self.objectives.size() > 1 || !has(self.objectives[0].weight)",
        lambda self: len(self["objectives"]) > 1 or "weight" not in self["objectives"][0],
        "objective {}: weight has no meaning with one objective; remove it",
        (Shown("self.objectives[0].metric", lambda self: str(self["objectives"][0]["metric"])),),
        field="objectives",
    ),
    Rule(
        "spec",
        "self.objectives.all(o, has(o.weight)) || !self.objectives.exists(o, has(o.weight))",
        lambda self: len(_weightless(self)) in (0, len(self["objectives"])),
        "some objectives have a weight and these have none: {}; write a weight for each, or for none",
        (Shown("self.objectives.filter(o, !has(o.weight)).map(o, o.metric)", lambda self: listed(_weightless(self))),),
        field="objectives",
    ),
)
