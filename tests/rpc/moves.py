"""Every path on which somebody could get or lose something: as a request, and as the plain reading judges it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.oracle.plain_grants import Ground, Terms
from tests.oracle.plain_ranks import Reasons
from tests.oracle.plain_state import PLATFORM, PlaceKey
from tests.rpc.casts import email
from tests.rpc.tenants import Tenants, modules
from tests.serving import attempt
from wsauthz.rpc.methods import methods

_METHODS: Final = {method.name: method for method in methods().values()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Somebody does something to somebody; ``values`` are terms of a membership, a change of one, or a module list."""

    path: str
    place: PlaceKey
    actor: str
    target: str
    values: Mapping[str, Any]
    code: str = ""

    @property
    def where(self) -> dict[str, str]:
        """The place as a field of a request."""
        return {f"{self.place[0]}_id": self.place[1]}

    @property
    def given(self) -> dict[str, Any]:
        """The values as fields of a request; what is None is left out, which clears it where a mask names it."""
        found = {name: value for name, value in self.values.items() if value is not None}
        if "modules" in found:
            found["modules"] = modules(*found["modules"])
        if "expires_at" in found:
            found["expires_at"] = {"seconds": int(found["expires_at"])}
        return found

    def terms(self, ground: Ground) -> Terms:
        """Return what a new membership is to say."""
        return Terms(**{"role": ground.catalog["defaults"][self.place[0]], **self.values})

    def reasons(self, ground: Ground) -> Reasons:
        """Return every reason for which it may be refused; empty: it must succeed."""
        return WAYS[self.path].judge(self, ground)

    def make(self, tenants: Tenants) -> Any:
        """Return the answer of the server, or its refusal."""
        method = _METHODS[self.path]
        request = method.request(**WAYS[self.path].fields(self))
        client = tenants.client(self.actor)
        return attempt(lambda sent: client.call(method.full_name, sent, method.answer), request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One path. ``asks``: what the rules are asked about it; empty: it is only about the actor, or nobody is asked."""

    asks: str = ""
    fields: Callable[[Move], Mapping[str, Any]]
    judge: Callable[[Move, Ground], Reasons]


def _deleting(move: Move, ground: Ground) -> Reasons:
    is_own = move.actor == move.target and ground.is_active(move.actor)
    return set() if is_own else ground.by_rule(move.actor, "user delete", PLATFORM)


def _invited(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the terms of a membership as fields of an invitation, which expires itself."""
    names = {"expires_at": "membership_expires_at"}
    return {names.get(name, name): value for name, value in given.items()}


WAYS: Final[Mapping[str, Way]] = {
    "AddMember": Way(
        asks="member add",
        fields=lambda move: {"user_id": move.target, **move.where, **move.given},
        judge=lambda move, ground: ground.adding(move.actor, move.place, move.target, move.terms(ground)),
    ),
    "AddMemberByEmail": Way(
        asks="member add",
        fields=lambda move: {"email": email(move.target), **move.where, **move.given},
        judge=lambda move, ground: (
            ground.adding(move.actor, move.place, move.target, move.terms(ground)) - {"ALREADY_MEMBER"}
        ),
    ),
    "UpdateMember": Way(
        asks="member update",
        fields=lambda move: {
            "user_id": move.target,
            "update_mask": {"paths": [*move.values]},
            **move.where,
            **move.given,
        },
        judge=lambda move, ground: ground.updating(move.actor, move.place, move.target, move.values),
    ),
    "RemoveMember": Way(
        asks="member remove",
        fields=lambda move: {"user_id": move.target, **move.where},
        judge=lambda move, ground: ground.removing(move.actor, move.place, move.target),
    ),
    "Leave": Way(
        fields=lambda move: move.where,
        judge=lambda move, ground: ground.leaving(move.actor, move.place),
    ),
    "CreateInvitation": Way(
        asks="invitation create",
        fields=lambda move: {"email": email(move.target), **move.where, **_invited(move.given)},
        judge=lambda move, ground: ground.inviting(move.actor, move.place, move.target, move.terms(ground)),
    ),
    "JoinByCode": Way(
        fields=lambda move: {"code": move.code},
        judge=lambda move, ground: ground.joining(move.actor, move.place),
    ),
    "GetInviteCode": Way(
        asks="invite_code view",
        fields=lambda move: move.where,
        judge=lambda move, ground: ground.handing_out(move.actor, move.place, "invite_code view"),
    ),
    "RotateInviteCode": Way(
        asks="invite_code rotate",
        fields=lambda move: move.where,
        judge=lambda move, ground: ground.handing_out(move.actor, move.place, "invite_code rotate"),
    ),
    "TransferOwnership": Way(
        asks="workspace transfer",
        fields=lambda move: {"user_id": move.target, **move.where},
        judge=lambda move, ground: ground.transferring(move.actor, move.place, move.target),
    ),
    "CreateChildWorkspace": Way(
        asks="workspace create_child",
        fields=lambda move: {"parent_workspace_id": move.place[1], "name": "Grandchild", **move.given},
        judge=lambda move, ground: ground.creating_child(move.actor, move.place, move.values["modules"]),
    ),
    "CreateWorkspace": Way(
        asks="workspace create",
        fields=lambda move: {"name": "Sibling", **move.where, **move.given},
        judge=lambda move, ground: ground.creating(move.actor, move.place),
    ),
    "DeleteAccount": Way(fields=lambda move: {"user_id": move.target}, judge=_deleting),
}
"""RPC -> how it is called, and why it may be refused."""
