"""A TCP proxy that misbehaves on demand: it stands between servers and their database.

It passes bytes on, holds them (connections are accepted and acknowledged, and nothing arrives), delays them, or resets
every connection; and it can be pointed at another server.
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self

Mode = Literal["pass", "hold", "reset", "delay"]
Target = int | str

_CHUNK: Final = 65536
_LISTEN: Final = b"LISTEN "


class Proxy:
    """Forwards 127.0.0.1:port to a target; ``mode`` may be changed at any time and holds for all connections."""

    def __init__(self, target: Target) -> None:
        """Prepare to forward to a port of 127.0.0.1, or to the Unix socket at a path."""
        self.target = target
        self.deaf = False
        """Whether connections that listen for notifications hear nothing any more, and stay open."""
        self.delay_seconds = 0.05
        """How long bytes are delayed in the mode ``delay``, in each direction."""
        self._mode: Mode = "pass"
        self._changed = threading.Condition()
        self._closed = False
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        """Start forwarding."""
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close everything."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(10)
        self._listener.close()
        self.cut()

    @property
    def mode(self) -> Mode:
        """What happens to bytes."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        with self._changed:
            self._mode = mode
            self._changed.notify_all()
        if mode == "reset":
            self.cut()

    def point_at(self, target: Target) -> None:
        """Forward to another port from now on, as an address does that moves; connections there are are cut."""
        self.target = target
        self.cut()

    def cut(self) -> None:
        """Reset every connection."""
        with self._changed:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for each in pair:
                _reset(each)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._closed:
                client.close()
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._wait()
        if self._mode == "reset" or self._closed:
            _reset(client)
            return
        try:
            server = _connected(self.target)
        except OSError:
            _reset(client)
            return
        pair = (client, server)
        with self._changed:
            self._pairs.add(pair)
        listens = threading.Event()
        back = threading.Thread(target=self._forward, args=(server, client, lambda _: listens.is_set()), daemon=True)
        back.start()

        def notice(sent: bytes) -> bool:
            if _LISTEN in sent:
                listens.set()
            return False

        self._forward(client, server, notice)
        back.join()
        with self._changed:
            self._pairs.discard(pair)
        for each in pair:
            each.close()

    def _forward(self, source: socket.socket, sink: socket.socket, is_for_listening: Callable[[bytes], bool]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                self._wait()
                if is_for_listening(data) and self.deaf:
                    continue
                if self._mode == "delay":
                    time.sleep(self.delay_seconds)
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _wait(self) -> None:
        """Hold what has come for as long as things are held."""
        with self._changed:
            self._changed.wait_for(lambda: self._mode != "hold" or self._closed)


def _connected(target: Target) -> socket.socket:
    if isinstance(target, int):
        return socket.create_connection(("127.0.0.1", target))
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(target)
    except OSError:
        server.close()
        raise
    return server


def _reset(connection: socket.socket) -> None:
    """Close a connection the hard way."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
