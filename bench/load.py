"""Load from h2load (Debian: nghttp2-client), on a core of its own."""

import re
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf.message import Message

from bench.servers import Server

CORE: Final = 1
CONNECTIONS: Final = 8
STREAMS: Final = 16
"""At once on each connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one burst of calls took."""

    calls: int
    failed: int
    """Not answered with HTTP status 200; what gRPC says of the others is for the caller to check."""
    per_second: float
    cpu_seconds: float
    """Of the server, for each call."""


def check_installed() -> None:
    """Return if the programs that are needed are there.

    Raises:
        SystemExit: naming what to install.

    """
    if missing := [name for name in ("h2load", "taskset") if shutil.which(name) is None]:
        raise SystemExit(f"needed: {', '.join(missing)} (apt-get install nghttp2-client util-linux)")


def call(
    server: Server, method: str, requests: Sequence[Message], count: int, *, streams: int = STREAMS, seconds: int = 0
) -> Load:
    """Make about ``count`` calls, the same number with each request, each request over a connection of its own.

    ``streams`` is how many are made at once on each connection, ``seconds`` the deadline of each (0: none).
    """
    each = count // len(requests)
    with tempfile.TemporaryDirectory() as folder:
        commands = []
        for number, request in enumerate(requests):
            frame = Path(folder) / f"{number}.bin"
            frame.write_bytes(framed(request))
            commands.append(_command(f"http://{server.address}/{method}", frame, each, streams, seconds))
        cpu, began = server.cpu_seconds(), time.perf_counter()
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
        texts = [process.communicate()[0] for process in running]
        took, cpu = time.perf_counter() - began, server.cpu_seconds() - cpu
    succeeded = sum(int(_found(r"status codes: (\d+) 2xx", text)) for text in texts)
    calls = each * len(requests)
    return Load(calls=calls, failed=calls - succeeded, per_second=calls / took, cpu_seconds=cpu / calls)


def framed(request: Message) -> bytes:
    """Return a message as gRPC sends it."""
    body = request.SerializeToString()
    return struct.pack(">BI", 0, len(body)) + body


def _command(url: str, frame: Path, count: int, streams: int, seconds: int) -> list[str]:
    command = ["taskset", "-c", str(CORE), "h2load", "-c", "1", "-m", str(streams), "-n", str(count)]
    command += ["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", str(frame)]
    return [*command, *(["-H", f"grpc-timeout: {seconds}S"] if seconds else []), url]


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"h2load said:\n{text}")
    return match.group(1)
