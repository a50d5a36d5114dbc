"""Server processes that fork from one that has everything loaded: they start in a fraction of the time.

From there on they run what ``wsauthz serve`` runs, except that the interpreter is not taken down in the end, and that
modules of the tests are loaded, too. What is about how the command itself starts or ends uses ``ServerCommand``.
"""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing import connection, forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Final

_LOADED: Final = ("tests.quiet_grpc", "tests.forked", "wsauthz.cli.serving", "wsauthz.store.migrations")
# To start one process polls the others, which must happen once at a time: what is read there is there once.
_polling: Final = threading.Lock()


def context() -> ForkServerContext:
    """Return what starts processes that fork from one that has everything loaded."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(list(_LOADED))
    forkserver.ensure_running()
    return found


def serve(environment: Mapping[str, str], folder: Path, log: Path) -> None:
    """Become a server; what it prints goes to the log."""
    assert "wsauthz.cli.serving" in sys.modules, "it was to be loaded before"
    from wsauthz.cli import app  # not at the top: who imports this module to start processes has its own loaded

    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["wsauthz", "serve"]
    app()


def _end_with_parent() -> None:
    """End when the process that asked for this one has: it may have been killed, and would be missed for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class Forked:
    """A running server process; it is used as a ``subprocess.Popen`` is."""

    def __init__(self, environment: Mapping[str, str], folder: Path, log: Path) -> None:
        """Start it."""
        with _polling:
            self._process = context().Process(target=serve, args=(dict(environment), folder, log), daemon=True)
            self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return the exit status, as ``Popen.poll`` does: negative, the signal that ended it; None while it runs."""
        with _polling:
            return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Return the exit status when it has ended.

        Raises:
            subprocess.TimeoutExpired: it runs still.

        """
        connection.wait([self._process.sentinel], timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired("wsauthz serve", timeout)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
