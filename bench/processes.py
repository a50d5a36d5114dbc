"""More server processes than ``bench.servers`` has: any database, any core, any policy, and other programs."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench import policies
from bench.servers import Server, _free_address, _running

WSAUTHZ: Final = str(Path(sys.executable).with_name("wsauthz"))


@contextmanager
def serving(url: str, *, policy: Path = policies.DIRECTORY, settings: Sequence[str] = ()) -> Iterator[Server]:
    """Run ``wsauthz serve`` on a database; ``settings`` are variables of its environment, as ``NAME=value``."""
    address, metrics = free_address(), free_address()
    command = ["env", *settings, WSAUTHZ, "serve", "--listen", address, "--metrics-listen", metrics, "--database", url]
    with running([*command, "--policy", str(policy)], address, metrics) as server:
        yield server


@contextmanager
def running(command: Sequence[str], address: str, metrics: str = "") -> Iterator[Server]:
    """Run any program with the standard health service, on the core of servers."""
    with _running(command, address, metrics) as server:
        yield server


def free_address() -> str:
    """Return an address on loopback that nobody uses."""
    return _free_address()
