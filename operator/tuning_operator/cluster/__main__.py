"""`tuning operator`, or `python -m tuning_operator.cluster` without the rest of the command line."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tuning_operator.cluster.lease import SHORTEST, Times
from tuning_operator.cluster.main import Options, run
from tuning_operator.cluster.prometheus import Servers
from tuning_operator.cluster.trial_kinds import TrialKind


def main(arguments: Sequence[str] | None = None) -> int:
    return run(options(arguments))


def options(arguments: Sequence[str] | None = None) -> Options:
    """The command line of the operator's process; the chart writes it."""
    parser = argparse.ArgumentParser("tuning operator", description="Run the operator.")
    parser.add_argument("--trainer-image", required=True, help="image of trials that use the shared trainer")
    parser.add_argument("--operator-image", default="", help="image of the sidecars that follow trials: this program's")
    parser.add_argument("--namespace", action="append", default=[], help="serve only this namespace; may be repeated")
    parser.add_argument("--kubeconfig", help="default: the pod's service account, else $KUBECONFIG")
    parser.add_argument("--lease-namespace", help="namespace of the lease; default: the operator's own")
    parser.add_argument("--lease-name", default="tuning-operator")
    parser.add_argument(
        "--lease-seconds",
        type=float,
        default=Times.duration,
        help="a standby takes over from a lost replica after these",
    )
    parser.add_argument(
        "--trial-kind",
        type=_trial_kind,
        action="append",
        default=[],
        metavar="GROUP/VERSION/KIND/PLURAL",
        help="what trials may be besides Jobs, such as jobset.x-k8s.io/v1alpha2/JobSet/jobsets; may be repeated",
    )
    parser.add_argument(
        "--shards",
        type=int,
        default=1,
        metavar="N",
        help="so many replicas work at once, each for the namespaces that fall to it (docs/operations.md)",
    )
    parser.add_argument("--policy", metavar="FILE", help="what studies may do, by namespace (docs/operations.md)")
    parser.add_argument("--metrics-port", type=int, default=8080)
    parser.add_argument(
        "--prometheus-server",
        action="append",
        default=[],
        metavar="URL",
        help="a Prometheus server that studies may ask for values; may be repeated",
    )
    parser.add_argument(
        "--prometheus-credentials",
        type=Path,
        metavar="DIR",
        help="holds `token`, sent to these servers as bearer token, and `ca.crt`, trusted besides the system's; "
        "either may be missing",
    )
    parser.add_argument("--prometheus-namespace-label", default="namespace", metavar="LABEL")
    parser.add_argument("--prometheus-pod-label", default="pod", metavar="LABEL")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    parser.add_argument("--log-format", default="json", choices=["json", "text"])
    args = parser.parse_args(arguments)
    if args.lease_seconds < SHORTEST:
        parser.error(f"--lease-seconds {args.lease_seconds:g}: write at least {SHORTEST:g}, or a slow answer loses it")
    if args.shards < 1:
        parser.error(f"--shards {args.shards}: write 1 or more")
    return Options(
        trainer_image=args.trainer_image,
        operator_image=args.operator_image,
        namespaces=tuple(args.namespace),
        kubeconfig=args.kubeconfig,
        lease_namespace=args.lease_namespace,
        lease_name=args.lease_name,
        lease_times=Times.of(args.lease_seconds),
        trial_kinds=tuple(args.trial_kind),
        shards=args.shards,
        policy=args.policy,
        metrics_port=args.metrics_port,
        prometheus=Servers(
            args.prometheus_server,
            args.prometheus_credentials,
            args.prometheus_namespace_label,
            args.prometheus_pod_label,
        ),
        log_level=args.log_level,
        log_format=args.log_format,
    )


def _trial_kind(text: str) -> TrialKind:
    try:
        return TrialKind.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
