"""What a change of a membership means: whether it says less than before, or more, or ends being an owner."""

from datetime import datetime
from typing import Any

from wsauthz.model.memberships import Membership
from wsauthz.policy import terms
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.ruleset import Ruleset
from wsauthz.tenancy import ceiling, visibility


class Difference:
    """A membership before and after."""

    def __init__(self, rules: Ruleset, old: Membership, new: Membership) -> None:
        self.old = old
        self.new = new
        self._rules = rules

    @property
    def ends_ownership(self) -> bool:
        """Whether somebody is deactivated, or no longer has an owner-like role."""
        deactivated = self.old.is_active and not self.new.is_active
        return deactivated or (self._is_owner(self.old.role) and not self._is_owner(self.new.role))

    @property
    def is_less(self) -> bool:
        """Whether anything is taken away: activity, rank, permissions, modules or time."""
        old, new = self.old, self.new
        return (
            (old.is_active and not new.is_active)
            or self._rank(new.role) < self._rank(old.role)
            or not set(old.permissions) <= set(new.permissions)
            or _narrower(new.modules, old.modules)
            or _sooner(new.expires_at, old.expires_at)
        )

    @property
    def may_end_rights(self) -> bool:
        """Whether something that was possible may no longer be so."""
        return self.is_less or self.new.role != self.old.role

    @property
    def is_more(self) -> bool:
        """Whether all it says is given anew: to somebody deactivated or expired, in more modules, or for longer."""
        old, new = self.old, self.new
        return (
            (new.is_active and not old.is_active)
            or _narrower(old.modules, new.modules)
            or _sooner(old.expires_at, new.expires_at)
        )

    @property
    def raises_role(self) -> bool:
        """Whether the role is another one that is not lower."""
        return self.new.role != self.old.role and self._rank(self.new.role) >= self._rank(self.old.role)

    @property
    def permissions_given(self) -> tuple[str, ...]:
        """The permissions that were not there before."""
        return tuple(name for name in self.new.permissions if name not in self.old.permissions)

    def _rank(self, role: str) -> int:
        return ceiling.rank_of(self._rules, self._rules.close({terms.role(role)}))

    def _is_owner(self, role: str) -> bool:
        found = self._rules.catalog.roles.get(role)
        return found is not None and found.owner_like


def check_change(facts: Facts, rules: Ruleset, now: float, difference: Difference, *, actor: str, at: Place) -> None:
    """Return if the actor may change the membership so, as far as the ceiling goes. ``now``: Unix seconds.

    Raises:
        RoleCeiling: the member is above the actor, or would get more than the actor holds. UserNotFound: the member
        would get more, and is nobody whom the application has mirrored.

    """
    old, new, added = difference.old, difference.new, difference.permissions_given
    ceiling.check_touch(facts, rules, now, actor=actor, at=at, user=old.user_id, role=old.role)
    if difference.is_more or difference.raises_role or added:
        permissions = new.permissions if difference.is_more else added
        given: dict[str, Any] = {"role": new.role, "permissions": permissions, "modules": new.modules}
        until = ceiling.until(new.expires_at)
        ceiling.check_grant(facts, rules, now, giver=actor, at=at, **given, until=until)
        visibility.check_known(facts, new.user_id)


def _narrower(one: tuple[str, ...] | None, other: tuple[str, ...] | None) -> bool:
    """Tell whether one list lets less through than the other; None lets everything through."""
    return one is not None and (other is None or not set(other) <= set(one))


def _sooner(one: datetime | None, other: datetime | None) -> bool:
    """Tell whether one expiry is before the other; None is never."""
    return one is not None and (other is None or one < other)
