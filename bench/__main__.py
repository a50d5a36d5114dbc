"""Runs the benchmarks: all of them, or those that are named."""

import argparse
from importlib import import_module

NAMES = (
    "decision",
    "check",
    "stock",
    "batch",
    "cerbos",
    "latency",
    "overload",
    "lookups",
    "names",
    "start",
    "writes",
    "imports",
    "reload",
)


def main() -> None:
    """Run them, each with its own set-up, and write RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)}; all of them by default")
    parser.add_argument("--transport", choices=["grpcio", "native"], help="of `check`; both by default")
    given = parser.parse_args()
    names = given.names or list(NAMES)
    if unknown := [name for name in names if name not in NAMES]:
        parser.error(f"unknown: {', '.join(unknown)}")
    for name in names:
        options = {"transports": [given.transport]} if name == "check" and given.transport else {}
        import_module(f"bench.{name}").run(**options)


main()
