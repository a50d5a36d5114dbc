"""One unary call over plain HTTP/2, with metadata that gRPC clients refuse to send."""

import socket
import struct
from typing import Final

from google.protobuf.message import Message


class Closed(Exception):
    """The server ended the connection."""


_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING = 0, 1, 4, 6
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1


def call(address: str, method: str, request: Message, metadata: dict[str, bytes], *, seconds: float = 10.0) -> None:
    """Make the call, and return when it was answered.

    Raises:
        Closed: the server ends the connection instead.

    """
    host, _, port = address.rpartition(":")
    headers = {
        ":method": b"POST",
        ":scheme": b"http",
        ":path": method.encode(),
        ":authority": b"localhost",
        "te": b"trailers",
        "content-type": b"application/grpc",
        **metadata,
    }
    body = request.SerializeToString()
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(
            _PREFACE
            + _frame(_SETTINGS, 0, 0, b"")
            + _frame(_HEADERS, _END_HEADERS, 1, b"".join(_literal(name, value) for name, value in headers.items()))
            + _frame(_DATA, _END_STREAM, 1, b"\0" + struct.pack(">I", len(body)) + body)
        )
        with connection.makefile("rb") as stream:
            while True:
                length, kind, flags, number = _head(stream.read(9))
                payload = stream.read(length)
                if kind == _PING and not flags & _ACK:
                    connection.sendall(_frame(_PING, _ACK, 0, payload))
                if kind == _HEADERS and number == 1 and flags & _END_STREAM:
                    return


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _head(nine: bytes) -> tuple[int, int, int, int]:
    if len(nine) < 9:
        raise Closed
    return int.from_bytes(nine[:3], "big"), nine[3], nine[4], int.from_bytes(nine[5:], "big")


def _literal(name: str, value: bytes) -> bytes:
    """Return a header as HPACK writes it without index and without Huffman coding."""
    return b"\0" + _text(name.encode()) + _text(value)


def _text(text: bytes) -> bytes:
    assert len(text) < 127
    return bytes([len(text)]) + text
