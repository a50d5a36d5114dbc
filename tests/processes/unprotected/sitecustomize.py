"""Takes protections off a server that a test starts with this folder on PYTHONPATH, to see what they are good for.

``WSAUTHZ_TEST_WITHOUT`` names them, with commas between.
"""

import functools
import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from types import ModuleType
from typing import Any, Final

from sqlalchemy import Connection, update

from wsauthz.replica import following, history, replica, writing
from wsauthz.store import deadlines, invitations, invite_codes, postgresql, revisions, tables, workspaces
from wsauthz.transport import grpcio, limits

_HESITATION_SECONDS: Final = 0.005
"""How much longer a transaction takes from deciding to writing: else hardly two of them would meet."""


def put(module: ModuleType | type, name: str, function: Callable[..., Any]) -> None:
    """Put a function in place of one that must be there."""
    assert callable(getattr(module, name))
    setattr(module, name, function)


def lock() -> None:
    """Let go of the revision row at once, and decide on whatever facts there are."""
    advance = revisions.advance

    def advance_and_let_go(connection: Connection) -> Any:
        taken, now = advance(connection)
        connection.exec_driver_sql("COMMIT")
        return replace(taken, audit_end=None), now  # the end of the chain is not kept still any more, either

    def as_it_is(held: Any, _connection: Any, _revision: Any) -> Any:
        return held.facts, held.rules

    async def deaf(_: Any) -> None:
        """Listen for nothing: one would be told of a revision before its changes are there, and go on without them."""

    record = revisions.record

    def record_late(*arguments: Any) -> None:
        time.sleep(_HESITATION_SECONDS)
        record(*arguments)

    put(revisions, "advance", advance_and_let_go)
    put(revisions, "record", record_late)
    put(following.Follower, "_listen", deaf)
    put(writing, "_caught_up", as_it_is)
    for module in (replica, writing):  # a revision may have been read before its changes: read everything every time
        put(module, "needs_reload", lambda *_: True)


def invitation() -> None:
    """Spend an invitation whatever has become of it."""

    def accept(connection: Connection, invitation_id: str, *, accepted_by: str, now: datetime) -> bool:
        spent = update(tables.invitations).where(tables.invitations.c.id == invitation_id)
        connection.execute(spent.values(accepted_at=now, accepted_by=accepted_by))
        return True

    put(invitations, "accept", accept)


def owner() -> None:
    """Pass a workspace on whoever owns it."""

    def pass_on(connection: Connection, workspace_id: str, *, owner: str, to: str, now: datetime) -> bool:
        del owner
        passed = update(tables.workspaces).where(tables.workspaces.c.id == workspace_id)
        connection.execute(passed.values(owner_user_id=to, updated_at=now))
        return True

    put(workspaces, "pass_on", pass_on)


def code() -> None:
    """Remember what an invite code opens."""
    find = invite_codes.find_workspace
    remembered: dict[str, str | None] = {}

    @functools.wraps(find)
    def find_once(connection: Connection, code: str) -> str | None:
        if code not in remembered:
            remembered[code] = find(connection, code)
        return remembered[code]

    put(invite_codes, "find_workspace", find_once)


def staleness() -> None:
    """Answer from memory for ever."""

    def whole(held: replica.Replica, asked_at: float) -> None:
        held.seen_at = asked_at
        held._answers_until = math.inf

    put(replica.Replica, "_whole", whole)


def waiting() -> None:
    """Answer at whatever revision there is."""

    async def reached(_held: replica.Replica, _token: str, _seconds: float) -> None:
        return

    put(replica.Replica, "reached", reached)


def cutting_off() -> None:
    """Wait for whoever does not answer."""
    put(deadlines.Watch, "cut", lambda _: None)


def standby() -> None:
    """Take any server for the database."""
    postgresql._SETTINGS = postgresql._SETTINGS.replace("pg_is_in_recovery()", "false")  # type: ignore[misc]


def epoch() -> None:
    """Go on under the old epoch after a restore."""
    put(revisions, "renew_epoch", lambda *_: None)


def digests() -> None:
    """Take every revision that is old enough for one of this history."""
    put(history.History, "knows", lambda held, named: named.value <= held.newest)


def without_option(name: str) -> None:
    """Start the server without the limits of the transport whose names begin so."""
    kept = tuple(each for each in limits.OPTIONS if not each[0].startswith(name))
    assert len(kept) < len(limits.OPTIONS)
    vars(grpcio)["OPTIONS"] = kept


PROTECTIONS: Final[dict[str, Callable[[], None]]] = {
    "lock": lock,
    "invitation": invitation,
    "owner": owner,
    "code": code,
    "staleness": staleness,
    "waiting": waiting,
    "standby": standby,
    "epoch": epoch,
    "digests": digests,
    "cutting-off": cutting_off,
    "handshake": functools.partial(without_option, "grpc.server_handshake_timeout_ms"),
    "connections": functools.partial(without_option, "grpc.max_allowed_incoming_connections"),
    "pending": functools.partial(without_option, "grpc.server.max_pending_requests"),
}

for name in filter(None, os.environ.get("WSAUTHZ_TEST_WITHOUT", "").split(",")):
    PROTECTIONS[name]()
