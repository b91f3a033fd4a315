"""The operator's process: stand by for the lease, lead for a term, and an orderly end.

A lease that is lost ends the term (`term.py`), not the process: whoever was cut off from the API server, or was frozen,
stands by again and needs nobody to start it anew. What one term knew is not taken into the next.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tuning_operator.api import names
from tuning_operator.cluster import logs
from tuning_operator.cluster.client import Client, Patience
from tuning_operator.cluster.connection import Connection, NoConnectionError, Source, own_namespace
from tuning_operator.cluster.errors import ApiError
from tuning_operator.cluster.jobs import JobSettings
from tuning_operator.cluster.lease import Lease, NotLeaderError, Times
from tuning_operator.cluster.meters import Meters
from tuning_operator.cluster.policy import Policy, PolicyError, load
from tuning_operator.cluster.prometheus import Servers
from tuning_operator.cluster.serve import serve
from tuning_operator.cluster.shards import Seat
from tuning_operator.cluster.term import Term
from tuning_operator.cluster.trial_kinds import TrialKind, TrialKinds

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What `tuning operator` takes from its command line."""

    trainer_image: str
    operator_image: str = ""
    """Of the sidecars that follow trials."""
    namespaces: Sequence[str] = ()
    """Empty: all."""
    kubeconfig: str | None = None
    lease_namespace: str | None = None
    lease_name: str = "tuning-operator"
    lease_times: Times = field(default_factory=Times)
    trial_kinds: Sequence[TrialKind] = ()
    """What trials may be besides Jobs."""
    shards: int = 1
    """How many replicas work at once, each for the namespaces of its shard."""
    policy: str | None = None
    """File of what studies may do, by namespace."""
    metrics_port: int = 8080
    prometheus: Servers = field(default_factory=Servers)
    """Which servers studies may ask for values."""
    log_level: str = "info"
    log_format: str = "json"


def run(options: Options) -> int:
    """The process's exit code: 0 after SIGTERM, 1 if it must be started again."""
    logs.set_up(options.log_level, options.log_format)
    # Watch events are thousands of small dicts without cycles. At the default thresholds the collector walks through
    # everything that was imported again and again, while all threads wait.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    try:
        return asyncio.run(_run(options))
    except NoConnectionError as error:
        log.error("no API server to talk to", extra={"error": str(error)})
        return 1
    except PolicyError as error:
        log.error("the policy is wrong", extra={"error": str(error)})
        return 1


async def _run(options: Options) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    operator = await Operator.create(options)
    work = asyncio.create_task(operator.run())
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping", extra={"signal": stop.is_set()})
    waiting.cancel()
    work.cancel()
    outcome = (await asyncio.gather(work, return_exceptions=True))[0]
    await operator.close()
    if stop.is_set():
        return 0
    log.error("the operator ends and must be started again", extra={"error": repr(outcome)})
    return 1


class Operator:
    """What lives as long as the process: the connection, the lease, the metrics; and one term after the other."""

    def __init__(self, options: Options, connection: Connection) -> None:
        identity = f"{os.environ.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4().hex[:8]}"
        times = options.lease_times
        self._options = options
        self._identity = identity
        self._source = connection.source
        self._policy = load(Path(options.policy)) if options.policy else Policy()
        if options.shards > 1 and self._policy.max_accelerators is not None:
            raise PolicyError(
                f"maxAccelerators of all namespaces together ({self._policy.max_accelerators}) cannot be kept by "
                f"{options.shards} shards, which know nothing of each other: write it for each namespace, or one shard"
            )
        self.meters = Meters()
        self._lease_client = Client(
            connection,
            observe=self.meters.requested,
            patience=Patience(attempts=1, timeout=min(5.0, times.renew_deadline / 2)),
        )
        namespace = options.lease_namespace or own_namespace()

        def lease(name: str, holder: str) -> Lease:
            return Lease(self._lease_client, namespace=namespace, name=name, identity=holder, times=times)

        self.seat = Seat(options.shards, name=options.lease_name, identity=identity, lease=lease)
        self._client = Client(
            connection,
            gate=self.seat.check,
            observe=self.meters.requested,
            patience=Patience(timeout=max(1.0, times.write_timeout)),
        )
        self._term: Term | None = None

    @staticmethod
    async def create(options: Options) -> "Operator":
        return Operator(options, await Connection.open(Source.find(options.kubeconfig)))

    async def run(self) -> None:
        """Until something fails that cannot be repaired from inside."""
        server = await serve(self._options.metrics_port, meters=self.meters, refresh=self._refresh, ready=self._missing)
        try:
            await self._wait_for_crds()
            while True:
                await self.seat.acquire()
                self._term = self._a_term()
                await self._lead(self._term)
                await self._term.close()
                self._term = None
                gc.collect()
        finally:
            await server.cleanup()

    async def close(self) -> None:
        """Let writes under way finish, then give the lease back."""
        if self._term is not None:
            await self._term.finish()
        await self.seat.release()
        if self._term is not None:
            await self._term.close()
        await self._client.close()
        await self._lease_client.close()

    async def _lead(self, term: Term) -> None:
        """Until the lease is lost: nothing is written any more. Raises what ended the term otherwise."""
        holding = asyncio.create_task(self.seat.hold(), name="lease")
        working = asyncio.create_task(term.run(), name="term")
        try:
            await asyncio.wait({holding, working}, return_when=asyncio.FIRST_COMPLETED)
            if working.done() and not isinstance(working.exception(), NotLeaderError):
                working.result()
        finally:
            holding.cancel()
            working.cancel()
            await asyncio.gather(holding, working, return_exceptions=True)

    def _a_term(self) -> Term:
        options = self._options
        return Term(
            self._client,
            self._source,
            namespaces=[each for each in options.namespaces if self.seat.serves(each)] or options.namespaces,
            serves=self.seat.serves,
            images=JobSettings(options.trainer_image, options.operator_image),
            servers=options.prometheus,
            policy=self._policy,
            kinds=TrialKinds(options.trial_kinds),
            meters=self.meters,
            instance=self._identity,
        )

    async def _wait_for_crds(self) -> None:
        path = f"/apis/{names.API_VERSION}"
        while True:
            try:
                found = {resource["name"] for resource in (await self._client.discover(path)).get("resources", ())}
                if {names.STUDY_PLURAL, names.TRIAL_PLURAL} <= found:
                    return
                log.warning("waiting for the CRDs", extra={"missing": path})
            except ApiError as error:
                log.warning("waiting for the CRDs", extra={"missing": path, "error": str(error)})
            await asyncio.sleep(2)

    def _refresh(self) -> None:
        studies = () if self._term is None else self._term.store.studies.values()
        states = Counter(str(seen.trial.recorded_state) for known in studies for seen in known.trials.values())
        queue = 0 if self._term is None else len(self._term.queue)
        shard = self.seat.shard if self.seat.leading else None
        self.meters.state(shard=shard, shards=self.seat.shards, queue=queue, trials=dict(states))

    def _missing(self) -> str:
        """A standby is ready: it stands by. A leader is ready once it has read and watches everything."""
        if self.seat.leading:
            return "loading" if self._term is None else self._term.missing
        return ""
