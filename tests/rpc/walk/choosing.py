"""Whom and what a rule is about: mostly what can be done, by somebody who may do it; now and then anything else."""

import time
from random import Random
from typing import Any, Final

from tests.oracle.plain_state import PLATFORM, PlaceKey
from tests.oracle.tenancy_model import Tenancy
from tests.oracle.tenancy_rights import is_pending
from tests.rpc.tenants import OPERATOR
from wsauthz.v1.places_pb2 import ModuleList

USERS: Final = tuple(f"user{number}" for number in range(8))
STRANGER: Final = "stranger"
"""Never mirrored, and never a member."""
UNKNOWN: Final = "workspace_unknown0000000000"
NAMES: Final = ("North", "South", "East Wing", "Ünïcode", "west")
EMAILS: Final = tuple(f"{user}@example.com" for user in (*USERS, "nobody"))
DAY_SECONDS: Final = 86_400
FIELDS: Final = {"workspace": "workspace_id", "organization": "organization_id"}


class Choice:
    """Chooses from what is the case, by one seed."""

    def __init__(self, model: Tenancy, seed: int) -> None:
        self.model = model
        self.chance = Random(seed)

    def often(self, probability: float) -> bool:
        """Return true with this probability."""
        return self.chance.random() < probability

    def one(self, *values: Any) -> Any:
        """Return one of the values."""
        return self.chance.choice(values)

    def user(self) -> str:
        """Return a user, mirrored or not."""
        return self.chance.choice(USERS)

    def actor(self, place: PlaceKey, question: str) -> str:
        """Return somebody who may do something in a place; often enough, anybody."""
        everybody = [*USERS, OPERATOR, STRANGER]
        able = [user for user in everybody if self.model.may(user, place, question)]
        if self.often(0.75):
            able = [user for user in able if user != OPERATOR] or able
        if able and self.often(0.25):
            return min(able, key=lambda user: self.model.rank(self.model.nodes(user, place)))
        return self.chance.choice(able if able and self.often(0.85) else everybody)

    def invited(self) -> tuple[PlaceKey, str]:
        """Return a workspace and an address, now and then one that is invited to it already."""
        pending = [each for each in self.model.invitations.values() if is_pending(each)]
        if pending and self.often(0.3):
            again = self.chance.choice(pending)
            return ("workspace", again["workspace_id"]), again["email"]
        place = self.workspace()
        outside = [row["email"] for user, row in self.model.users.items() if self.model.member(place, user) is None]
        known = [email for email in outside if email is not None]
        return place, self.chance.choice(known if known and self.often(0.7) else EMAILS)

    def comer(self) -> tuple[PlaceKey, str]:
        """Return a workspace and somebody who might come into it, or back, by a code."""
        gone = [key for key in self.model.removed if key[0] in {("workspace", each) for each in self.model.workspaces}]
        if gone and self.often(0.3):
            return self.chance.choice(gone)
        place = self.workspace()
        return place, self.outsider(place)

    def organization(self) -> PlaceKey:
        """Return an organization; now and then one that is not there."""
        found = list(self.model.organizations)
        return ("organization", self.chance.choice(found) if found and self.often(0.97) else "organization_unknown")

    def workspace(self) -> PlaceKey:
        """Return a workspace; now and then one that is not there."""
        found = list(self.model.workspaces)
        return ("workspace", self.chance.choice(found) if found and self.often(0.97) else UNKNOWN)

    def place(self) -> PlaceKey:
        """Return a workspace or an organization."""
        return self.workspace() if self.often(0.7) else self.organization()

    def member(self, place: PlaceKey) -> str:
        """Return a member of a place; now and then anybody."""
        inside = [user for where, user in self.model.memberships if where == place]
        senders = {each["invited_by"] for each in self.model.invitations.values() if is_pending(each)}
        if self.often(0.4):
            inside = [user for user in inside if user in senders] or inside
        return self.chance.choice(inside) if inside and self.often(0.9) else self.user()

    def outsider(self, place: PlaceKey) -> str:
        """Return somebody who is no member of a place, or no longer, if there is one; now and then anybody."""
        outside = [user for user in USERS if self.model.member(place, user) is None]
        inside = [(user, row) for (where, user), row in self.model.memberships.items() if where == place]
        expired = [user for user, row in inside if self.model.is_expired(row)]
        if expired and self.often(0.3):
            return self.chance.choice(expired)
        return self.chance.choice(outside) if outside and self.often(0.8) else self.user()

    def role(self, place: PlaceKey) -> str:
        """Return a role, mostly one that is given in this kind of place."""
        roles = self.model.policy.catalog["roles"]
        fitting = [name for name, role in roles.items() if place[0] in role["places"] and role.get("assignable", True)]
        found: str = self.chance.choice(fitting if self.often(0.95) else list(roles))
        return found

    def modules(self) -> list[str]:
        """Return some modules of the catalog."""
        known = list(self.model.policy.catalog.get("modules", {}))
        return self.chance.sample(known, self.chance.randint(0, len(known)))

    def terms(self, place: PlaceKey) -> dict[str, Any]:
        """Return what a new membership says."""
        permissions = list(self.model.policy.catalog.get("permissions", {}))
        limited = self.often(0.25)
        return {
            "role": self.role(place),
            "permissions": self.chance.sample(permissions, self.chance.randint(0, len(permissions)))
            if self.often(0.4)
            else [],
            "modules": self.modules() if limited and self.often(0.6) else None,
            "expires_at": self.later() if limited and self.often(0.6) else None,
        }

    def later(self) -> float:
        """Return a time that no test lives to see, now and then the very one at which a membership expires."""
        others = [row["expires_at"] for row in self.model.memberships.values()]
        coming = [end for end in others if end is not None and end > time.time() + DAY_SECONDS / 2]
        if coming and self.often(0.5):
            found: float = self.chance.choice(coming)
            return found
        return float(int(time.time()) + DAY_SECONDS * self.chance.randint(1, 3))

    def slug(self) -> str:
        """Return a slug for a new place; mostly it is to be made from the name."""
        return self.one("north", "alpha", "beta") if self.often(0.3) else ""

    def request_id(self) -> str:
        """Return an id for a request, or none."""
        return f"request-{self.model.tick()}" if self.often(0.5) else ""


def named(place: PlaceKey) -> dict[str, Any]:
    """Return a place as the fields of a request."""
    return {} if place == PLATFORM else {FIELDS[place[0]]: place[1]}


def listed(modules: list[str] | None) -> ModuleList | None:
    """Return modules as the field of a request."""
    return None if modules is None else ModuleList(modules=modules)
