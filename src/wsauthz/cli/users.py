"""Users of the application, mirrored from a file into a running server."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import grpc
import typer
from google.rpc import error_details_pb2, status_pb2

from wsauthz.cli import options
from wsauthz.cli.answers import DETAILS, sentence
from wsauthz.cli.failures import Failed, listed
from wsauthz.cli.progress import progress
from wsauthz.cli.user_files import Line, read_users
from wsauthz.settings import Settings
from wsauthz.v1 import users_pb2 as pb
from wsauthz.v1.users_pb2_grpc import UserServiceStub

app = typer.Typer(name="users", rich_markup_mode=None, no_args_is_help=True)

_STDIN: Final = "-"
_AT_ONCE: Final = 500
"""Users in one call: other writers have to wait for no more than these."""
_BYTES: Final = 512 << 10
"""Of one call; a server takes twice as many."""
_SECONDS: Final = 30.0
_TRIES: Final = 8
_FIRST_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 5.0
_TRY_AGAIN: Final = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED}
_OUTCOMES: Final = {
    pb.USER_OUTCOME_CREATED: "created",
    pb.USER_OUTCOME_CHANGED: "changed",
    pb.USER_OUTCOME_UNCHANGED: "unchanged",
    pb.USER_OUTCOME_OUT_OF_DATE: "out of date",
}


@app.callback()
def users() -> None:
    """Mirror users of the application.

    \b
    Example:
      wsauthz users sync users.csv
    """


@app.command()
def sync(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON Lines or CSV; - is standard input.")],
    server: options.Server = None,
) -> None:
    """Create or change the users in FILE on a running server.

    Fields are user_id (or id), kind (human, service), is_active, email, email_verified, name, image_url and
    source_version; CSV has their names in its first line. A field that is not there stays as it is. A text that is
    there and empty, or null, is emptied; an email is removed. Other empty fields change nothing. A user who has the
    source_version or a higher one already stays as they are. A line that is wrong fails alone (exit status 2, the
    others are carried out). The command can be repeated at any time.

    \b
    Example:
      wsauthz users sync users.csv
      psql --csv -c 'SELECT id, email, name FROM users' app | wsauthz users sync -
    """
    name = "standard input" if file == _STDIN else file
    lines = list(read_users(_content(file, name), name))
    first = next((line for line in lines if line.event is not None), None)
    counts: Counter[str] = Counter()
    failures: list[tuple[int, str]] = [(line.number, line.problem) for line in lines if line.event is None]
    address = server or Settings.from_environment().listen
    with grpc.insecure_channel(address) as channel, progress("Users", len(lines)) as advance:
        stub: Any = UserServiceStub(channel)
        for some in _batches(lines):
            results = _sent(stub, some, name, address, is_first=some[0] is first)
            for line, result in zip(some, results, strict=True):
                if result.outcome == pb.USER_OUTCOME_FAILED:
                    failures.append((line.number, f"{result.reason}: {result.error}"))
                else:
                    counts[_OUTCOMES[result.outcome]] += 1
            advance(len(some))
    print(f"{name}: {', '.join(f'{counts[each]:,} {each}' for each in _OUTCOMES.values())}, {len(failures):,} failed")
    if failures:
        raise Failed(*listed([f"{name}:{number}: {problem}" for number, problem in sorted(failures)]))


def _content(file: str, name: str) -> str:
    content = sys.stdin.buffer.read() if file == _STDIN else Path(file).read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Failed(f"{name}: is not UTF-8") from None


def _batches(lines: list[Line]) -> Iterator[list[Line]]:
    some: list[Line] = []
    size = 0
    for line in lines:
        if line.event is None:
            continue
        more = line.event.ByteSize()
        if some and (len(some) == _AT_ONCE or size + more > _BYTES):
            yield some
            some, size = [], 0
        some.append(line)
        size += more
    if some:
        yield some


def _sent(stub: Any, some: list[Line], name: str, address: str, *, is_first: bool) -> list[pb.BatchUpsertUsersResult]:
    """Send some users, again if the server has too much to do or was there before, and return the results."""
    request = pb.BatchUpsertUsersRequest(users=[line.event for line in some if line.event is not None])
    pause = _FIRST_PAUSE_SECONDS
    for left in reversed(range(_TRIES)):
        try:
            return list(stub.BatchUpsertUsers(request, timeout=_SECONDS).results)
        except grpc.RpcError as error:
            failed: Any = error
            is_away = is_first and DETAILS not in dict(failed.trailing_metadata() or ())
            if failed.code() not in _TRY_AGAIN or is_away or not left:
                stopped = f"{name}: stopped before line {some[0].number}; the command can be repeated"
                raise Failed(sentence(failed, address), stopped) from None
            time.sleep(max(pause, _asked_pause(failed)))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    raise AssertionError  # the last try has returned or raised


def _asked_pause(error: Any) -> float:
    """Return how many seconds a server asks to wait; 0: it does not say."""
    said = dict(error.trailing_metadata() or ()).get(DETAILS, b"")
    retry = error_details_pb2.RetryInfo()
    asked = any(detail.Unpack(retry) for detail in status_pb2.Status.FromString(said).details)
    return retry.retry_delay.ToTimedelta().total_seconds() if asked else 0.0
