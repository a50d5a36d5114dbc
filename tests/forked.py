"""Server processes that fork from one that has everything loaded: they start in a fraction of the time.

What they run from there on is what ``wsauthz serve`` runs. Tests of starting itself start the command instead.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.forked", "wsauthz.cli.serving", "wsauthz.store.migrations"])


def serve(environment: Mapping[str, str], folder: Path, log: Path) -> None:
    """Become a server; what it prints goes to the log."""
    from wsauthz.cli import app

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["wsauthz", "serve"]
    app()


class Forked:
    """A running server process; it is used as a ``subprocess.Popen`` is."""

    def __init__(self, environment: Mapping[str, str], folder: Path, log: Path) -> None:
        """Start it."""
        self._process = CONTEXT.Process(target=serve, args=(dict(environment), folder, log), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return the exit status, as ``Popen.poll`` does: negative, the signal that ended it; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Return the exit status when it has ended.

        Raises:
            subprocess.TimeoutExpired: it runs still.

        """
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired("wsauthz serve", timeout)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)
