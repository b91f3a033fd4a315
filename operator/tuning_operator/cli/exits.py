"""Exit codes of the command `tuning`."""

from typing import Final

SUCCEEDED: Final = 0
FAILED: Final = 1
BAD_INPUT: Final = 2
SUSPENDED: Final = 3
INTERRUPTED: Final = 130

EXIT_CODES = """\
exit codes: 0 succeeded, 1 the study failed, 2 bad input (nothing was started), 3 the study is suspended,
130 interrupted (the same command goes on where it stopped)
"""
