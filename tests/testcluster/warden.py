"""Ends process groups when the interpreter that started them is gone; see processes.py.

Reads `+GROUP` and `-GROUP` lines until end of file, which comes when the other end is closed for whatever reason.
A group is only ended if its leader is still the process that was announced: process ids are used again.
"""

import os
import signal
import sys


def main() -> None:
    groups: dict[int, str] = {}
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups[group] = _start_time(group)
        else:
            groups.pop(group, None)
    for group, started in reversed(groups.items()):
        if started and _start_time(group) == started:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _start_time(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 (started without site packages, kept light)
            return stat.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


if __name__ == "__main__":
    main()
