"""Everything a decision depends on, in memory: places with their effective state, and who holds what where.

Facts are filled once, by ``loading.fill``, and then changed only by :meth:`Facts.apply`, in one synchronous step on the
event loop, so whoever reads them there sees exactly one revision without a lock.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from sortedcontainers import SortedDict, SortedList

from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.policy.place import Place
from wsauthz.policy.single import Single


class Grant(NamedTuple):
    """What one live membership says; interned: a million of them share a handful. ``expires_at``: Unix seconds."""

    role: str
    permissions: tuple[str, ...]
    modules: frozenset[str] | None
    is_active: bool
    expires_at: float | None


Grants = dict[Place, Grant] | Single[Place, Grant]
"""Where one user has a live membership, and what it says there."""


class Facts:
    """Places, users and grants at one revision."""

    def __init__(self) -> None:
        self.platform = Place(PLATFORM, None)
        self.places: dict[PlaceKey, Place] = {PLATFORM: self.platform}
        self.workspaces: SortedList[str] = SortedList()
        """The ids of the workspaces among the places; no decision looks at them, lists do."""
        self.users: SortedDict[str, bool] = SortedDict()
        """Every known user, and whether it is active."""
        self.deactivated: set[str] = set()
        """The users that are not: few, so that a decision need not look through all of them."""
        self.grants: dict[str, Grants] = {}
        """User id -> place -> what the live membership there says."""
        self.owned: dict[str, set[Place]] = {}
        """User id -> workspaces it is the primary owner of."""
        self.roles: Counter[str] = Counter()
        """Role -> live memberships with it."""
        self._interned: dict[Grant, Grant] = {}
        self._module_sets: dict[frozenset[str], frozenset[str]] = {}

    def apply(self, kind: str, values: Mapping[str, Any]) -> None:
        """Apply one change, or load one row; the shapes are those of ``store.changes``.

        Raises:
            KeyError: the change speaks of a place above that is not there; the facts are unusable then.

        """
        getattr(self, f"_apply_{kind}")(values)

    def _apply_unrelated(self, values: Mapping[str, Any]) -> None:
        """Something changed that no decision depends on."""

    def _apply_user(self, values: Mapping[str, Any]) -> None:
        user = values["id"]
        self.deactivated.discard(user)
        if values.get("deleted"):
            self.users.pop(user, None)
            return
        self.users[user] = values["is_active"]
        if not values["is_active"]:
            self.deactivated.add(user)

    def _apply_organization(self, values: Mapping[str, Any]) -> None:
        key: PlaceKey = ("organization", values["id"])
        if values.get("deleted"):
            self._remove(key)
            return
        place = self._place(key, self.platform)
        place.is_suspended = values["is_suspended"]
        place.settle()

    def _apply_workspace(self, values: Mapping[str, Any]) -> None:
        key: PlaceKey = ("workspace", values["id"])
        if values.get("deleted"):
            self._remove(key)
            return
        above = self.platform
        if values["parent_workspace_id"] is not None:
            above = self.places["workspace", values["parent_workspace_id"]]
        elif values["organization_id"] is not None:
            above = self.places["organization", values["organization_id"]]
        place = self._place(key, above)
        self._own(place, values["owner_user_id"])
        place.is_active = values["is_active"]
        place.is_suspended = values["is_suspended"]
        modules = frozenset(values["modules"])
        place.own_modules = self._module_sets.setdefault(modules, modules)
        place.child_workspaces = values["child_workspaces"]
        place.settle()

    def _apply_subscription(self, values: Mapping[str, Any]) -> None:
        key: PlaceKey = ("workspace", values["workspace_id"])
        if values.get("deleted") and key not in self.places:
            return  # it went with its workspace
        place = self.places[key]
        place.own_subscription = None if values.get("deleted") else (values["plan"], values["status"])
        place.settle()

    def _apply_membership(self, values: Mapping[str, Any]) -> None:
        key, user = held_in(values), values["user_id"]
        if values.get("deleted"):
            place = self.places.get(key)
            if place is not None and self._revoke(user, place):
                del place.members[bisect_left(place.members, user)]
            return
        place = self.places[key]
        modules = None if values["modules"] is None else frozenset(values["modules"])
        grant = Grant(
            values["role"],
            tuple(values["permissions"]),
            None if modules is None else self._module_sets.setdefault(modules, modules),
            values["is_active"],
            values["expires_at"],
        )
        before = self.grants.get(user, {}).get(place)
        if before is None:
            insort(place.members, user)
        else:
            self.roles[before.role] -= 1
        self.roles[grant.role] += 1
        # Those that expire are as many as there are times: kept here they would stay for good.
        self.give(user, place, grant if grant.expires_at is not None else self._interned.setdefault(grant, grant))

    def give(self, user: str, place: Place, grant: Grant) -> None:
        """Let the user hold the grant in the place, instead of what it held there.

        Members and roles are left to the caller: ``apply`` keeps them with each change, ``loading.fill`` once.
        """
        held = self.grants.get(user)
        if held is None or (isinstance(held, Single) and held.key is place):
            self.grants[user] = Single(place, grant)
        elif isinstance(held, Single):
            self.grants[user] = {held.key: held.value, place: grant}
        else:
            held[place] = grant

    def _place(self, key: PlaceKey, above: Place) -> Place:
        place = self.places.get(key)
        if place is None:
            place = self.places[key] = Place(key, above)
            above.children[place] = None
            if key[0] == "workspace":
                self.workspaces.add(key[1])
        return place

    def _own(self, place: Place, owner: str | None) -> None:
        if place.owner is not None and place.owner != owner:
            self.owned[place.owner].discard(place)
            if not self.owned[place.owner]:
                del self.owned[place.owner]
        place.owner = owner
        if owner is not None:
            self.owned.setdefault(owner, set()).add(place)

    def _revoke(self, user: str, place: Place) -> bool:
        held = self.grants.get(user, {})
        grant = held.get(place)
        if grant is None:
            return False
        self.roles[grant.role] -= 1
        if isinstance(held, dict) and len(held) > 1:
            del held[place]
        else:
            del self.grants[user]
        return True

    def _remove(self, key: PlaceKey) -> None:
        place = self.places.pop(key, None)
        if place is None:
            return
        if key[0] == "workspace":
            self.workspaces.remove(key[1])
        for child in list(place.children):
            self._remove(child.key)
        for user in place.members:
            self._revoke(user, place)
        self._own(place, None)
        if place.parent is not None:
            place.parent.children.pop(place, None)


def held_in(values: Mapping[str, Any]) -> PlaceKey:
    """Return the place of a membership; ``values`` in the shape that ``Facts.apply`` takes."""
    if values["workspace_id"] is not None:
        return ("workspace", values["workspace_id"])
    if values["organization_id"] is not None:
        return ("organization", values["organization_id"])
    return PLATFORM
