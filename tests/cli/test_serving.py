"""`wsauthz serve` as a process, and how it ends when it cannot begin."""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Run
from tests.serving import ServerCommand

WSAUTHZ = Path(sys.executable).parent / "wsauthz"


def serve(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a server that is expected not to start."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WSAUTHZ_")}
    return subprocess.run(
        [WSAUTHZ, "serve", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_server_makes_its_database_and_serves_until_it_is_asked_to_stop(tmp_path: Path, bundles: Path) -> None:
    with ServerCommand(f"sqlite:///{tmp_path / 'new.db'}", bundles / "dam") as server:
        assert (tmp_path / "new.db").exists()
        assert server.terminate() == 0
        log = server.log.read_text()
    assert '"message": "serving"' in log
    assert '"message": "stopped"' in log


def test_a_server_on_sqlite_loads_nothing_that_it_has_no_use_for() -> None:
    """Each of these costs a tenth of a second of every start, and memory for good."""
    unused = ("alembic", "casbin", "grpc_reflection.v1alpha", "hypothesis", "psycopg", "rich", "simpleeval")
    code = f"import sys, wsauthz.cli.serving; print([name for name in {unused} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_server_says_what_carries_its_calls(sqlite_url: str, bundles: Path) -> None:
    with ServerCommand(sqlite_url, bundles / "dam", WSAUTHZ_TRANSPORT="native") as server:
        assert server.terminate() == 0
        log = server.log.read_text()
    assert '"transport": "native"' in log
    assert '"message": "stopped"' in log


@pytest.mark.parametrize(
    ("transport", "at", "hint"),
    [
        ("grpcio", ("{}", ""), ""),
        ("native", ("{}", ""), ""),
        ("grpcio", ("127.0.0.1:0", "{}"), "; see --metrics-listen"),
    ],
)
def test_an_address_in_use_is_a_sentence_before_a_database_is_made(
    tmp_path: Path, bundles: Path, transport: str, at: tuple[str, str], hint: str
) -> None:
    usual = ("--database", f"sqlite:///{tmp_path / 'x.db'}", "--policy", bundles / "dam", "--transport", transport)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        listen, metrics_listen = (each.format(address) for each in at)
        refused = serve(*usual, "--listen", listen, "--metrics-listen", metrics_listen)
    assert (refused.returncode, refused.stderr) == (
        2,
        f"cannot listen on {address}: Address already in use{hint}\n",
    )
    assert not list(tmp_path.iterdir())


@pytest.fixture
def own_logs() -> Iterator[None]:
    """Put the logging of this process back to what it was."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.mark.usefixtures("own_logs")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--policy", "/nowhere/bundle"), "The policy bundle /nowhere/bundle is refused:\n"),
        (("--database", "postgresql://ann:canary@127.0.0.1:1/x"), "The database is unavailable: connection failed"),
        (("--database", "sqlite:////nowhere/x.db"), "The database is unavailable: /nowhere/x.db: No such file"),
        (("--database", "sqlite:///:memory:"), "an SQLite database must be a file"),
        (("--listen", "0.0.0.0:0"), "WSAUTHZ_LISTEN: 0.0.0.0:0 is not on loopback"),
        (("--transport", "native", "--listen", "[::]:0"), "WSAUTHZ_LISTEN: [::]:0 is not on loopback; the native"),
        (("--listen", "127.0.0.1:99999"), "WSAUTHZ_LISTEN: 127.0.0.1:99999 is neither host:port"),
        (("--listen", "nonsense"), "WSAUTHZ_LISTEN: nonsense is neither host:port"),
        (("--metrics-listen", "127.0.0.1:65536"), "WSAUTHZ_METRICS_LISTEN: must be host:port, with a port up to 65535"),
        (("--transport", "other"), "WSAUTHZ_TRANSPORT: must be grpcio or native"),
    ],
)
def test_what_keeps_a_server_from_starting_is_a_sentence_without_a_traceback(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str, bundles: Path
) -> None:
    usual = ("--database", f"sqlite:///{tmp_path / 'x.db'}", "--policy", bundles / "dam", "--metrics-listen", "")
    outcome = Run("")("serve", *usual, "--listen", "127.0.0.1:0", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(sentence)
    assert "Traceback" not in outcome.err
    assert "canary" not in outcome.err


@pytest.mark.usefixtures("own_logs")
def test_a_transport_that_is_not_installed_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundles: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pygrpc_native", None)  # as if it were not there
    usual = ("--database", f"sqlite:///{tmp_path / 'x.db'}", "--policy", bundles / "dam", "--metrics-listen", "")
    outcome = Run("")("serve", *usual, "--listen", "127.0.0.1:0", "--transport", "native")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == "The native transport is not installed: pip install 'wsauthz[native]'\n"
