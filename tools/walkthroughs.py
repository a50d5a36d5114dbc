"""Runs the commands of docs/products/*.md against real servers and writes their real output into the pages.

``check`` compares instead of writing; what differs from run to run - ids, codes, tokens, times, revisions - counts as
the same. A page names its bundle in its first line, ``<!-- policies/dam -->``. Commands stand after ``$ `` in blocks
marked ``console``, and go on in lines after ``> ``; everything else there is output.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import unified_diff
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = ROOT / "docs" / "products"
SHOWN: Final = "127.0.0.1:50051"
"""The address in the pages; the server of a run has a free port."""

_BLOCK: Final = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
_DIFFERS: Final = (
    # A slug that ends in an id is shorter where the id has "-" or "_" twice, or at its end.
    (re.compile(r"^(acme-group-workspace)-[a-z0-9-]{8,16}$", re.MULTILINE), r"\1-..."),
    (re.compile(r"\b(workspace|organization|member|invitation)([_-])[A-Za-z0-9_-]{16}"), r"\1\2..."),
    (re.compile(r"\b[0-9a-f]{64}\b"), "TOKEN"),
    (re.compile(r"\b[0-9A-HJKMNP-TV-Z]{20}\b"), "CODE"),
    (re.compile(r"\b[0-9a-f]{12}\.\d+(\.[0-9a-f]{8})?\b"), "REVISION"),
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z"), "TIME"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "HASH"),
    (re.compile(r'"decisionId": "[^"]+"'), "DECISION"),
)


@contextmanager
def served(bundle: str) -> Iterator[str]:
    """Give the address of a server with the bundle and an empty database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "WSAUTHZ_DATABASE_URL": f"sqlite:///{folder}/wsauthz.db",
            "WSAUTHZ_POLICY": str(ROOT / bundle),
            "WSAUTHZ_LISTEN": address,
            "WSAUTHZ_METRICS_LISTEN": "",
            "WSAUTHZ_LOG_LEVEL": "error",
        }
        os.environ.update({name: environment[name] for name in environment if name.startswith("WSAUTHZ_")})
        server = subprocess.Popen([str(ROOT / ".venv/bin/wsauthz"), "serve"], env=environment)
        try:
            _wait(address)
            yield address
        finally:
            server.terminate()
            server.wait(20)


def _wait(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with grpc.insecure_channel(address) as channel:
            try:
                health: Any = health_pb2_grpc.HealthStub(channel)
                health.Check(health_pb2.HealthCheckRequest(), timeout=1)
            except grpc.RpcError:
                time.sleep(0.1)
            else:
                return
    sys.exit("the server does not serve")


class Shell:
    """One bash for all commands of a page, so that variables and functions stay."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._bash = subprocess.Popen(
            ["/bin/bash"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, command: str) -> str:
        """Return what a command prints, complaints included."""
        stdin, stdout = self._bash.stdin, self._bash.stdout
        if stdin is None or stdout is None:
            sys.exit("bash has no pipes")
        stdin.write(f"{command.replace(SHOWN, self._address)}\necho; echo '<<end>>'\n")
        stdin.flush()
        lines: list[str] = []
        for line in stdout:
            if line == "<<end>>\n":
                break
            lines.append(line)
        return "".join(lines).rstrip("\n").replace(self._address, SHOWN)

    def close(self) -> None:
        """End it."""
        self._bash.communicate()


def commands(block: str) -> list[str]:
    """Return the commands of a block, each with its further lines."""
    found: list[str] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(line[2:])
        elif line.startswith("> "):
            found[-1] += f"\n{line[2:]}"
    return found


def run(text: str) -> str:
    """Return a page with the output that its commands have now."""
    match = re.match(r"<!-- (\S+) -->\n", text)
    if match is None:
        sys.exit("a page must name its bundle in its first line")
    with served(match[1]) as address:
        shell = Shell(address)

        def fill(block: re.Match[str]) -> str:
            filled = ""
            for command in commands(block[0]):
                output = shell.run(command)
                filled += "$ " + command.replace("\n", "\n> ") + "\n" + (f"{output}\n" if output else "")
            return filled

        try:
            return _BLOCK.sub(fill, text)
        finally:
            shell.close()


def same(text: str) -> str:
    """Return a page without what differs from run to run."""
    for pattern, name in _DIFFERS:
        text = pattern.sub(name, text)
    return text


def main() -> int:
    """Write the pages, or say which one is not what its commands print."""
    for page in sorted(PAGES.glob("*.md")):
        text = page.read_text()
        filled = run(text)
        if sys.argv[1:] != ["check"]:
            page.write_text(filled)
        elif same(filled) != same(text):
            name = str(page.relative_to(ROOT))
            sys.stderr.write(f"{name} is not what its commands print; run make docs\n")
            sys.stderr.writelines(unified_diff(same(text).splitlines(True), same(filled).splitlines(True), name, "now"))
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
