"""What can befall the sender of an invitation before it is accepted, done on a server and in the plain reading."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from tests.oracle.plain_grants import Ground, Terms
from tests.oracle.plain_state import PlaceKey
from tests.rpc.casts import World, email
from tests.rpc.people import ROOMS, SOME_DAY, assignable, highest, is_an_owner, lowest, people
from tests.rpc.tenants import Tenants, modules
from tests.serving import attempt
from wsauthz.v1 import authorization_pb2, invitations_pb2, users_pb2, workspace_states_pb2
from wsauthz.v1 import memberships_pb2 as pb

PERMANENT: Final = {"removed", "demoted", "switched off", "stripped", "narrowed", "shortened"}
"""What revokes the invitations that can no longer be sent: they stay dead when it is undone."""
_WAIT_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Something that befalls a sender, in a room where it is relevant."""

    what: str
    world: World
    sender: str
    room: str
    terms: Terms

    def __str__(self) -> str:
        return f"{self.sender} is {self.what} in {self.room} after inviting with {self.terms}"

    @property
    def user(self) -> str:
        """The sender's id."""
        return self.world.user(self.sender)

    @property
    def place(self) -> PlaceKey:
        """Where it befalls the sender."""
        return self.world.place(self.room)

    @property
    def operator(self) -> str:
        """Somebody who may do everything to the sender."""
        return next(self.world.user(name) for name, person in self.world.people.items() if person.seat("platform"))


def losses(rules: Any, chance: Random, most: int) -> list[Loss]:
    """Return what can befall everybody who may send an invitation, each in a world of its own, at most so many."""
    everybody = people(rules)
    owners = {name for name, person in everybody.items() if is_an_owner(rules, person) or person.seat("platform")}
    owners.add(f"workspace-{highest(rules)}")
    whole = World("senders", rules, everybody)
    ground, place = whole.ground, whole.place("workspace")
    found = []
    for sender, person in everybody.items():
        if not person.is_known:
            continue  # deactivating the user would mirror it
        offers = [terms for terms in _offers(rules) if not ground.inviting(whole.user(sender), place, "", terms)]
        rooms = [room for room in ROOMS if person.seat(room)]
        found += [(sender, room, what, offers) for room in rooms for what in CHANGES if offers]
        found += [(sender, "", what, offers) for what in WHOLE if offers and not person.seat("platform")]
        if person.owns == "workspace":
            found.append((sender, "workspace", "no longer the owner", offers))
    chance.shuffle(found)
    made: list[Loss] = []
    for sender, room, what, offers in found:
        if len(made) == most:
            break
        terms = offers[chance.choice((0, -1))]
        cast = {name: everybody[name] for name in sorted(owners | {sender})}
        loss = Loss(what=what, world=World(f"lost{len(made)}", rules, cast), sender=sender, room=room, terms=terms)
        if _is_possible(loss):
            made.append(loss)
    return made


def _offers(rules: Any) -> Iterator[Terms]:
    """Yield what an invitation can say, the most first."""
    first = (next(iter(rules.catalog["modules"])),)
    for role in assignable(rules, "workspace"):
        for names in (None, first, ()):
            yield Terms(role, modules=names)
            yield Terms(role, modules=names, expires_at=datetime.fromisoformat(SOME_DAY).timestamp())


# --- what befalls -----------------------------------------------------------------------------------------------------


def _lowered(loss: Loss) -> str:
    kind = loss.place[0]
    return assignable(loss.world.rules, kind)[-1] if kind == "organization" else lowest(loss.world.rules)


def _next_week() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)


def _soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=1)


CHANGES: Final[Mapping[str, Callable[[Loss], Mapping[str, Any] | None]]] = {
    "removed": lambda _: None,
    "demoted": lambda loss: {"role": _lowered(loss)},
    "switched off": lambda _: {"is_active": False},
    "stripped": lambda _: {"permissions": ()},
    "narrowed": lambda _: {"modules": ()},
    "expired": lambda _: {"expires_at": _soon()},
    "shortened": lambda _: {"expires_at": _next_week()},
}
"""What becomes of a membership; None: it ends."""
WHOLE: Final = ("deactivated as a user", "gone for good", "somebody who left")


def befall(tenants: Tenants, loss: Loss) -> None:
    """Do it on the server."""
    client = tenants.client(loss.operator)
    where: dict[str, Any] = {f"{loss.place[0]}_id": loss.place[1]} if loss.room else {}
    if loss.what == "deactivated as a user":
        tenants.client().users.UpsertUser(users_pb2.UpsertUserRequest(user_id=loss.user, is_active=False))
    elif loss.what == "gone for good":
        client.users.DeleteAccount(users_pb2.DeleteAccountRequest(user_id=loss.user))
    elif loss.what == "somebody who left":
        organization = loss.world.id("organization")
        tenants.client(loss.user).memberships.Leave(pb.LeaveRequest(organization_id=organization))
    elif loss.what == "no longer the owner":
        request = workspace_states_pb2.TransferOwnershipRequest(user_id=_heir(loss), workspace_id=where["workspace_id"])
        client.states.TransferOwnership(request)
    elif (change := CHANGES[loss.what](loss)) is None:
        client.memberships.RemoveMember(pb.RemoveMemberRequest(user_id=loss.user, **where))
    else:
        client.memberships.UpdateMember(_update(loss, change))


def mend(tenants: Tenants, loss: Loss) -> None:
    """Give the sender back what it had."""
    seats = loss.world.people[loss.sender].seats
    client = tenants.client(loss.operator).memberships
    for seat in seats if loss.room == "organization" else [seat for seat in seats if seat.room == loss.room]:
        kind, identifier = loss.world.place(seat.room)
        fields: dict[str, Any] = {f"{kind}_id": identifier, "role": seat.role, "permissions": seat.permissions}
        if seat.modules is not None:
            fields["modules"] = modules(*seat.modules)
        if loss.what == "removed":
            attempt(client.AddMember, pb.AddMemberRequest(user_id=loss.user, **fields))
            continue
        if seat.expires_at:
            fields["expires_at"] = datetime.fromisoformat(seat.expires_at)
        request = pb.UpdateMemberRequest(user_id=loss.user, is_active=True, **fields)
        request.update_mask.paths.extend(["role", "permissions", "modules", "is_active", "expires_at"])
        client.UpdateMember(request)


def is_dead(loss: Loss) -> bool:
    """Tell, by the plain reading, whether the invitation could no longer be sent."""
    state = loss.world.state
    rows = {key: row for key, row in state.memberships.items() if key[1] == loss.user}
    if loss.what == "deactivated as a user":
        state.users[loss.user]["is_active"] = False
    elif loss.what in {"gone for good", "somebody who left"} or (loss.what, loss.room) == ("removed", "organization"):
        for key in rows:
            del state.memberships[key]
    elif loss.what == "no longer the owner":
        state.workspaces[loss.place[1]]["owner_user_id"] = _heir(loss)
        rows[loss.place, loss.user]["role"] = loss.world.rules.catalog["defaults"]["former_owner"]
    elif (change := CHANGES[loss.what](loss)) is None:
        del state.memberships[loss.place, loss.user]
    else:
        times = {"expired": 1.0, "shortened": _next_week().timestamp()}
        plain = {"expires_at": times[loss.what]} if loss.what in times else change
        rows[loss.place, loss.user].update(plain)
    if loss.what in {"removed", "demoted", "switched off", "somebody who left"}:
        _pass_on(loss)
    return bool(Ground(loss.world.case()).inviting(loss.user, loss.world.place("workspace"), "", loss.terms))


def _is_possible(loss: Loss) -> bool:
    """Tell whether it can befall this sender at all, and is a change."""
    ground = loss.world.ground
    if loss.what == "somebody who left":
        return not ground.leaving(loss.user, loss.world.place("organization"))
    if loss.what in {"deactivated as a user", "no longer the owner"}:
        return True
    if loss.what == "gone for good":
        return not is_an_owner(loss.world.rules, loss.world.people[loss.sender])
    row = ground.row(loss.user, loss.place)
    change = CHANGES[loss.what](loss)
    if row is None or change is None:
        return row is not None and not ground.removing(loss.operator, loss.place, loss.user)
    plain = {name: value.timestamp() if name == "expires_at" else value for name, value in change.items()}
    is_change = any(row[name] != value for name, value in plain.items())
    return is_change and not ground.updating(loss.operator, loss.place, loss.user, plain)


def _pass_on(loss: Loss) -> None:
    """Where there may be several owners, one who stops being one is no primary owner either."""
    ownership = loss.world.rules.catalog["ownership"]
    for workspace in loss.world.state.workspaces.values():
        is_meant = loss.room in {"", "organization"} or workspace["id"] == loss.place[1]
        if ownership["multiple"] and is_meant and workspace["owner_user_id"] == loss.user:
            workspace["owner_user_id"] = "somebody else"


def _heir(loss: Loss) -> str:
    """Return a member that ownership can pass to."""
    rows = loss.world.state.memberships
    return next(user for (place, user), row in rows.items() if place == loss.place and user != loss.user and row)


def _update(loss: Loss, change: Mapping[str, Any]) -> pb.UpdateMemberRequest:
    fields: dict[str, Any] = {f"{loss.place[0]}_id": loss.place[1], **change}
    if "modules" in change:
        fields["modules"] = modules(*change["modules"])
    request = pb.UpdateMemberRequest(user_id=loss.user, **fields)
    request.update_mask.paths.extend(change)
    return request


def wait(tenants: Tenants, loss: Loss) -> None:
    """Wait until it has befallen: a membership takes a moment to expire."""
    if loss.what != "expired":
        return
    where: dict[str, Any] = {f"{loss.place[0]}_id": loss.place[1]}
    request = authorization_pb2.GetAccessRequest(subject=loss.user, **where)
    deadline = time.monotonic() + _WAIT_SECONDS
    while tenants.client().authorization.GetAccess(request).membership.is_active:
        assert time.monotonic() < deadline, "a membership does not expire"
        time.sleep(0.02)


def invite(tenants: Tenants, loss: Loss, invited: str) -> str:
    """Have the sender invite somebody and return the token."""
    names, until = loss.terms.modules, loss.terms.expires_at
    request = invitations_pb2.CreateInvitationRequest(
        workspace_id=loss.world.id("workspace"),
        email=email(invited),
        role=loss.terms.role,
        modules=None if names is None else modules(*names),
    )
    if until is not None:
        request.membership_expires_at.FromSeconds(int(until))
    return str(tenants.client(loss.user).invitations.CreateInvitation(request).token)


def accept(tenants: Tenants, token: str, invited: str) -> Any:
    """Return what becomes of accepting."""
    request = invitations_pb2.AcceptInvitationRequest(token=token)
    return attempt(tenants.client(invited).invitations.AcceptInvitation, request)
