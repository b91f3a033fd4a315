"""The short form of `python -m tests.chaos`: every kind of fault once, and half a minute without an API server.

At the end every study has come to its end, the history of everything that etcd committed keeps P1-P8 (0 trials lost, 0
done twice), Jobs were made again within 30 s of the API server's return, and no operator process had to be started
again but those that were killed.
"""

from __future__ import annotations

from itertools import islice

from tests.chaos.run import Chaos
from tests.chaos.script import KILLS, OTHERS, script
from tests.chaos.stage import ProcessStage
from tests.chaos.studies import rules

LEASE, SEED, OUTAGE = 5.0, 7, 30.0


def test_whatever_happens_nothing_is_lost_or_done_twice() -> None:
    faults = list(islice(script(SEED, lease=LEASE, short=True), len(KILLS | OTHERS)))
    assert {fault.kind for fault in faults} == {*KILLS, *OTHERS}
    with ProcessStage(lease=LEASE, rules=rules(SEED)) as stage:
        chaos = Chaos(stage, seed=SEED)
        for fault in faults:
            chaos.hit(fault)
        chaos.outage(OUTAGE)
        outcome = chaos.end(timeout=120)

    assert not outcome.problems, outcome
    assert outcome.kills == 8
    assert outcome.studies >= 4
    assert max(outcome.recoveries)[0] > OUTAGE
