"""Rules about where values come from: settings of another source than the one chosen would do nothing."""

from tuning_operator.api.rule import Rule, word


def _only_for(field: str, source: str) -> Rule:
    return Rule(
        "spec.metrics",
        f"!has(self.{field}) || self.source in ['Auto', '{source}']",
        lambda self: field not in self or self["source"] in ("Auto", source),
        f"{field} says how values are found by source {source}, but the source is {{}}; remove {field} or write "
        f"source: {source}",
        (word("source"),),
        field=field,
    )


METRICS: tuple[Rule, ...] = (
    _only_for("logs", "Logs"),
    _only_for("query", "Query"),
    Rule(
        "spec.metrics",
        "!(has(self.logs) && has(self.query) && self.source == 'Auto')",
        lambda self: not ("logs" in self and "query" in self and self["source"] == "Auto"),
        "logs and query are two ways to the same values; remove one of them",
        field="query",
    ),
)
