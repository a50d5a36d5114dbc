"""A generator of calls that differ, which h2load cannot make: HTTP/2 by hand, every call another request.

``python -m bench.pump HOST:PORT METHOD FILE CONNECTIONS STREAMS``; FILE has the requests, each after its length in four
bytes. Prints how many seconds all calls took. It counts ended streams; what was answered is for the caller to check.
"""

import selectors
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _GO_AWAY, _WINDOW_UPDATE = 0, 1, 4, 6, 7, 8
_ACK: Final = 1
_END_STREAM: Final = 1
_END_HEADERS: Final = 4
_WIDE: Final = 2**31 - 1
_FIRST_WINDOW: Final = 65_535


class Connection:
    """One connection that keeps a number of calls running until there are no more requests."""

    def __init__(self, address: str, method: str, requests: Iterator[bytes]) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.running = 0
        self._requests = requests
        self._block = _headers(address, method)
        self._next_stream = 1
        self._window = _FIRST_WINDOW
        self._buffer = b""
        # Of the answers nothing is ever held back: both windows are as wide as they can be.
        wide = _frame(_SETTINGS, 0, 0, struct.pack(">HI", 4, _WIDE))
        more = _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WIDE - _FIRST_WINDOW))
        self.socket.sendall(_PREFACE + wide + more)

    def start(self, count: int) -> None:
        """Start up to so many calls."""
        frames = []
        for _ in range(count):
            body = next(self._requests, None)
            if body is None:
                break
            message = struct.pack(">BI", 0, len(body)) + body
            self._window -= len(message)
            if self._window < 0:
                raise RuntimeError("the server's window is too small for so many calls at once")
            frames.append(_frame(_HEADERS, _END_HEADERS, self._next_stream, self._block))
            frames.append(_frame(_DATA, _END_STREAM, self._next_stream, message))
            self._next_stream += 2
            self.running += 1
        self.socket.sendall(b"".join(frames))

    def receive(self) -> None:
        """Read what has arrived, and start a call for each that ended."""
        received = self.socket.recv(1 << 16)
        if not received:
            raise RuntimeError("the server closed the connection")
        buffer, at, ended = self._buffer + received, 0, 0
        while len(buffer) - at >= 9:
            length = int.from_bytes(buffer[at : at + 3], "big")
            end = at + 9 + length
            if len(buffer) < end:
                break
            ended += self._take(buffer[at + 3], buffer[at + 4], buffer[at + 9 : end])
            at = end
        self._buffer = buffer[at:]
        self.running -= ended
        if ended:
            self.start(ended)

    def _take(self, kind: int, flags: int, payload: bytes) -> bool:
        """Take one frame; return whether a call has ended with it."""
        if kind == _WINDOW_UPDATE:
            # Those of single streams are counted, too: they are small, and the window is never used up.
            self._window += int.from_bytes(payload, "big")
        elif kind in {_SETTINGS, _PING} and not flags & _ACK:
            self.socket.sendall(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind == _GO_AWAY:
            raise RuntimeError(f"the server sent GOAWAY: {payload[8:]!r}")
        return kind == _HEADERS and bool(flags & _END_STREAM)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def _headers(address: str, method: str) -> bytes:
    """Return the block of every request: POST, http, and the rest as literals that nobody needs to remember."""
    block = b"\x83\x86"
    names = ((4, "", f"/{method}"), (1, "", address), (31, "", "application/grpc"), (0, "te", "trailers"))
    for index, name, value in names:
        block += bytes([index]) if index < 15 else bytes([15, index - 15])
        block += bytes([len(name)]) + name.encode() if name else b""
        block += bytes([len(value)]) + value.encode()
    return block


def _read(path: Path) -> Iterator[bytes]:
    content, at = path.read_bytes(), 0
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        yield content[at + 4 : at + 4 + length]
        at += 4 + length


def main(address: str, method: str, file: str, connections: str, streams: str) -> None:
    """Make all calls, and print how many seconds they took."""
    requests = iter(list(_read(Path(file))))
    selector = selectors.DefaultSelector()
    made = [Connection(address, method, requests) for _ in range(int(connections))]
    began = time.perf_counter()
    for connection in made:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.start(int(streams))
    while any(connection.running for connection in made):
        for key, _ in selector.select(10):
            key.data.receive()
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main(*sys.argv[1:])
