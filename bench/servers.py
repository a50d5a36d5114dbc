"""Server processes on a core of their own: the real one, and a bare one that answers an empty method."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench import policies

CORE: Final = 0
"""Where servers run; load comes from another one."""
_READY_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A process that serves."""

    process: psutil.Process
    address: str
    metrics: str
    """host:port of its series; empty: it has none."""
    seconds: float
    """From starting the process until it served."""

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its threads so far, to the nanosecond."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text(encoding="utf-8").split()[0]) for task in tasks) / 1e9

    def resident_bytes(self) -> int:
        """Return how much memory it has."""
        return int(self.process.memory_info().rss)


@contextmanager
def real(database: Path, transport: str = "grpcio") -> Iterator[Server]:
    """Run ``wsauthz serve`` on a database file."""
    address, metrics = _free_address(), _free_address()
    command = [str(Path(sys.executable).with_name("wsauthz")), "serve", "--listen", address, "--transport", transport]
    command += ["--metrics-listen", metrics, "--database", f"sqlite:///{database}", "--policy", str(policies.DIRECTORY)]
    with _running(command, address, metrics) as server:
        yield server


@contextmanager
def empty(transport: str = "grpcio") -> Iterator[Server]:
    """Run the bare server."""
    address = _free_address()
    with _running([sys.executable, "-m", "bench.empty", address, transport], address, "") as server:
        yield server


@contextmanager
def _running(command: Sequence[str], address: str, metrics: str) -> Iterator[Server]:
    began = time.monotonic()
    with tempfile.TemporaryFile() as log:
        started = subprocess.Popen(["taskset", "-c", str(CORE), *command], stdout=log, stderr=log)
        try:
            _wait_until_serving(address, started)
            seconds = time.monotonic() - began
            yield Server(process=psutil.Process(started.pid), address=address, metrics=metrics, seconds=seconds)
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read()[-4000:].decode())
            raise
        finally:
            started.terminate()
            started.wait()


def _wait_until_serving(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the health service says SERVING, or, of a server without one, until it says that there is none."""
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with grpc.insecure_channel(address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=1)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                    return
                time.sleep(0.02)
                continue
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
    raise RuntimeError("the server does not serve")


def _free_address() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        host, port = found.getsockname()
        return f"{host}:{port}"
