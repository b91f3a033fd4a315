"""What an expression costs: to load the language, to compile, to evaluate, and at worst.

python -m tests.bench.expressions
"""

import resource
import time

from tuning_operator.api.expressions import ExpressionError, Kind, compile_expression

KINDS = {"optimizer": Kind.STRING, "lr": Kind.DOUBLE, "layers": Kind.INT, "width": Kind.INT}
KINDS["optimizer.lr"] = Kind.DOUBLE
VALUES = {"optimizer": "sgd", "lr": 0.01, "layers": 3, "width": 128, "optimizer.lr": 0.3}
TEXTS = (
    "optimizer == 'sgd' && lr > 0.1",
    "layers * width > 4096",
    "p['optimizer.lr'] * 2.0 > 1.0 || optimizer in ['a', 'b']",
    " || ".join(["lr > 0.1 && layers * width > 4096"] * 14),
)
HOSTILE = (
    "[1,2,3].map(a, [1,2,3].map(b, [1,2,3].map(c, [1,2,3])))",
    f"'{'a' * 400}'.matches('{'(a*)*' * 16}b')",
    "-" * 511 + "1",
    "(" * 255 + "1" + ")" * 255,
)
TIMES = 2000


def main() -> None:
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    compile_expression("true", KINDS)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"first expression: {(time.perf_counter() - started) * 1e3:.0f} ms, {grown:.1f} MB")
    for text in TEXTS:
        started = time.perf_counter()
        compiled = compile_expression(text, KINDS)
        compiling = time.perf_counter() - started
        started = time.perf_counter()
        for _ in range(TIMES):
            compiled.holds(VALUES)
        each = (time.perf_counter() - started) / TIMES
        print(f"{each * 1e6:6.1f} us, compiled in {compiling * 1e3:.1f} ms: {text[:60]}")
    for text in HOSTILE:
        started = time.perf_counter()
        try:
            compile_expression(text, KINDS).holds(VALUES)
        except ExpressionError as error:
            print(f"refused in {(time.perf_counter() - started) * 1e3:.1f} ms: {text[:40]}: {error}")
        else:
            print(f"answered in {(time.perf_counter() - started) * 1e3:.1f} ms: {text[:40]}")


if __name__ == "__main__":
    main()
