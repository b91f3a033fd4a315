"""Command line of the fake node."""

from __future__ import annotations

import argparse
import asyncio

from tests.testcluster.fakenode.api import connect
from tests.testcluster.fakenode.node import Agent, Behaviour
from tests.testcluster.fakenode.objective import OBJECTIVES
from tests.testcluster.fakenode.rules import Rules, load_rules


def main() -> None:
    args = _parser().parse_args()
    behaviour = Behaviour(
        seconds=args.seconds,
        jitter=args.jitter,
        stop_seconds=args.stop_seconds,
        metric=args.metric,
        objective=args.objective,
        style=args.style,
        step=args.step,
        seed=args.seed,
        rules=Rules(load_rules(args.rules)),
    )
    asyncio.run(_run(args.kubeconfig, args.node, behaviour))


async def _run(kubeconfig: str, node: str, behaviour: Behaviour) -> None:
    async with connect(kubeconfig) as api:
        agent = Agent(node, api, behaviour)
        await agent.join()
        print(f"node {node} joined", flush=True)
        await agent.serve()


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser("python -m tests.testcluster.fakenode", description="A node that pretends to run pods.")
    p.add_argument("--kubeconfig", required=True)
    p.add_argument("--node", default="fake-0", help="name of the node")
    p.add_argument("--seconds", type=float, default=1, help="how long a pod runs")
    p.add_argument("--jitter", type=float, default=0, help="uniform extra seconds, 0 to this")
    p.add_argument("--stop-seconds", type=float, default=0, help="how long a deleted pod takes to end")
    p.add_argument("--metric", default="loss", help="name of the reported metric")
    p.add_argument("--objective", choices=sorted(OBJECTIVES), default="bowl", help="the metric's value as a function")
    p.add_argument("--style", choices=("report", "plain"), default="report", help="format of the termination message")
    p.add_argument("--step", type=int, default=1, help="last step in the report")
    p.add_argument("--seed", type=int, default=0, help="of the jitter")
    p.add_argument("--rules", default="[]", help="JSON list of rules: which pods end otherwise, see rules.py")
    return p


if __name__ == "__main__":
    main()
