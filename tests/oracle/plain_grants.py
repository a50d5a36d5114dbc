"""product.md section 3 read plainly: how far somebody may go who may do a thing at all.

Imports neither Casbin nor wsauthz. What is answered is always the set of the reasons for refusing; it is empty when
nothing does. Where the rules refuse there is one, because
they are asked first; after that all that apply are there, because the documents give them no order.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tests.oracle.plain_ranks import NO_RANK, Holdings, Reasons
from tests.oracle.plain_rules import counts
from tests.oracle.plain_state import PlaceKey, own, place_of

CEILING = "ROLE_CEILING"
UNLISTED = "*"
"""A module that no list names: what counts in it counts whatever the module."""


class Terms(NamedTuple):
    """What a membership says, or is to say."""

    role: str
    permissions: tuple[str, ...] = ()
    modules: tuple[str, ...] | None = None
    is_active: bool = True
    expires_at: float | None = None


class Ground(Holdings):
    """One state of things, asked how far somebody may go in it."""

    def invalid(self, kind: str, terms: Terms) -> Reasons:
        """Return what no membership of such a place may say."""
        found = set() if terms.role in self.assignable(kind) else {"UNKNOWN_ROLE"}
        limited = terms.modules is not None or terms.expires_at is not None
        return found | ({"INVALID_ARGUMENT"} if limited and self.is_owner_like(terms.role) else set())

    def give(self, giver: str, place: PlaceKey, terms: Terms) -> Reasons:
        """Return whether it is more than the giver holds, in some module and at some moment: rank, or a permission."""
        moments = [self, *self.later(giver, place, terms.expires_at)]
        return set().union(*(moment.give_now(giver, place, terms) for moment in moments))

    def give_now(self, giver: str, place: PlaceKey, terms: Terms) -> Reasons:
        """Return the same for this moment alone."""
        wanted = self.role_rank(terms.role)
        for module in (UNLISTED,) if terms.modules is None else ("core", *terms.modules):
            held = self.held(giver, place, module)
            if self.rank_of(held) < wanted:
                return {CEILING}
            if not all(self.gives_permission(held, permission, place[0]) for permission in terms.permissions):
                return {CEILING}
        return set()

    def lasting(self, actor: str, place: PlaceKey, question: str, module: str = "") -> Reasons:
        """Return whether what the rules allow somebody ends some time; it would make an owner, who never does."""
        resource, _, action = question.partition(" ")
        later = (each.ask(actor, place, resource, action, module) for each in self.later(actor, place))
        return set() if all(answer.allowed for answer in later) else {CEILING}

    def touch(self, actor: str, place: PlaceKey, user: str) -> Reasons:
        """Return whether the member is above the actor; its own role counts even while it is switched off."""
        row = self.row(user, place)
        rank = max(self.rank(user, place), self.role_rank(row["role"]) if row else NO_RANK)
        return {CEILING} if self.rank(actor, place) < rank else set()

    def let_go(self, actor: str, place: PlaceKey, user: str) -> Reasons:
        """Return whether an owner has to stay who is removed, deactivated or demoted."""
        row = self.row(user, place)
        is_primary = own(self.case.state, place).get("owner_user_id") == user
        if place[0] == "workspace" and not self.catalog["ownership"]["multiple"]:
            return {"PRIMARY_OWNER"} if is_primary and not self._as_platform(actor, user) else set()
        if not is_primary and not (place[0] == "organization" and row and self.is_owner_like(row["role"])):
            return set()
        others = (
            other
            for other in self.case.state.memberships.values()
            if place_of(other) == place and other["user_id"] != user and counts(other, self.case.now)
        )
        return set() if any(self.is_owner_like(other["role"]) for other in others) else {"LAST_OWNER"}

    def narrow(self, actor: str, place: PlaceKey, user: str) -> Reasons:
        """Return whether a membership must not say less because it is the one primary owner's."""
        if place[0] == "organization" or self.catalog["ownership"]["multiple"]:
            return set()
        is_primary = own(self.case.state, place).get("owner_user_id") == user
        return {"PRIMARY_OWNER"} if is_primary and not self._as_platform(actor, user) else set()

    def _shut_out(self, place: PlaceKey, user: str) -> Reasons:
        """Return whether the organization above a workspace has deactivated somebody's membership."""
        above = self.path(place)[1:]
        rows = [self.row(user, roof) for roof in above if roof[0] == "organization"]
        return {"MEMBERSHIP_INACTIVE"} if any(row and not row["is_active"] for row in rows) else set()

    def _as_platform(self, actor: str, user: str) -> bool:
        return self.is_platform(actor) and actor != user

    # --- each way of giving -------------------------------------------------------------------------------------------

    def adding(self, actor: str, place: PlaceKey, user: str, terms: Terms) -> Reasons:
        """Return why somebody may not be added; AddMemberByEmail gives ALREADY_MEMBER as data."""
        if refused := self.by_rule(actor, "member add", place):
            return refused
        row = self.row(user, place)
        found = self.invalid(place[0], terms) | self.closed(place) | self.give(actor, place, terms) | self.unknown(user)
        if row is not None and (counts(row, self.case.now) or not row["is_active"]):
            return found or {"ALREADY_MEMBER"}
        # An expired one is closed and replaced; and a membership can take away what somebody holds from above.
        return found | self.touch(actor, place, user) | self._shut_out(place, user)

    def updating(self, actor: str, place: PlaceKey, user: str, change: Mapping[str, Any]) -> Reasons:
        """Return why a membership may not be changed so."""
        if refused := self.by_rule(actor, "member update", place):
            return refused
        row = self.row(user, place)
        if row is None:
            return {"MEMBER_NOT_FOUND"}
        old = Terms(*(row[name] for name in Terms._fields))
        new = old._replace(**change)
        found = self.invalid(place[0], new) if new.role != old.role or self.is_owner_like(new.role) else set()
        found |= self.touch(actor, place, user) | self._given(actor, place, user, old, new)
        if actor == user and sooner(old.expires_at, new.expires_at):
            found.add(CEILING)
        ends = old.is_active and not new.is_active
        if ends or (self.is_owner_like(old.role) and not self.is_owner_like(new.role)):
            found |= self.let_go(actor, place, user)
        if self._is_less(old, new):
            found |= self.narrow(actor, place, user)
        return found

    def removing(self, actor: str, place: PlaceKey, user: str) -> Reasons:
        """Return why somebody may not be removed."""
        if refused := self.by_rule(actor, "member remove", place):
            return refused
        if self.row(user, place) is None:
            return {"MEMBER_NOT_FOUND"}
        if user == actor:
            return {"CANNOT_REMOVE_SELF"}
        return self._gone(actor, place, user, is_touched=True)

    def leaving(self, actor: str, place: PlaceKey) -> Reasons:
        """Return why somebody may not leave."""
        if not self.is_active(actor):
            return {"USER_INACTIVE"}
        # Nobody of a generated world came by themselves, and nobody is kept where somebody else put them.
        refused = self.by_rule(actor, f"{place[0]} leave", place)
        if refused and (self.row(actor, place) is None or self.held_besides(actor, place)):
            return refused
        if self.row(actor, place) is None:
            return {"MEMBER_NOT_FOUND"}
        return self._gone(actor, place, actor, is_touched=False)

    def inviting(self, actor: str, place: PlaceKey, invited: str, terms: Terms) -> Reasons:
        """Return why somebody may not be invited."""
        if refused := self.by_rule(actor, "invitation create", place):
            return refused
        found = self.invalid(place[0], terms) | self.closed(place) | self.give(actor, place, terms)
        row = self.row(invited, place)
        if row is not None and (counts(row, self.case.now) or not row["is_active"]):
            return found or {"ALREADY_MEMBER"}
        return found

    def accepting(self, user: str, place: PlaceKey) -> Reasons:
        """Return why somebody who was invited may not come in."""
        if not self.is_active(user):
            return {"USER_INACTIVE"}
        return {"INVITATION_EMAIL_MISMATCH"} if self.unknown(user) else self._shut_out(place, user)

    def handing_out(self, actor: str, place: PlaceKey, question: str) -> Reasons:
        """Return why somebody may not have a code that lets others in with the default role, for however long."""
        default = Terms(self.catalog["defaults"]["workspace"])
        return self.by_rule(actor, question, place) or self.give_now(actor, place, default)

    def joining(self, actor: str, place: PlaceKey) -> Reasons:
        """Return why a code does not let somebody in."""
        if not self.is_active(actor):
            return {"USER_INACTIVE"}
        found, present = self.closed(place), self.row(actor, place)
        if present is not None and counts(present, self.case.now):
            return found
        found |= self.unknown(actor)
        for each in self.path(place):
            row = self.row(actor, each) if each == place or each[0] == "organization" else None
            if row is not None and not row["is_active"]:
                found.add("MEMBERSHIP_INACTIVE")
            elif row is not None and not counts(row, self.case.now):
                found.add("MEMBERSHIP_EXPIRED")
        return found

    def transferring(self, actor: str, place: PlaceKey, user: str) -> Reasons:
        """Return why ownership may not be passed on."""
        if refused := self.by_rule(actor, "workspace transfer", place):
            return refused
        found: Reasons = set()
        owner = own(self.case.state, place)["owner_user_id"]
        row = self.row(user, place)
        if actor != owner and not self.is_platform(actor):
            found.add("PERMISSION_DENIED")
        elif any(actor != owner and not each.is_platform(actor) for each in self.later(actor, place)):
            found.add(CEILING)
        else:
            found |= self.lasting(actor, place, "workspace transfer")
        if user == owner:
            found.add("ALREADY_OWNER")
        elif row is None or not counts(row, self.case.now) or not self.is_active(user):
            found.add("MEMBER_NOT_FOUND")
        return found | self.unknown(user)

    def creating_child(self, actor: str, place: PlaceKey, modules: Iterable[str] | None) -> Reasons:
        """Return why somebody may not create a child with the modules."""
        if refused := self.by_rule(actor, "workspace create_child", place):
            return refused
        found = self.closed(place) | self.lasting(actor, place, "workspace create_child") | self.unknown(actor)
        for module in modules or ():
            if any(module not in own(self.case.state, above).get("modules", [module]) for above in self.path(place)):
                found.add("MODULE_NOT_IN_PARENT")
            elif self.ask(actor, place, "workspace", "create_child", module).allowed:
                found |= self.lasting(actor, place, "workspace create_child", module)
            else:
                found.add(CEILING)
        return found

    def creating(self, actor: str, place: PlaceKey) -> Reasons:
        """Return why somebody may not create a workspace in an organization; a foreign one is as an unknown one."""
        if refused := self.by_rule(actor, "workspace create", place):
            return {"NOT_ORG_MEMBER"} if refused == {"ORGANIZATION_NOT_FOUND"} else refused
        found = self.closed(place) | self.lasting(actor, place, "workspace create") | self.unknown(actor)
        return found if self.row(actor, place) else {"NOT_ORG_MEMBER"}

    def _given(self, actor: str, place: PlaceKey, user: str, old: Terms, new: Terms) -> Reasons:
        """Return whether a change gives more than the actor holds."""
        added = tuple(name for name in new.permissions if name not in old.permissions)
        widened = narrower(old.modules, new.modules) or sooner(old.expires_at, new.expires_at)
        if widened or (new.is_active and not old.is_active):
            return self.give(actor, place, new) | self.unknown(user)
        raised = new.role != old.role and self.role_rank(new.role) >= self.role_rank(old.role)
        given = new._replace(permissions=added)
        return self.give(actor, place, given) | self.unknown(user) if raised or added else set()

    def _is_less(self, old: Terms, new: Terms) -> bool:
        return (
            (old.is_active and not new.is_active)
            or self.role_rank(new.role) < self.role_rank(old.role)
            or not set(old.permissions) <= set(new.permissions)
            or narrower(new.modules, old.modules)
            or sooner(new.expires_at, old.expires_at)
        )

    def _gone(self, actor: str, place: PlaceKey, user: str, *, is_touched: bool) -> Reasons:
        """Return why a membership may not end; an organization's ends those of all its workspaces."""
        places = [place]
        if place[0] == "organization":
            everywhere = [("workspace", each) for each in self.case.state.workspaces]
            below = [each for each in everywhere if place in self.path(each)]
            is_owner = {each for each in below if own(self.case.state, each)["owner_user_id"] == user}
            places += [each for each in below if each in is_owner or self.row(user, each) is not None]
        found: Reasons = set()
        for each in places:
            found |= self.let_go(actor, each, user)
            if is_touched:
                found |= self.touch(actor, each, user)
        return found


def narrower(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> bool:
    """Tell whether one module list lets less through than the other."""
    return one is not None and (other is None or not set(other) <= set(one))


def sooner(one: float | None, other: float | None) -> bool:
    """Tell whether one expiry is before the other."""
    return one is not None and (other is None or one < other)
