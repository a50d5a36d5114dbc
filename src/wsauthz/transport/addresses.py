"""Addresses to listen on: every address of a name or none, and none on which somebody listens already.

The transports do it differently: grpcio takes a Unix socket over from the server that listens there, deletes the file
at its stop whoever made it, and is content with one of the addresses of a name.
"""

import errno
import fcntl
import ipaddress
import os
import secrets
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

_UNIX: Final = "unix:"
_OWN: Final = ".{}"
"""The name of a socket until it is listened on."""
_LONGEST_PATH: Final = 107
"""Bytes in the path of a Unix socket."""
_ATTEMPTS: Final = 20
"""To find a port that is free at every address of a name."""
_LOCK_ATTEMPTS: Final = 100
_LOCK_PAUSE_SECONDS: Final = 0.02
"""Others need the lock for milliseconds; somebody who keeps it must not keep servers from starting."""
_ABSENT: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""This machine lacks the address, as many lack IPv6; nobody can listen there."""

_File = tuple[int, int]


class CannotListen(OSError):
    """An address that cannot be listened on; the text names it and says why."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"cannot listen on {address}: {why}")


class Listening:
    """An address that a server listens on."""

    def __init__(self, address: str, socket_file: Path | None = None) -> None:
        self.address: Final = address
        """As it was asked for, with the port that was chosen if 0 was asked for."""
        self._path: Final = socket_file
        self._file: Final = socket_file and _file(socket_file)

    def close(self) -> None:
        """Delete the Unix socket, if the one that is there is still this one."""
        if self._path is not None:
            with suppress(OSError), _alone(self._path.parent):
                if _file(self._path) == self._file:
                    self._path.unlink()


def check(address: str) -> None:
    """Return if nobody listens at ``unix:path`` or ``host:port``, before something else is done that takes a while.

    Raises:
        CannotListen: somebody does, or see ``listen``.

    """
    if not address.startswith(_UNIX):
        tcp(address)
        return
    path = _unix_path(address)
    with _explained(address), _alone(path.parent):
        _refuse_occupied(address, path)


def listen(address: str, add_port: Callable[[str], int]) -> Listening:
    """Have ``add_port`` listen on ``unix:path``, or on every loopback address of ``host:port``.

    Raises:
        CannotListen: somebody listens there, the name is unknown or not on loopback, or it is not permitted.

    """
    if address.startswith(_UNIX):
        return _listen_unix(address, add_port)
    found = tcp(address)
    for host, port in found:
        if not ipaddress.ip_address(host).is_loopback:
            raise CannotListen(address, f"its address {host} is not on loopback")
        _add(address, add_port, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return Listening(f"{address.rpartition(':')[0]}:{found[0][1]}")


def _listen_unix(address: str, add_port: Callable[[str], int]) -> Listening:
    path = _unix_path(address)
    # The transport gets a name of its own: the public one appears when it listens, and is deleted only by `close`.
    own = path.with_name(_OWN.format(secrets.token_hex(4)))
    with _explained(address), _alone(path.parent):
        _refuse_occupied(address, path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:  # says why, which transports do not
            tried.bind(str(own))
        own.unlink()
        _add(address, add_port, f"{_UNIX}{own}")
        own.rename(path)
        return Listening(address, path)


@contextmanager
def _explained(address: str, hint: str = "") -> Iterator[None]:
    """Say at which address the system reports an error."""
    try:
        yield
    except CannotListen:
        raise
    except OSError as error:
        raise CannotListen(address, f"{error.strerror or error}{hint}") from None


def _add(address: str, add_port: Callable[[str], int], where: str) -> None:
    try:
        add_port(where)
    except RuntimeError:  # it was free a moment ago
        raise CannotListen(address, os.strerror(errno.EADDRINUSE)) from None


def tcp(address: str, hint: str = "") -> list[tuple[str, int]]:
    """Return host and port for every address of ``host:port``; nobody listens there, and the port is the same.

    Raises:
        CannotListen: somebody listens at one of them, or the name is unknown; with the hint at the end.

    """
    host, _, port = address.rpartition(":")
    with _explained(address, hint):
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys((family, str(where[0])) for family, _, _, _, where in found))
        return _free_together(addresses, int(port))


def _unix_path(address: str) -> Path:
    path = Path(address.removeprefix(_UNIX).removeprefix("//"))
    longest = max(len(os.fsencode(name)) for name in (path, path.with_name(_OWN.format("0" * 8))))
    if longest > _LONGEST_PATH:
        raise CannotListen(address, f"the path of a socket has at most {_LONGEST_PATH} bytes")
    return path


def _free_together(addresses: Sequence[tuple[socket.AddressFamily, str]], port: int) -> list[tuple[str, int]]:
    """Return the addresses with the port or, for 0, with one that is free at all of them."""
    for attempt in range(_ATTEMPTS):
        try:
            return _free(addresses, port)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE or attempt == _ATTEMPTS - 1:
                raise
    return []


def _free(addresses: Sequence[tuple[socket.AddressFamily, str]], port: int) -> list[tuple[str, int]]:
    """Bind every address for a moment, all together, and return them."""
    free: list[tuple[str, int]] = []
    with ExitStack() as stack:
        missing: OSError | None = None
        for family, host in addresses:
            try:
                tried = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
                # As those who will listen do: connections that were closed before do not count.
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                tried.bind((host, port))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                missing = error
                continue
            port = port or tried.getsockname()[1]
            free.append((host, port))
    if not free and missing is not None:
        raise missing
    return free


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other servers from looking at the sockets of a folder and making some, where its file system has locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for _ in range(_LOCK_ATTEMPTS):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE_SECONDS)
            except OSError:
                break
            else:
                break
        yield
    finally:
        os.close(descriptor)


def _refuse_occupied(address: str, path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise CannotListen(address, "there is a file that is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)  # with a full queue it would wait
        try:
            asking.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return  # left behind by a server that was killed
        except OSError:
            pass
    raise CannotListen(address, os.strerror(errno.EADDRINUSE))


def _file(path: Path) -> _File:
    found = path.lstat()
    return found.st_dev, found.st_ino
