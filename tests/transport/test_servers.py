"""What servicers and callers rely on, whatever carries the calls; where the transports differ, the test says so."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from tests.serving import READY_SECONDS
from tests.transport.bare import DETAILS, SERVICE, Bare

pytestmark = pytest.mark.parametrize("transport", ["grpcio", "native"])


@pytest.fixture
def bare(transport: str) -> Iterator[Bare]:
    with Bare(transport) as server:
        yield server


def refused(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call, and return the error."""
    with pytest.raises(grpc.RpcError) as found:
        call(*arguments, **options)
    return found.value


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# --- what a servicer is told, and what it tells -----------------------------------------------------------------------


def test_metadata_arrives_as_it_was_sent(bare: Bare) -> None:
    sent = (("x-twice", "one"), ("x-twice", "two"), ("x-empty", ""), ("x-bytes-bin", b"\x00\xff"), ("x-list", "a, b"))
    bare.call("Note", metadata=sent)
    ((metadata, _),) = bare.seen
    assert tuple(tuple(pair) for pair in metadata if pair[0].startswith("x-")) == sent
    assert {key: type(value) for key, value in metadata if key.startswith("x-")} == {
        "x-twice": str,
        "x-empty": str,
        "x-bytes-bin": bytes,
        "x-list": str,
    }


def test_the_time_remaining_is_that_of_the_deadline(bare: Bare) -> None:
    bare.call("Note", timeout=60)
    bare.method("Note")(b"")
    (_, some), (_, endless) = bare.seen
    assert 0 < some < 61  # it travels rounded up
    assert endless is None or endless > 1e9  # grpcio says None, the native transport a very long time


def test_an_abort_ends_the_handler_and_tells_all_of_it(bare: Bare) -> None:
    error = refused(bare.call, "Abort")
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "Not one of 100 %\nñ")
    assert dict(error.trailing_metadata())["grpc-status-details-bin"] == DETAILS
    wait_for(lambda: bare.seen == [grpc.aio.AbortError])


@pytest.mark.parametrize("path", [f"/{SERVICE}/Nothing", "/no.such.Service/Size", f"/{SERVICE}/"])
def test_what_is_not_served_is_unimplemented(bare: Bare, path: str) -> None:
    error = refused(bare.channel.unary_unary(path), b"", timeout=10)
    assert (error.code(), error.details()) == (grpc.StatusCode.UNIMPLEMENTED, "Method not found!")


def test_a_deadline_ends_the_handler(bare: Bare) -> None:
    assert refused(bare.call, "Sleep", b"60", timeout=0.2).code() == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_for(lambda: bare.seen == ["began", "cancelled"])


def test_a_call_that_is_cancelled_ends_its_handler(bare: Bare) -> None:
    call = bare.method("Sleep").future(b"60")
    wait_for(lambda: bare.seen)
    call.cancel()
    wait_for(lambda: bare.seen == ["began", "cancelled"])


def test_a_connection_that_is_closed_ends_its_handlers(bare: Bare) -> None:
    channel = bare.connect()
    call = bare.method("Sleep", channel).future(b"60")
    wait_for(lambda: bare.seen)
    channel.close()
    wait_for(lambda: bare.seen == ["began", "cancelled"])
    assert call.done()


# --- streams ----------------------------------------------------------------------------------------------------------


def test_a_stream_arrives_whole_and_in_order(bare: Bare) -> None:
    assert [int(message) for message in bare.stream(b"500")] == list(range(500))
    wait_for(lambda: "ended" in bare.seen)


def test_a_stream_may_end_with_an_error(bare: Bare) -> None:
    method: Any = bare.channel.unary_stream(f"/{SERVICE}/CountAndAbort")
    messages = method(b"")
    assert next(messages) == b"0"
    error = refused(next, messages)
    assert (error.code(), error.details()) == (grpc.StatusCode.ABORTED, "enough")
    assert dict(error.trailing_metadata())["grpc-status-details-bin"] == DETAILS


def test_a_stream_that_is_cancelled_ends_its_handler(bare: Bare) -> None:
    messages = bare.stream(b"1000000000")
    next(messages)
    messages.cancel()
    wait_for(lambda: "ended" in bare.seen)


def test_callers_that_do_not_read_their_streams_hold_up_nobody(transport: str) -> None:
    """There are more of them than the loop's own pool has threads."""
    with Bare(transport) as server:
        channels = [server.connect() for _ in range(40)]
        streams = [server.stream(b"1000000000", channel) for channel in channels]
        for stream in streams:
            next(stream)
        assert server.call("Size", b"four") == b"4"
        server.stop(0.1)
        wait_for(lambda: server.seen.count("ended") == len(streams))
        for channel in channels:
            channel.close()


# --- limits -----------------------------------------------------------------------------------------------------------


def test_a_message_of_a_mebibyte_is_read_and_a_longer_one_refused(bare: Bare) -> None:
    assert bare.call("Size", bytes(1 << 20)) == b"1048576"
    error = refused(bare.call, "Size", bytes((1 << 20) + 1))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in error.details()


def test_an_answer_may_be_long(bare: Bare) -> None:
    assert len(bare.call("Fill", b"5000000")) == 5_000_000


def test_a_compressed_message_is_read_and_counts_as_what_it_becomes(bare: Bare) -> None:
    assert bare.call("Size", bytes(100_000), compression=grpc.Compression.Gzip) == b"100000"
    error = refused(bare.call, "Size", bytes(2 << 20), compression=grpc.Compression.Gzip)
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_the_other_compression_is_unknown_to_the_native_transport(bare: Bare, transport: str) -> None:
    def ask() -> bytes:
        return bare.call("Size", bytes(1_000), compression=grpc.Compression.Deflate)

    if transport == "grpcio":
        assert ask() == b"1000"
    else:
        assert refused(ask).code() == grpc.StatusCode.UNIMPLEMENTED


def padding(kibibytes: int) -> tuple[tuple[str, str], ...]:
    return tuple((f"x-padding-{number}", "x" * 980) for number in range(kibibytes))


def test_metadata_may_be_some_kibibytes_but_not_many(bare: Bare) -> None:
    assert bare.call("Size", metadata=padding(6)) == b"0"
    error = refused(bare.call, "Size", metadata=padding(20))
    assert error.code() in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE}
    assert bare.call("Size", metadata=padding(6)) == b"0"


def test_a_connection_is_told_how_many_calls_it_may_make_at_once(bare: Bare) -> None:
    host, _, port = bare.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        head = connection.recv(9, socket.MSG_WAITALL)
        body = connection.recv(int.from_bytes(head[:3]), socket.MSG_WAITALL)
    settings = {
        int.from_bytes(body[at : at + 2]): int.from_bytes(body[at + 2 : at + 6]) for at in range(0, len(body), 6)
    }
    assert settings[3] == 1_000  # SETTINGS_MAX_CONCURRENT_STREAMS


# --- beginning and end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:0", "[::1]:0", "127.0.0.2:0"])
def test_it_listens_on_every_form_of_loopback(transport: str, listen: str) -> None:
    with Bare(transport, listen) as server:
        assert not server.address.endswith(":0")
        assert server.call("Size", b"four") == b"4"


def test_it_listens_on_a_unix_socket_and_leaves_none_behind(transport: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    for _ in range(2):
        with Bare(transport, f"unix:{path}") as server:
            assert server.call("Size", b"four") == b"4"
        assert not path.exists()
    path.touch()
    with pytest.raises(RuntimeError), Bare(transport, f"unix:{path}"):
        pass


def test_an_address_in_use_is_an_error_and_no_line_in_the_log(bare: Bare, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(RuntimeError), Bare(bare._transport, bare.address):
        pass
    assert not caplog.records


REFUSED_WHILE_STOPPING: Final = {
    "grpcio": {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED},
    "native": {grpc.StatusCode.UNAVAILABLE},
}
"""How the first call after stopping has begun is refused; CANCELLED is one that had just come in (decision 0015)."""


def test_calls_that_run_are_answered_and_others_refused_when_it_stops(transport: str) -> None:
    with Bare(transport) as server, ThreadPoolExecutor(1) as pool:
        other = server.connect()
        server.method("Size", other)(b"")
        calls = [server.method("Sleep").future(b"0.5") for _ in range(50)]
        wait_for(lambda: server.seen.count("began") == 50)
        stopping = pool.submit(server.stop, 10)
        first = refused(call_until_refused, server.method("Size", other))
        assert first.code() in REFUSED_WHILE_STOPPING[transport]
        assert refused(server.method("Size", other), b"").code() == grpc.StatusCode.UNAVAILABLE
        assert {call.result() for call in calls} == {b"slept"}
        stopping.result()
        other.close()


def call_until_refused(method: Any) -> None:
    """Call until that is refused."""
    while True:
        method(b"", timeout=10)
        time.sleep(0.005)


def test_whatever_ran_to_its_end_is_answered_when_it_stops(transport: str) -> None:
    """Without time to send them, about one call in a thousand that ended meanwhile went unanswered."""
    for _ in range(5):
        with Bare(transport) as server:
            answered: list[bytes] = []
            channels = [server.connect() for _ in range(4)]

            def ask(channel: grpc.Channel, server: Bare = server, answered: list[bytes] = answered) -> None:
                while True:
                    try:
                        answered.append(server.method("Sleep", channel)(b"0.005", timeout=10))
                    except grpc.RpcError:
                        return

            threads = [threading.Thread(target=ask, args=(channel,)) for channel in channels * 4]
            for thread in threads:
                thread.start()
            while server.seen.count("ended") < 100:
                time.sleep(0.005)
            server.stop(10)
            for thread in threads:
                thread.join()
            assert len(answered) == server.seen.count("ended")
            for channel in channels:
                channel.close()


def test_calls_that_take_too_long_are_ended_when_it_stops(transport: str) -> None:
    with Bare(transport) as server:
        call = server.method("Sleep").future(b"60")
        wait_for(lambda: server.seen)
        server.stop(0.1)
        assert refused(call.result).code() == grpc.StatusCode.UNAVAILABLE
        assert server.seen == ["began", "cancelled"]
