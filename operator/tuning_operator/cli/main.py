"""The command `tuning`. Each verb is a module of its own, imported when it is used, so that the command starts fast."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tuning_operator.cli.exits import BAD_INPUT, EXIT_CODES, SUCCEEDED


def main(arguments: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["operator"]:
        from tuning_operator.cluster.__main__ import main as operator

        return operator(given[1:])
    if given[:1] == ["sidecar"]:
        from tuning_operator.metrics.sidecar import main as sidecar

        return sidecar(given[1:])
    options = parser().parse_args(given)
    match options.verb:
        case "run":
            from tuning_operator.cli.run import run

            return run(options)
        case "check":
            from tuning_operator.cli.check import check

            return check(options.files, output=options.output, service_accounts=options.service_account)
        case "status":
            from tuning_operator.cli.status import status

            return status(options)
        case "report":
            from tuning_operator.cli.report.command import report

            return report(options)
        case "import":
            from tuning_operator.cli.import_ import import_

            return import_(options)
        case "version":
            return version()
    parser().print_help()
    return BAD_INPUT


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="tuning", description="Hyperparameter studies, on this machine and on Kubernetes.", epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    verbs = top.add_subparsers(dest="verb", metavar="VERB")

    run = verbs.add_parser(
        "run", help="run a study on this machine, or go on with it", epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    run.add_argument("file", type=Path, metavar="FILE", help="a TuningStudy, the same file as for a cluster")
    run.add_argument(
        "--parallel",
        type=_positive,
        metavar="N",
        help="trials at once; default: limits.parallel, at most one a core or GPU",
    )
    run.add_argument("--trials", type=_positive, metavar="N", help="most trials; default: limits.trials")
    run.add_argument("--dir", type=Path, metavar="DIR", help="where results are kept; default: .tuning/NAME")
    run.add_argument(
        "--output",
        choices=("table", "plain", "json"),
        help="default: table in a terminal, else plain lines; json: the result on standard output",
    )
    run.add_argument(
        "--report", type=Path, metavar="PATH", help="where the HTML report goes; default: report.html in DIR"
    )
    run.add_argument("--no-report", action="store_true", help="write no HTML report")
    run.add_argument(
        "--restart", action="store_true", help="begin again; results so far are kept beside DIR, as DIR.1, DIR.2, ..."
    )

    check = verbs.add_parser("check", help="say what is wrong with study files, without a cluster")
    check.add_argument("files", type=Path, nargs="+", metavar="FILE", help="study files, or folders of them")
    check.add_argument("--output", choices=("text", "json"), default="text")
    check.add_argument(
        "--service-account",
        action="append",
        default=[],
        metavar="NAME",
        help="one besides `default` that the administrator lets trials run as (a glob); may be repeated",
    )

    status = verbs.add_parser("status", help="show studies of this machine")
    _place(status)
    status.add_argument("--output", choices=("table", "json"), default="table")

    report = verbs.add_parser("report", help="write the HTML report of a study, on this machine or on a cluster")
    report.add_argument(
        "place",
        type=Path,
        nargs="?",
        metavar="FILE|DIR|tuningstudy/NAME",
        help="a study file or its folder, or a study of a cluster as kubectl names it; default: all in .tuning",
    )
    report.add_argument("--cluster", metavar="NAME", help="a study of a cluster; the same as tuningstudy/NAME")
    report.add_argument("-n", "--namespace", metavar="NS", help="of the cluster; default: the context's")
    report.add_argument("--context", metavar="NAME", help="of the kubeconfig; default: its current one")
    report.add_argument("--kubeconfig", metavar="PATH", help="default: $KUBECONFIG, else ~/.kube/config")
    report.add_argument(
        "--report",
        type=Path,
        metavar="PATH",
        help="where the HTML report goes; default: report.html in DIR, NAME.html for a study of a cluster",
    )
    report.add_argument(
        "--evaluation",
        type=Path,
        metavar="FILE",
        help="evaluation.json of a trial, copied from a cluster; default: of the final run, else of the best trial",
    )

    imported = verbs.add_parser(
        "import",
        help="make a table of earlier results from an Optuna study",
        description="Prints the complete trials of an Optuna study as a ConfigMap (or a table) for spec.warmStart.",
    )
    imported.add_argument("storage", metavar="STORAGE", help="SQL URL, or path of a SQLite or journal file")
    imported.add_argument("study", metavar="STUDY", help="name of the study in it")
    imported.add_argument(
        "--metric",
        action="append",
        metavar="NAME",
        help="name of a value, as the objective of your study; once for each, in order; default: Optuna's metric names",
    )
    imported.add_argument("--name", metavar="NAME", help="of the ConfigMap; default: the study's, in lower case")
    imported.add_argument("--output", choices=("configmap", "table"), default="configmap")
    imported.add_argument("--to", type=Path, metavar="PATH", help="file to write; default: standard output")

    verbs.add_parser("operator", help="run the controller in a cluster", add_help=False)
    verbs.add_parser("sidecar", help="follow the trial in the same pod", add_help=False)
    verbs.add_parser("version", help="show the version")
    return top


def version() -> int:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        print(f"tuning {installed('tuning-operator')}")
    except PackageNotFoundError:
        print("tuning (not installed)")
    return SUCCEEDED


def _place(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "place", type=Path, nargs="?", metavar="FILE|DIR", help="a study file or its folder; default: all in .tuning"
    )


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
