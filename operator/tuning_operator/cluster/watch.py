"""kopf as an informer: watch events of studies, trials, their Jobs (or other objects) and pods, and nothing else.

kopf runs in its own thread with its own loop, so that neither delays the other. Of kopf only `on.event` is used, which
reads and never writes: no finalizers, no annotations, no posted events, no peering. Its watches are label-selected by
the server. Events are decoded here, in kopf's thread, and handed over as plain values. When kopf fails, it is started
again; what was missed meanwhile is found by kopf's own list at the start. What went meanwhile is in no list: when there
was one is told (`listed_at`).
"""

import asyncio
import gc
import logging
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from tuning_operator.api import names
from tuning_operator.cluster.client import STUDIES, Kind
from tuning_operator.cluster.connection import Connection, Source
from tuning_operator.cluster.seen import Seen
from tuning_operator.cluster.trial_kinds import Decoders

log = logging.getLogger(__name__)

MIN_BACKOFF, MAX_BACKOFF = 0.5, 30.0
TOGETHER_SECONDS = 0.002
"""Events that come within this time are handed over together."""
STOP_SECONDS = 5.0


class Watch:
    """Start it once; `on_seen(seen, deleted)` is called in the loop that started it."""

    def __init__(
        self,
        source: Source,
        *,
        namespaces: Sequence[str],
        decoders: Callable[[], Decoders],
        serves: Callable[[str], bool],
        on_seen: Callable[[Seen, bool], None],
        on_restart: Callable[[], None] = lambda: None,
    ) -> None:
        self._source = source
        self._namespaces = namespaces
        self._decoders = decoders
        """What is watched; asked at each start."""
        self._serves = serves
        self._on_seen = on_seen
        self._on_restart = on_restart
        self.listed_at: float | None = None
        """Monotonic time of the last object that came of a list: kopf lists at its start, and after it was away for too
        long to go on where it was."""
        self._waiting: deque[tuple[Seen, bool]] = deque()
        """Decoded, not yet taken. Waking the other loop costs a system call and a turn of the interpreter, more than to
        decode an event, and events come in swarms."""
        self._stop = threading.Event()
        self._round = threading.Event()
        """Set to end what kopf does now."""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="watch", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether kopf is up; not whether it has just lost a connection, which it repairs itself."""
        return self._thread.is_alive() and self._ready.is_set()

    def restart(self) -> None:
        """There is more to watch than before."""
        self._round.set()

    async def stop(self) -> None:
        self._stop.set()
        self._round.set()
        await asyncio.to_thread(self._thread.join, STOP_SECONDS)

    def _supervise(self) -> None:
        backoff = MIN_BACKOFF
        while True:
            self._round.clear()
            if self._stop.is_set():
                return
            began = time.monotonic()
            try:
                asked_to_end = self._run()
                if self._stop.is_set():
                    return
                if asked_to_end:
                    continue
                log.error("the watch ended by itself; it is started again")
            except Exception as error:
                log.error("the watch failed; it is started again", extra={"error": repr(error)[:1000]})
            self._ready.clear()
            self._call(self._on_restart)
            backoff = MIN_BACKOFF if time.monotonic() - began > 60 else min(MAX_BACKOFF, backoff * 2)
            self._stop.wait(backoff)

    def _run(self) -> bool:
        """Whether kopf ended because it was asked to."""
        import kopf

        from tuning_operator.cluster import informer

        gc.freeze()  # kopf's modules live as long as the process
        registry = kopf.OperatorRegistry()
        settings = informer.settings()
        for kind, decode in self._decoders().items():
            if kind != STUDIES:
                settings.watching.label_selectors[_same(kind)] = names.LABEL_STUDY_UID
            kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=f"{kind.plural}.{kind.group}")(
                self._handler(kind, decode)
            )
        kopf.on.login(registry=registry, id="login")(self._login)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return asyncio.run(
                self._followed(
                    kopf.operator(
                        registry=registry,
                        settings=settings,
                        standalone=True,
                        clusterwide=not self._namespaces,
                        namespaces=list(self._namespaces),
                        stop_flag=self._round,
                        ready_flag=self._ready,
                    )
                )
            )

    async def _followed(self, operator: Coroutine[Any, Any, None]) -> bool:
        """kopf waits for its flag in a thread, and a loop does not close before its threads have ended: where kopf
        fails, nobody else sets the flag."""
        try:
            await operator
            return self._round.is_set()
        finally:
            self._round.set()

    def _handler(self, kind: Kind, decode: Callable[[Any], Seen | None]) -> Callable[..., Any]:
        async def handle(event: Any, **_: Any) -> None:
            if event["type"] is None:
                self.listed_at = time.monotonic()
            try:
                if not self._serves(event["object"]["metadata"].get("namespace", "")):
                    return
                seen = decode(event["object"])
            except (KeyError, TypeError, ValueError) as error:
                # An object of another version of the schema; whoever reads it next by name says what is wrong.
                log.warning("an object cannot be read", extra={"resource": kind.plural, "error": repr(error)})
                return
            if seen is not None:
                self._waiting.append((seen, event["type"] == "DELETED"))
                if len(self._waiting) == 1:
                    asyncio.get_running_loop().call_later(TOGETHER_SECONDS, self._call, self._take)

        return handle

    async def _login(self, **_: Any) -> Any:
        """Called at the start and after each 401: credentials are read again each time."""
        import kopf

        connection = await Connection.open(self._source)
        configuration: Any = connection.configuration
        header = await connection.authorization()
        scheme, token = (header or " ").split(" ", 1)
        return kopf.ConnectionInfo(
            server=connection.server,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            scheme=scheme if token else None,
            token=token or None,
            proxy_url=configuration.proxy,
        )

    def _take(self) -> None:
        """In the other loop. An event that comes while the last one is taken finds an empty queue and wakes it
        again."""
        while self._waiting:
            seen, deleted = self._waiting[0]
            try:
                self._on_seen(seen, deleted)
            finally:
                self._waiting.popleft()

    def _call(self, callback: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(callback)
            except RuntimeError:  # closed just now: the process ends
                return


def _same(kind: Kind) -> Callable[[Any], bool]:
    return lambda resource: bool(resource.group == kind.group and resource.plural == kind.plural)
