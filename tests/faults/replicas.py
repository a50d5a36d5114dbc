"""Several server processes on one PostgreSQL, each behind a proxy of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from tests.faults.proxy import Proxy
from tests.faults.site import target_of, through, weakened
from tests.serving import BUNDLES, Client, ServerProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One of the processes."""

    process: ServerProcess
    proxy: Proxy
    channel: grpc.Channel

    def client(self, actor: str = "") -> Client:
        """Return the stubs of one actor."""
        return Client(self.channel, actor or None)


@contextmanager
def replicas(url: str, count: int = 3, *, without: str = "", **settings: str) -> Iterator[list[Replica]]:
    """Serve a database with so many processes; ``root`` is an operator there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WSAUTHZ_")}
    environment |= {"WSAUTHZ_DATABASE_URL": url, "WSAUTHZ_POLICY": str(BUNDLES / "dam")}
    command = [str(Path(sys.executable).parent / "wsauthz"), "platform", "grant", "root", "operator"]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    with ExitStack() as stack:
        proxies = [stack.enter_context(Proxy(target_of(url))) for _ in range(count)]
        usual = {"WSAUTHZ_POLL_SECONDS": "0.5", **weakened(without), **settings}
        processes = [ServerProcess(through(proxy, url), BUNDLES / "dam", **usual) for proxy in proxies]
        for process in processes:
            stack.callback(process.close)
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(ServerProcess.start, processes))
        yield [
            Replica(process=process, proxy=proxy, channel=stack.enter_context(grpc.insecure_channel(process.address)))
            for process, proxy in zip(processes, proxies, strict=True)
        ]
