"""Several server processes on one PostgreSQL, each behind a proxy of its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import grpc

from tests.faults.proxy import Proxy
from tests.faults.site import target_of, through, weakened
from tests.rpc.filling import fill, state_of
from tests.serving import BUNDLES, Client, ServerProcess
from wsauthz.policy.bundle import read_bundle
from wsauthz.rpc.methods import core_vocabulary


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
def replicas(
    url: str, count: int = 3, *, without: str = "", kind: type[ServerProcess] = ServerProcess, **settings: str
) -> Iterator[list[Replica]]:
    """Serve a database with so many processes; ``root`` is an operator there."""
    operator = {"memberships": [{"platform": True, "user": "root", "role": "operator"}]}
    fill(url, state_of(operator), read_bundle(BUNDLES / "dam", core_vocabulary()).catalog)
    with ExitStack() as stack:
        proxies = [stack.enter_context(Proxy(target_of(url))) for _ in range(count)]
        usual = {"WSAUTHZ_POLL_SECONDS": "0.5", **weakened(without), **settings}
        processes = [kind(through(proxy, url), BUNDLES / "dam", **usual) for proxy in proxies]
        for process in processes:
            stack.callback(process.close)
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(ServerProcess.start, processes))
        yield [
            Replica(process=process, proxy=proxy, channel=stack.enter_context(grpc.insecure_channel(process.address)))
            for process, proxy in zip(processes, proxies, strict=True)
        ]
