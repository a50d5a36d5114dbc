"""A real PgBouncer in front of a database, from `start` to `stop`; Debian's package of that name has it."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg
from sqlalchemy.engine import URL, make_url

from tests.faults.site import target_of
from tests.postgres import execute

START_SECONDS: Final = 20.0


class PgBouncer:
    """PgBouncer on a port of 127.0.0.1, on the way to the server of a database URL."""

    def __init__(self, url: str, *, mode: str = "transaction", pool_size: int = 3, **settings: str | int) -> None:
        """Prepare it; ``mode`` is its pool_mode, ``settings`` are further ones of the section ``[pgbouncer]``."""
        self._program = program()
        self._database = make_url(url)
        self._folder = Path(tempfile.mkdtemp(prefix="wsauthz-pgbouncer-"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        self._settings: dict[str, str | int] = {
            "listen_addr": "127.0.0.1",
            "listen_port": self._port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": mode,
            "default_pool_size": pool_size,
            "max_client_conn": 200,
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the database by way of it."""
        there = self._database.database
        return URL.create("postgresql", "any", host="127.0.0.1", port=self._port, database=there).render_as_string()

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        target = target_of(self._database.render_as_string(hide_password=False))
        assert isinstance(target, str), "the tests reach their PostgreSQL by a Unix socket"
        folder, port = Path(target).parent, target.rpartition(".")[2]
        lines = [f"{name} = {value}" for name, value in self._settings.items()]
        (self._folder / "ini").write_text(
            f"[databases]\n* = host={folder} port={port} user={self._database.username}\n[pgbouncer]\n"
            + "\n".join(lines)
        )
        account = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to run as root
        self._folder.chmod(0o755)
        with (self._folder / "log").open("ab") as log:
            command = [self._program, *account, str(self._folder / "ini")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                execute(self.url, "SELECT 1")
                return self
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise AssertionError(f"PgBouncer does not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.05)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it and remove its folder."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def program() -> str:
    """Return the path of PgBouncer.

    Raises:
        AssertionError: it is not installed.

    """
    found = shutil.which("pgbouncer", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
    assert found is not None, "these tests need PgBouncer: apt-get install pgbouncer"
    return found
