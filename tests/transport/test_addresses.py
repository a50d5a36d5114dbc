"""One server for each address: a second one is rejected, whatever either of them calls the address."""

import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.load import question, tell
from tests.serving import BUNDLES, Client, Serving
from wsauthz.settings import Settings, SettingsRefused
from wsauthz.transport import addresses
from wsauthz.transport.addresses import CannotListen

IN_USE = "Address already in use"


@pytest.fixture(params=["grpcio", "native"])
def serving(request: pytest.FixtureRequest, sqlite_url: str) -> Callable[..., Serving]:
    """Return what makes servers of one transport on one database."""
    return lambda listen, **more: Serving(sqlite_url, BUNDLES / "dam", listen=listen, transport=request.param, **more)


@pytest.fixture
def localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let localhost have two addresses, as on most machines."""
    ask = socket.getaddrinfo

    def both(host: str, *rest: Any, **options: Any) -> list[Any]:
        hosts = ["::1", "127.0.0.1"] if host == "localhost" else [host]
        return [found for each in hosts for found in ask(each, *rest, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", both)


@contextmanager
def taken(host: str) -> Iterator[int]:
    """Listen on a port of a host."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        yield listener.getsockname()[1]


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as asking:
        return asking.connect_ex((host, port)) != 0


def answers(client: Client) -> bool:
    """Whether a server answers."""
    return tell(client.authorization.Check, question("w", "ann")).code == "OK"


# --- Unix sockets -----------------------------------------------------------------------------------------------------


def test_a_second_server_does_not_take_a_unix_socket_over(serving: Callable[..., Serving], tmp_path: Path) -> None:
    listen = f"unix:{tmp_path / 'socket'}"
    with serving(listen) as first:
        with pytest.raises(CannotListen, match=IN_USE), serving(listen):
            pass
        assert (tmp_path / "socket").is_socket()
        assert answers(first.client("ann"))
    assert not list(tmp_path.glob("*socket*"))
    assert not list(tmp_path.glob(".????????"))


def test_a_server_that_stops_leaves_the_socket_of_another_one(serving: Callable[..., Serving], tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with ExitStack() as stack:
        with serving(f"unix:{path}"):
            path.unlink()  # as somebody does who finds a socket in the way
            second = stack.enter_context(serving(f"unix:{path}"))
        assert path.is_socket()
        assert answers(second.client("ann"))


def test_a_socket_that_was_left_behind_is_replaced(serving: Callable[..., Serving], tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
        killed.listen()
    with serving(f"unix:{path}") as server:
        assert answers(server.client("ann"))


@pytest.mark.parametrize("kind", ["file", "folder", "link", "datagram"])
def test_another_file_is_left_alone(serving: Callable[..., Serving], tmp_path: Path, kind: str) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
        make: dict[str, Callable[[], object]] = {
            "file": path.touch,
            "folder": path.mkdir,
            "link": lambda: path.symlink_to("nowhere"),
            "datagram": lambda: datagram.bind(str(path)),
        }
        make[kind]()
        before = path.lstat()
        with pytest.raises(CannotListen), serving(f"unix:{path}"):
            pass
    assert os.path.samestat(path.lstat(), before)


@pytest.mark.parametrize(
    ("path", "why"),
    [("missing/socket", "No such file or directory"), ("a-file/socket", "Not a directory"), ("x" * 100, "107 bytes")],
)
def test_a_socket_that_cannot_be_made_is_a_sentence(
    serving: Callable[..., Serving], tmp_path: Path, path: str, why: str
) -> None:
    (tmp_path / "a-file").touch()
    with pytest.raises(CannotListen, match=why) as found, serving(f"unix:{tmp_path / path}"):
        pass
    assert str(found.value).startswith(f"cannot listen on unix:{tmp_path / path}: ")


def try_to_listen(address: str) -> bool:
    """Listen, tell whether that was permitted, and go on listening until the process ends."""
    listener = socket.socket(socket.AF_UNIX)
    KEPT.append(listener)

    def add_port(where: str) -> int:
        listener.bind(where.removeprefix("unix:"))
        listener.listen()
        return 0

    try:
        KEPT.append(addresses.listen(address, add_port))
    except CannotListen:
        return False
    return True


KEPT: list[Any] = []


def test_of_servers_that_start_together_one_gets_the_socket(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        for number in range(50):
            path = tmp_path / str(number)
            with socket.socket(socket.AF_UNIX) as killed:
                killed.bind(str(path))
            assert sum(pool.map(try_to_listen, [f"unix:{path}"] * 8)) == 1
            assert path.is_socket()


@pytest.mark.parametrize("listen", ["unix:", "unix://", "unix:/", "unix:///", "unix:/run/", "unix://run/socket"])
def test_a_unix_socket_without_a_path_is_no_setting(listen: str) -> None:
    with pytest.raises(SettingsRefused, match="unix:/path"):
        Settings.from_environment({}, listen=listen)


@pytest.mark.parametrize("listen", ["unix:/run/socket", "unix:socket", "unix:///run/socket"])
def test_a_unix_socket_has_a_path(listen: str) -> None:
    assert Settings.from_environment({}, listen=listen).listen == listen


# --- names and ports --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("localhost")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_name_is_rejected_where_somebody_listens_at_one_of_its_addresses(
    serving: Callable[..., Serving], host: str
) -> None:
    with taken(host) as port:
        with pytest.raises(CannotListen, match=IN_USE), serving(f"localhost:{port}"):
            pass
        assert is_free("::1" if host == "127.0.0.1" else "127.0.0.1", port)


@pytest.mark.usefixtures("localhost")
def test_a_server_listens_at_every_address_of_a_name(sqlite_url: str) -> None:
    with Serving(sqlite_url, BUNDLES / "dam", listen="localhost:0", transport="grpcio") as server:
        port = int(server.server.address.removeprefix("localhost:"))
        assert not any(is_free(host, port) for host in ("::1", "127.0.0.1"))
        assert answers(server.client("ann"))
        with pytest.raises(CannotListen, match=IN_USE), Serving(sqlite_url, BUNDLES / "dam", listen=f"[::1]:{port}"):
            pass


@pytest.mark.usefixtures("localhost")
def test_the_native_transport_rejects_a_name_with_several_addresses(sqlite_url: str) -> None:
    with (
        pytest.raises(CannotListen, match="listens on one address, and this name has several"),
        Serving(sqlite_url, BUNDLES / "dam", listen="localhost:0", transport="native"),
    ):
        pass


def test_a_name_that_is_not_on_loopback_is_rejected(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("0.0.0.0", 0))]  # noqa: S104 - it must be rejected
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with (
        pytest.raises(CannotListen, match="not on loopback"),
        Serving(sqlite_url, BUNDLES / "dam", listen="localhost:0"),
    ):
        pass


@pytest.mark.usefixtures("localhost")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_metrics_are_served_at_every_address_of_a_name_or_none(sqlite_url: str, host: str) -> None:
    with taken(host) as port:
        with (
            pytest.raises(CannotListen, match=f"{IN_USE}; see --metrics-listen"),
            Serving(sqlite_url, BUNDLES / "dam", metrics_listen=f"localhost:{port}"),
        ):
            pass
        assert is_free("::1" if host == "127.0.0.1" else "127.0.0.1", port)
    with Serving(sqlite_url, BUNDLES / "dam", metrics_listen="localhost:0") as server:
        assert server.server._scrapes is not None
        assert not any(is_free(each, server.server._scrapes.port) for each in ("::1", "127.0.0.1"))
