"""`python -m tuning_operator.cluster`: the operator without the rest of the command line."""

import argparse
import sys

from tuning_operator.cluster.main import Options, run


def main() -> int:
    parser = argparse.ArgumentParser("python -m tuning_operator.cluster", description="Run the operator.")
    parser.add_argument("--trainer-image", required=True, help="image of trials that use the shared trainer")
    parser.add_argument("--namespace", action="append", default=[], help="serve only this namespace; may be repeated")
    parser.add_argument("--kubeconfig", help="default: the pod's service account, else $KUBECONFIG")
    parser.add_argument("--lease-namespace", help="namespace of the lease; default: the operator's own")
    parser.add_argument("--lease-name", default="tuning-operator")
    parser.add_argument("--metrics-port", type=int, default=8080)
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    parser.add_argument("--log-format", default="json", choices=["json", "text"])
    args = parser.parse_args()
    return run(
        Options(
            trainer_image=args.trainer_image,
            namespaces=tuple(args.namespace),
            kubeconfig=args.kubeconfig,
            lease_namespace=args.lease_namespace,
            lease_name=args.lease_name,
            metrics_port=args.metrics_port,
            log_level=args.log_level,
            log_format=args.log_format,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
