"""CEL over an object of another kind: when it has succeeded, and when it has failed.

Other than the expressions over parameters these must look through lists (`status.conditions`), so `has`, `exists`,
`exists_one` and `all` are on. What could grow a value (`map`, `filter`) is off, and the library ends an evaluation
after 10,000 steps of such loops, so whatever a user writes takes milliseconds. What cannot be computed yet (a field
that the controller has not written) does not hold.
"""

from functools import cache
from typing import Any

from tuning_operator.api.expressions import ExpressionError, cel, why


class Condition:
    """A condition that is known to be good."""

    def __init__(self, text: str, program: Any) -> None:
        self.text = text
        self._program = program

    def holds(self, raw: Any) -> bool:
        """Of an object as the API server gives it."""
        try:
            result = self._program.eval(data={"object": raw})
            return result.type().name() == "BOOL" and result.value() is True
        except RuntimeError:
            return False  # too many steps


@cache
def compile_condition(text: str) -> Condition:
    """Raises `ExpressionError`."""
    library = cel()
    try:
        program = library.NewEnv(config=_settings(), variables={"object": library.Type.DYN}).compile(text)
    except RuntimeError as error:
        raise ExpressionError(why(str(error), {})) from None
    found = program.return_type().name()
    if found not in ("BOOL", "DYN"):
        raise ExpressionError(f"comes to a {found.lower()}; write a condition, such as object.status.succeeded == 1")
    return Condition(text, program)


@cache
def _settings() -> Any:
    return cel().NewEnvConfigFromYaml("stdlib: {exclude_macros: [map, filter]}")
