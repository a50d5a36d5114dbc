"""Watch: what the replica applies, as messages: the fields that decisions depend on, and nothing else."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wsauthz.model.errors import InvalidArgument
from wsauthz.model.identifiers import check_id, check_user_id
from wsauthz.replica.hearing import RELOAD
from wsauthz.replica.replica import Replica
from wsauthz.replica.watchers import Policy, Told
from wsauthz.replica.writing import UNRELATED
from wsauthz.rpc.decisions import timestamp
from wsauthz.store.revisions import Change, Revision, parse_token
from wsauthz.tenancy.transaction import Caller
from wsauthz.v1 import places_pb2
from wsauthz.v1 import watch_pb2 as pb

MOST_CHANGES: Final = 500
"""Changes in one message."""
MOST_IDS: Final = 1_000
"""Ids in one list of a filter."""

Values = Mapping[str, Any]
Ids = tuple[str | None, str | None, str | None]


class Watches:
    """Streams what a replica applies."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica

    async def Watch(self, request: pb.WatchRequest, by: Caller) -> AsyncGenerator[pb.WatchResponse]:  # noqa: ARG002 - uniform
        """Tell revisions and policy versions from one revision on, and now and then that there are none."""
        wanted = Filter.of(request.filter)
        replica = self.replica
        at = replica.revision
        if request.from_revision:
            at = parse_token(request.from_revision, "from_revision")
        event = pb.WATCH_EVENT_STARTED
        async with contextlib.aclosing(replica.watchers.watch(at.value)) as stream:
            async for told in stream:
                if told is None:
                    replica.check_ready()
                    yield pb.WatchResponse(event=event, revision=at.token)
                    event = pb.WATCH_EVENT_HEARTBEAT
                    continue
                if isinstance(told, Policy):
                    yield pb.WatchResponse(event=pb.WATCH_EVENT_POLICY, revision=at.token, policy_version=told.version)
                    continue
                at = Revision(value=told.revision, epoch=at.epoch, digest=told.changes[0].digest)
                for message in _messages(told, at.token, wanted):
                    yield message


@dataclass(frozen=True, slots=True)
class Filter:
    """What of the changes a client wants; an empty set narrows nothing."""

    kinds: frozenset[str]
    ids: tuple[frozenset[str], frozenset[str], frozenset[str]]
    """Of workspaces, organizations and users."""

    @classmethod
    def of(cls, asked: pb.WatchFilter) -> "Filter":
        """Return the filter of a request.

        Raises:
            InvalidArgument: an unknown kind, a malformed id, or too many of them.

        """
        for kind in asked.kinds:
            if kind not in _KINDS:
                raise InvalidArgument("filter.kinds", "is none of the kinds there are")
        return cls(
            frozenset(_KINDS[kind] for kind in asked.kinds),
            (
                _checked("filter.workspace_ids", asked.workspace_ids, check_id),
                _checked("filter.organization_ids", asked.organization_ids, check_id),
                _checked("filter.user_ids", asked.user_ids, check_user_id),
            ),
        )

    def passes(self, change: Change) -> bool:
        """Tell whether the client wants to know of the change."""
        if change.kind == RELOAD:
            return True
        if self.kinds and change.kind not in self.kinds:
            return False
        named = _NAMED[change.kind](change.values)
        return all(id_ is None or not wanted or id_ in wanted for id_, wanted in zip(named, self.ids, strict=True))


def _checked(field: str, ids: Iterable[str], check: Callable[[str, str], str]) -> frozenset[str]:
    found = frozenset(check(field, each) for each in ids)
    if len(found) > MOST_IDS:
        raise InvalidArgument(field, f"names {len(found)} ids; at most {MOST_IDS} are possible")
    return found


def _messages(told: Told, token: str, wanted: Filter) -> Iterator[pb.WatchResponse]:
    """Yield a revision as messages: one, unless it is large."""
    changes = [
        _MESSAGES[each.kind](each.values) for each in told.changes if each.kind != UNRELATED and wanted.passes(each)
    ]
    for start in range(0, len(changes) or 1, MOST_CHANGES):
        yield pb.WatchResponse(
            event=pb.WATCH_EVENT_REVISION,
            revision=token,
            changes=changes[start : start + MOST_CHANGES],
            continues=start + MOST_CHANGES < len(changes),
        )


def _user(values: Values) -> pb.Change:
    gone = values.get("deleted", False)
    change = pb.UserChange(user_id=values["id"], deleted=gone, is_active=not gone and values["is_active"])
    return pb.Change(user=change)


def _organization(values: Values) -> pb.Change:
    gone = values.get("deleted", False)
    change = pb.OrganizationChange(organization_id=values["id"], deleted=gone)
    change.is_suspended = not gone and values["is_suspended"]
    return pb.Change(organization=change)


def _workspace(values: Values) -> pb.Change:
    change = pb.WorkspaceChange(
        workspace_id=values["id"],
        deleted=values.get("deleted", False),
        organization_id=values["organization_id"],
        parent_workspace_id=values["parent_workspace_id"],
    )
    if not change.deleted:
        change.owner_user_id = values["owner_user_id"]
        change.is_active, change.is_suspended = values["is_active"], values["is_suspended"]
        change.modules.extend(values["modules"])
        if values["child_workspaces"] is not None:
            change.child_workspaces = values["child_workspaces"]
    return pb.Change(workspace=change)


def _membership(values: Values) -> pb.Change:
    place = places_pb2.Place(workspace_id=values["workspace_id"], organization_id=values["organization_id"])
    if place.WhichOneof("kind") is None:
        place.platform = True
    change = pb.MembershipChange(place=place, user_id=values["user_id"], deleted=values.get("deleted", False))
    if not change.deleted:
        change.role, change.is_active = values["role"], values["is_active"]
        change.permissions.extend(values["permissions"])
        if values["modules"] is not None:
            change.modules.CopyFrom(places_pb2.ModuleList(modules=values["modules"]))
        if values["expires_at"] is not None:
            change.expires_at.CopyFrom(timestamp(values["expires_at"]))
    return pb.Change(membership=change)


def _subscription(values: Values) -> pb.Change:
    gone = values.get("deleted", False)
    change = pb.SubscriptionChange(workspace_id=values["workspace_id"], deleted=gone)
    if not gone:
        change.plan, change.status = values["plan"], values["status"]
    return pb.Change(subscription=change)


_KINDS: Final[Mapping[int, str]] = {
    pb.CHANGE_KIND_USER: "user",
    pb.CHANGE_KIND_ORGANIZATION: "organization",
    pb.CHANGE_KIND_WORKSPACE: "workspace",
    pb.CHANGE_KIND_MEMBERSHIP: "membership",
    pb.CHANGE_KIND_SUBSCRIPTION: "subscription",
}
_NAMED: Final[Mapping[str, Callable[[Values], Ids]]] = {
    "user": lambda values: (None, None, values["id"]),
    "organization": lambda values: (None, values["id"], None),
    "workspace": lambda values: (values["id"], values["organization_id"], None),
    "membership": lambda values: (values["workspace_id"], values["organization_id"], values["user_id"]),
    "subscription": lambda values: (values["workspace_id"], None, None),
}
"""Kind of change -> the workspace, the organization and the user it is of."""
_MESSAGES: Final[Mapping[str, Callable[[Values], pb.Change]]] = {
    "user": _user,
    "organization": _organization,
    "workspace": _workspace,
    "membership": _membership,
    "subscription": _subscription,
    RELOAD: lambda _: pb.Change(reload=pb.ReloadChange()),
}
