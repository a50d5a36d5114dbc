"""Clients of Watch: a stream that is read in a thread of its own, and a mirror that is made from what it says."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Self

import grpc

from tests.serving import Client, Refusal, decode
from wsauthz.policy.facts import Facts
from wsauthz.v1 import watch_pb2 as pb

PATIENCE_SECONDS: Final = 20.0


class Silence(Exception):
    """What was waited for was not told."""


class Stream:
    """One Watch, read as fast as it comes, for the block."""

    def __init__(self, client: Client, from_revision: str = "", **wanted: Any) -> None:
        request = pb.WatchRequest(from_revision=from_revision, filter=pb.WatchFilter(**wanted))
        self.messages: list[pb.WatchResponse] = []
        self.revisions: list[str] = []
        """The revisions that were told to their end, in order."""
        self.refusal: Refusal | None = None
        """How it ended, unless it was closed here."""
        self._came = threading.Condition()
        self._call: Any = client.authorization.Watch(request)
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def __enter__(self) -> Self:
        """Wait until the stream has begun, or was refused."""
        self.until(lambda: len(self.messages) > 1)
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel the call."""
        self._call.cancel()
        self._reading.join(PATIENCE_SECONDS)
        assert not self._reading.is_alive()

    @property
    def started(self) -> str:
        """The revision after which it began."""
        first, second = self.messages[:2]
        assert (first.event, second.event) == (pb.WATCH_EVENT_POLICY, pb.WATCH_EVENT_STARTED)
        return second.revision

    @property
    def told(self) -> list[pb.WatchResponse]:
        """The revisions."""
        return [each for each in self.messages if each.event == pb.WATCH_EVENT_REVISION]

    @property
    def changes(self) -> list[pb.Change]:
        """All changes, in order."""
        return [change for each in self.told for change in each.changes]

    def until(self, reached: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> Self:
        """Wait until that is so, or the stream has ended."""
        deadline = time.monotonic() + seconds
        with self._came:
            while not reached() and self.refusal is None:
                if not self._came.wait(deadline - time.monotonic()):
                    raise Silence(f"the last of {len(self.messages)} messages: {self.messages[-2:]}")
        return self

    def seen(self, revision: str) -> Self:
        """Wait until the revision was told."""
        self.until(lambda: revision in self.revisions[-50:])
        assert self.refusal is None, self.refusal
        return self

    def end(self) -> Refusal:
        """Wait until the server has ended the stream, and return with what."""
        self.until(lambda: False)
        assert self.refusal is not None
        return self.refusal

    def _read(self) -> None:
        try:
            for message in self._call:
                with self._came:
                    self.messages.append(message)
                    if message.event == pb.WATCH_EVENT_REVISION and not message.continues:
                        self.revisions.append(message.revision)
                    self._came.notify_all()
        except grpc.RpcError as error:
            refusal = decode(error)
            if refusal.code != grpc.StatusCode.CANCELLED:
                with self._came:
                    self.refusal = refusal
                    self._came.notify_all()


def number(revision: str) -> int:
    """Return the number in a revision token."""
    return int(revision.split(".")[1])


def is_gapless(stream: Stream) -> bool:
    """Tell whether every revision after the first message was told once, in order."""
    begin = number(stream.started) + 1
    return list(map(number, stream.revisions)) == list(range(begin, begin + len(stream.revisions)))


def mirror(messages: list[pb.WatchResponse], facts: Facts | None = None) -> Facts:
    """Apply what a stream told to facts, by default to none, as a client would."""
    facts = Facts() if facts is None else facts
    for message in messages:
        for change in message.changes:
            facts.apply(*fact(change))
    return facts


def fact(change: pb.Change) -> tuple[str, Mapping[str, Any]]:
    """Return a change in the shape that facts take."""
    kind = change.WhichOneof("fact")
    assert kind is not None
    told: Any = getattr(change, kind)
    values = {field.name: getattr(told, field.name) for field in told.DESCRIPTOR.fields}
    if kind in {"user", "organization", "workspace"}:
        values["id"] = values.pop(f"{kind}_id")
    if kind == "workspace":
        values |= {name: values[name] or None for name in ("organization_id", "parent_workspace_id")}
        values["child_workspaces"] = told.child_workspaces if told.HasField("child_workspaces") else None
    if kind == "membership":
        place, expires = values.pop("place"), told.expires_at
        values |= {name: getattr(place, name) or None for name in ("workspace_id", "organization_id")}
        values["modules"] = list(told.modules.modules) if told.HasField("modules") else None
        values["expires_at"] = expires.ToMicroseconds() / 1_000_000 if told.HasField("expires_at") else None
    return kind, values


def plain(facts: Facts) -> tuple[Any, ...]:
    """Return everything that facts hold in a form that can be compared."""
    places = {
        key: (
            *(place.parent and place.parent.key, place.owner, place.state, place.is_active, place.is_suspended),
            *(place.own_modules, place.modules, place.child_workspaces, place.own_subscription, tuple(place.members)),
        )
        for key, place in facts.places.items()
    }
    grants = {user: {place.key: grant for place, grant in held.items()} for user, held in facts.grants.items()}
    owned = {user: {place.key for place in places} for user, places in facts.owned.items()}
    return places, grants, owned, dict(facts.users), facts.deactivated, +facts.roles


def wait_for(so: Callable[[], bool]) -> None:
    """Return as soon as that is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
