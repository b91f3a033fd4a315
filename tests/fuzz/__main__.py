"""Damaged studies, objects of the cluster and bodies of metrics, in any number:

    python -m tests.fuzz [studies|objects|bodies ...] [--cases 1000000] [--first 0] [--processes 2]

The cases are shared out: of ten, one is a study, three are objects and six are bodies (or all of them what is named).
A case follows from its number alone; a wrong answer is printed with the command that shows it again, and the exit code
is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.fuzz.run import SUBJECTS, Tally, cases

SHARES = {"studies": 1, "objects": 3, "bodies": 6}
CHUNK = 2000
SHOWN = 20


def chunk(name: str, first: int, count: int) -> tuple[str, Tally]:
    tally = Tally()
    cases(name, range(first, first + count), tally)
    return name, tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subjects", nargs="*", choices=[[], *SUBJECTS], default=[])
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    chosen = args.subjects or list(SUBJECTS)
    whole = sum(SHARES[name] for name in chosen)
    began, done, wrong = time.monotonic(), 0, 0
    sums = {name: Tally() for name in chosen}
    with ProcessPoolExecutor(args.processes) as pool:
        work = []
        for name in chosen:
            count = -(-args.cases * SHARES[name] // whole)
            for first in range(args.first, args.first + count, CHUNK):
                work.append(pool.submit(chunk, name, first, min(CHUNK, args.first + count - first)))
        for index, ended in enumerate(as_completed(work), start=1):
            name, tally = ended.result()
            sums[name].outcomes.update(tally.outcomes)
            done += sum(tally.outcomes.values())
            for complaint in tally.complaints:
                wrong += 1
                if wrong <= SHOWN:
                    print(complaint, flush=True)
            if index % 20 == 0:
                print(f"{time.monotonic() - began:6.0f} s: {index} of {len(work)} parts, {wrong} wrong", flush=True)
    for name, tally in sums.items():
        print(f"{name}: " + ", ".join(f"{count} {word}" for word, count in sorted(tally.outcomes.items())))
    print(f"{done} cases in {time.monotonic() - began:.0f} s, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
