"""Chaos on a control plane of its own, for as long as you like:

    python -m tests.chaos [--kills 200] [--seed N] [--outage 600] [--lease 6 | --installed]

Studies of all kinds run while operators, API server and etcd are killed and frozen, lines are cut, etcd is compacted,
and people delete and edit what they should not; half-way the API server is away for `outage` seconds. At the end all
is healed: every study must end, the history that etcd recorded must keep the promises P1-P8, no operator may have
ended by itself, and after each outage Jobs must be made again within 30 s. The sequence of faults follows from the
seed, which is printed; the exit code is 1 if anything was broken. `--installed`: what the chart installs, with two
replicas, and trials that are real pods on a real node.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.installed import InstalledStage
from tests.chaos.record import RECORDABLE
from tests.chaos.run import Chaos
from tests.chaos.script import script
from tests.chaos.stage import ProcessStage
from tests.chaos.studies import rules
from tests.e2e.installed import install, product_image
from tests.testcluster.realnode import RealCluster


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs of operators, API server and etcd")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--outage", type=float, default=600, help="seconds of the long outage; 0: none")
    parser.add_argument("--lease", type=float, default=6, help="seconds of the operators' lease")
    parser.add_argument("--installed", action="store_true", help="by Helm, on a real node (needs root)")
    parser.add_argument("--short", action="store_true", help="each kind of fault once a round, and little quiet")
    parser.add_argument("--keep", action="store_true", help="keep logs, audit log and etcd's data, and say where")
    args = parser.parse_args()
    print(f"python -m tests.chaos --kills {args.kills} --seed {args.seed} --outage {args.outage:g}", flush=True)
    with ExitStack() as kept:
        stage = installed(kept) if args.installed else ProcessStage(lease=args.lease, rules=rules(args.seed))
        kept.callback(stage.close, keep_files=args.keep)
        active = 2 if args.installed else 4
        chaos = Chaos(stage, seed=args.seed, active=active, say=lambda words: print(words, flush=True))
        away = args.outage
        for fault in script(args.seed, lease=stage.lease, short=args.short):
            if chaos.kills >= args.kills:
                break
            if away and chaos.kills >= args.kills / 2:
                chaos.outage(away)
                away = 0
            chaos.hit(fault)
        outcome = chaos.end()
        print(outcome)
        if args.keep:
            print(f"files: {stage.plane.directory}")
    return 1 if outcome.problems else 0


def installed(kept: ExitStack) -> InstalledStage:
    """With a cluster of its own, which goes when `kept` is closed."""
    cluster = kept.enter_context(RealCluster(RECORDABLE))
    image = product_image(cluster, "operator")
    system = install(cluster, image, "registry.example/trainer:test")
    checkpoints = Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="tuning-checkpoints-")))
    checkpoints.chmod(0o777)
    return InstalledStage(cluster, system=system, image=image, checkpoints=checkpoints)


if __name__ == "__main__":
    sys.exit(main())
