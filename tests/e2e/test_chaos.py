"""`helm install` with two replicas on a real node, under the short form of `python -m tests.chaos --installed`.

Every kind of fault once, on the operator's real pods, on the trials' and on the control plane. At the end every study
has come to its end, and the history of everything that etcd committed keeps P1-P8.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests.chaos.installed import LEASE_SECONDS, InstalledStage
from tests.chaos.run import Chaos
from tests.chaos.script import KILLS, OTHERS, script
from tests.testcluster.realnode import RealCluster

SEED, OUTAGE = 11, 20.0


@pytest.mark.timeout(900)
def test_what_helm_installs_loses_nothing_and_does_nothing_twice(
    real_cluster: RealCluster, system: str, operator_image: str, shared: Path
) -> None:
    faults = list(islice(script(SEED, lease=LEASE_SECONDS, short=True), len(KILLS | OTHERS)))
    with InstalledStage(real_cluster, system=system, image=operator_image, checkpoints=shared) as stage:
        chaos = Chaos(stage, seed=SEED, active=2)
        for fault in faults:
            chaos.hit(fault)
        chaos.outage(OUTAGE)
        outcome = chaos.end(timeout=240)

    assert not outcome.problems, outcome
    assert outcome.kills == 8
    assert outcome.trials >= 24
