"""The agent: joins the cluster as a node, then pretends to run every pod that is bound to it."""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.testcluster.fakenode import status
from tests.testcluster.fakenode.api import MERGE, STRATEGIC, NodeApi, Object
from tests.testcluster.fakenode.metrics import served
from tests.testcluster.fakenode.objective import OBJECTIVES, parameters_of, replicate_of, report, second_values
from tests.testcluster.fakenode.rules import Rule, Rules
from tests.testcluster.fakenode.training import Checkpoint, Fidelity, Location, Training, env_of, fidelity_of, location

RUNNING, ENDED = "fake-node/running", "fake-node/ended"
HEARTBEAT_SECONDS = 10
BACKOFF_SECONDS = 2
ADDRESSES_TRIED = 20
SIZE = {"cpu": "4096", "memory": "16Ti", "pods": "4000", "ephemeral-storage": "64Ti", "nvidia.com/gpu": "4000"}


@dataclass(frozen=True)
class Behaviour:
    """What pods do on this node when no rule says otherwise."""

    seconds: float = 1
    jitter: float = 0
    stop_seconds: float = 0
    metric: str = "loss"
    objective: str = "bowl"
    style: str = "report"
    step: int = 1
    seed: int = 0
    rules: Rules = field(default_factory=lambda: Rules(()))


class Agent:
    """One node. A pod is known by its uid from the moment it is seen until it is gone."""

    def __init__(self, name: str, api: NodeApi, behaviour: Behaviour) -> None:
        self.name = name
        self._api = api
        self._behaviour = behaviour
        self._seen: dict[str, int] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._started: dict[str, str] = {}
        self._leaving: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._trainings: dict[str, Training] = {}
        self._checkpoints: dict[Location, Checkpoint] = {}
        """What claims hold, for as long as this process lives."""
        # Pods get loopback addresses: whoever tries to reach one stays on this machine, and finds nobody, at once, but
        # where the pod trains step by step and tells how it goes.
        self._network = 100 + zlib.crc32(name.encode()) % 100

    async def join(self) -> None:
        """Create the node, make it Ready and lift the taint that admission puts on new nodes."""
        labels = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux"}
        node = {"metadata": {"name": self.name, "labels": labels}}
        code, answer = await self._api.request("POST", "/api/v1/nodes", node)
        if code not in (201, 409):
            raise RuntimeError(f"node {self.name} cannot join: {answer.get('message')}")
        await self._beat()
        await self._api.request("PATCH", f"/api/v1/nodes/{self.name}", {"spec": {"taints": None}}, content_type=MERGE)
        self._spawn(self._keep_beating())

    async def serve(self) -> None:
        """Follow the pods of this node; start over from a list whenever the watch ends or the server is away."""
        while True:
            try:
                await self._follow()
            except (aiohttp.ClientError, OSError, ValueError, KeyError) as error:
                print("watch lost:", repr(error), flush=True)
                await asyncio.sleep(0.2)

    async def _follow(self) -> None:
        path = f"/api/v1/pods?fieldSelector=spec.nodeName={self.name}"
        code, pods = await self._api.request("GET", path)
        if code != 200:
            raise OSError(f"listing pods: {code} {pods.get('message')}")
        present = {pod["metadata"]["uid"] for pod in pods["items"]}
        for uid in self._seen.keys() - present:
            self._forget(uid)
        for pod in pods["items"]:
            self._handle("ADDED", pod)
        version = pods["metadata"]["resourceVersion"]
        async for event in self._api.events(f"{path}&watch=1&allowWatchBookmarks=true&resourceVersion={version}"):
            if event["type"] == "ERROR":
                return
            if event["type"] != "BOOKMARK":
                self._handle(event["type"], event["object"])

    def _handle(self, event: str, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        phase = pod.get("status", {}).get("phase", "Pending")
        if event == "DELETED":
            self._forget(uid)
        elif pod["metadata"].get("deletionTimestamp"):
            if uid not in self._leaving:
                self._leaving.add(uid)
                self._spawn(self._terminate(pod))
        elif uid not in self._seen and phase in ("Pending", "Running"):
            self._seen[uid] = len(self._seen) + 1
            self._lives[uid] = self._spawn(self._live(pod, self._seen[uid]))

    async def _live(self, pod: Object, ordinal: int) -> None:
        behaviour, parameters = self._behaviour, parameters_of(pod)
        rule = behaviour.rules.choose(ordinal, pod, parameters)
        if rule.end == "pending":
            return
        if rule.end == "image":
            await self._fail_to_pull(pod)
            return
        uid = pod["metadata"]["uid"]
        fidelity = fidelity_of(pod)
        if fidelity is not None and rule.end == "succeed":
            await self._train(pod, fidelity, ordinal, rule)
            return
        self._started[uid] = status.now()
        await self._write(pod, status.running(pod, self._ip(ordinal)), RUNNING)
        if rule.end == "never":
            return
        chance = random.Random(f"{behaviour.seed}/{ordinal}")
        seconds = behaviour.seconds if rule.seconds is None else rule.seconds
        await asyncio.sleep(seconds + chance.uniform(0, behaviour.jitter))
        await self._write(pod, self._ending(pod, rule, parameters), ENDED)

    async def _train(self, pod: Object, fidelity: Fidelity, ordinal: int, rule: Rule) -> None:
        behaviour, uid = self._behaviour, pod["metadata"]["uid"]
        kept, parent = location(pod, "TUNING_CHECKPOINT_DIR"), location(pod, "TUNING_PARENT_DIR")
        begin = self._checkpoints.get(kept) if kept else None
        if begin is None and parent:
            # A parent's checkpoint is where to begin; its rungs are its own.
            begin = Checkpoint(self._checkpoints.get(parent, Checkpoint()).step)
        training = Training(
            pod, fidelity, begin or Checkpoint(), metric=behaviour.metric, objective=behaviour.objective
        )
        self._trainings[uid] = training
        self._started[uid] = status.now()
        port = int(env_of(pod).get("TUNING_METRICS_PORT") or 0)
        seconds = behaviour.seconds if rule.seconds is None else rule.seconds
        async with AsyncExitStack() as stack:
            ip = await self._listen(stack, ordinal, port, training)
            await self._write(pod, status.running(pod, ip), RUNNING)
            while not training.over:
                await asyncio.sleep(seconds / fidelity.full)
                training.advance()
                if kept and training.step in fidelity.rungs:
                    self._checkpoints[kept] = training.checkpoint()
            if kept:
                self._checkpoints[kept] = training.checkpoint()
        code, reason = (0, "Completed") if training.done else (143, "Error")
        started = self._started[uid]
        ended = status.ended(pod, code=code, reason=reason, message=self._last_words(training), started=started)
        await self._write(pod, ended, ENDED)

    async def _listen(self, stack: AsyncExitStack, ordinal: int, port: int, training: Training) -> str:
        """The pod's address, where its metrics are served; another node of this machine may have it already."""
        sdk = self._behaviour.style == "report"
        for attempt in range(ADDRESSES_TRIED):
            ip = self._ip(ordinal, attempt)
            try:
                await stack.enter_async_context(served(ip, port, lambda: training.exposition(rungs=sdk)))
            except OSError:
                continue
            return ip
        raise RuntimeError(f"no free address for pod {ordinal} on port {port}")

    def _last_words(self, training: Training) -> str:
        return training.report() if self._behaviour.style == "report" else ""

    def _ending(self, pod: Object, rule: Rule, parameters: dict[str, Any]) -> Object:
        started, message = self._started[pod["metadata"]["uid"]], rule.message or ""
        if rule.end == "oom":
            return status.ended(pod, code=137, reason="OOMKilled", message=message, started=started)
        if rule.end == "disrupt":
            ended = status.ended(pod, code=143, reason="Error", message=message, started=started)
            ended["conditions"].append(status.disruption("PreemptionByScheduler", "fake-node: pod was preempted"))
            return ended
        if rule.end == "exit" and rule.code:
            return status.ended(pod, code=rule.code, reason="Error", message=message, started=started)
        if rule.message is None:
            behaviour = self._behaviour
            value = OBJECTIVES[behaviour.objective](parameters) + 0.01 * replicate_of(pod)
            others = second_values(pod, parameters, without=behaviour.metric)
            message = report(behaviour.metric, value, step=behaviour.step, style=behaviour.style, others=others)
        return status.ended(pod, code=0, reason="Completed", message=message, started=started)

    async def _fail_to_pull(self, pod: Object) -> None:
        image = pod["spec"]["containers"][0].get("image", "")
        text = f'failed to pull and unpack image "{image}": not found'
        await self._write(pod, status.waiting(pod, "ErrImagePull", text), RUNNING)
        await asyncio.sleep(BACKOFF_SECONDS)
        text = f'Back-off pulling image "{image}"'
        await self._write(pod, status.waiting(pod, "ImagePullBackOff", text), RUNNING)

    async def _terminate(self, pod: Object) -> None:
        meta = pod["metadata"]
        uid = meta["uid"]
        if life := self._lives.pop(uid, None):
            life.cancel()
            await asyncio.wait([life])
        running = pod.get("status", {}).get("phase") == "Running" or uid in self._started
        if running and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            await asyncio.sleep(min(self._behaviour.stop_seconds, meta.get("deletionGracePeriodSeconds") or 0))
            started = self._started.get(uid) or status.now()
            message = self._stopped(pod)
            await self._write(pod, status.ended(pod, code=143, reason="Error", message=message, started=started), ENDED)
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        await self._insist("DELETE", path, {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}})

    def _stopped(self, pod: Object) -> str:
        """On SIGTERM a trial saves its checkpoint; its last words."""
        training, kept = self._trainings.get(pod["metadata"]["uid"]), location(pod, "TUNING_CHECKPOINT_DIR")
        if training is None:
            return ""
        if kept:
            self._checkpoints[kept] = training.checkpoint()
        return self._last_words(training)

    async def _write(self, pod: Object, body: Object, agent: str) -> None:
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status"
        patch = {"metadata": {"uid": meta["uid"]}, "status": body}
        code, answer = await self._insist("PATCH", path, patch, agent=agent, content_type=STRATEGIC)
        if code >= 300 and code not in (404, 409):
            print("status write refused:", meta["name"], code, answer.get("message"), flush=True)

    async def _insist(self, method: str, path: str, body: Object, **how: str) -> tuple[int, Object]:
        """As a kubelet does: over any outage of the API server, and until it knows its rights again after a restart."""
        while True:
            try:
                code, answer = await self._api.request(method, path, body, **how)
            except (aiohttp.ClientError, OSError):
                code, answer = 0, {}
            if code not in (0, 403, 429) and code < 500:
                return code, answer
            await asyncio.sleep(0.2)

    async def _beat(self) -> None:
        ready = {"type": "Ready", "status": "True", "reason": "FakeNode", "lastHeartbeatTime": status.now()}
        patch = {"status": {"capacity": SIZE, "allocatable": SIZE, "conditions": [ready]}}
        path = f"/api/v1/nodes/{self.name}/status"
        await self._api.request("PATCH", path, patch, content_type=STRATEGIC)

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                await self._beat()
            except (aiohttp.ClientError, OSError) as error:
                print("heartbeat lost:", repr(error), flush=True)

    def _forget(self, uid: str) -> None:
        # The uid stays in _seen's count, so that ordinals are never given twice.
        if life := self._lives.pop(uid, None):
            life.cancel()
        self._started.pop(uid, None)
        self._trainings.pop(uid, None)
        self._leaving.discard(uid)

    def _ip(self, ordinal: int, attempt: int = 0) -> str:
        return f"127.{(self._network + attempt * 7) % 200 + 50}.{ordinal // 250 % 250}.{ordinal % 250 + 1}"

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            print("error:", repr(task.exception()), flush=True)
