"""The users who can carry out a remedy: the rules allow it to them, and no further constraint stops them."""

from datetime import UTC, datetime
from typing import Any, Final

from wsauthz.model.errors import RoleCeiling
from wsauthz.model.memberships import Membership
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts, Grant
from wsauthz.policy.lookup import subjects
from wsauthz.policy.membership_changes import Change
from wsauthz.policy.place import Place
from wsauthz.policy.remedy import Remedy
from wsauthz.policy.ruleset import Ruleset
from wsauthz.tenancy import ceiling, modules, owners
from wsauthz.tenancy.difference import Difference, check_change

MOST_USERS: Final = 10
"""User ids in a remedy."""
_UNKNOWN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AT_ONCE: Final = 100
_MOST_PAGES: Final = 10
"""Pages of candidates that one answer looks at; it is made on the event loop."""


def able_users(facts: Facts, rules: Ruleset, now: float, *, found: Remedy, subject: str, asker: str) -> list[str]:
    """Return up to ten users who can do it, if the asker may list the members of the place; else none.

    ``now`` is in Unix seconds. The subject is never among them: they are to be helped by somebody else.
    """
    if not found.asks or found.place is None:
        return []
    if not _is_allowed(facts, rules, now, asker, ("member", "view", found.place)):
        return []
    resource, action, place = found.asks[0]
    asked: dict[str, Any] = {"place": place.key, "resource": resource, "action": action, "limit": _AT_ONCE}
    able: list[str] = []
    after = ""
    for _ in range(_MOST_PAGES):
        page, after = subjects(facts, rules, now, **asked, after=after)
        able += [user for user in page if _can(facts, rules, now, found, user=user, subject=subject)]
        if len(able) >= MOST_USERS or not after:
            break
    return able[:MOST_USERS]


def _can(facts: Facts, rules: Ruleset, now: float, found: Remedy, *, user: str, subject: str) -> bool:
    """Tell whether somebody who is allowed the first question can do it all."""
    if user == subject or not all(_is_allowed(facts, rules, now, user, ask) for ask in found.asks[1:]):
        return False
    if found.change is not None:
        return _can_change(facts, rules, now, found.change, user=user, subject=subject)
    if found.asks[0][:2] == ("module", "set") and found.place is not None:
        return modules.may_add(facts, rules, now, actor=user, above=found.place.parent, module=found.module)
    return True


def _can_change(facts: Facts, rules: Ruleset, now: float, change: Change, *, user: str, subject: str) -> bool:
    """Tell whether the ceiling and the protection of owners let somebody make the membership so."""
    place, new = change.place, _membership(change.place, subject, change.grant)
    try:
        if change.before is None:
            offer: dict[str, Any] = {"role": new.role, "permissions": new.permissions, "modules": new.modules}
            ceiling.check_touch(facts, rules, now, actor=user, at=place, user=subject, role="")
            until = ceiling.until(new.expires_at)
            ceiling.check_grant(facts, rules, now, giver=user, at=place, **offer, until=until)
            return True
        difference = Difference(rules, _membership(place, subject, change.before), new)
        check_change(facts, rules, now, difference, actor=user, at=place)
    except RoleCeiling:
        return False
    is_protected = place.owner == subject and not rules.catalog.ownership_multiple and difference.is_less
    return not is_protected or owners.acts_as_platform(facts, rules, now, actor=user, at=place, user=subject)


def _membership(place: Place, user: str, grant: Grant) -> Membership:
    """Return a grant as the membership that the constraints are about; when it was made is not among them."""
    kind, identifier = place.key
    expires_at = None if grant.expires_at is None else datetime.fromtimestamp(grant.expires_at, UTC)
    return Membership(
        id="",
        workspace_id=identifier if kind == "workspace" else None,
        organization_id=identifier if kind == "organization" else None,
        user_id=user,
        role=grant.role,
        permissions=grant.permissions,
        modules=None if grant.modules is None else tuple(grant.modules),
        is_active=grant.is_active,
        expires_at=expires_at,
        joined_at=_UNKNOWN,
        created_at=_UNKNOWN,
        updated_at=_UNKNOWN,
        deleted_at=None,
    )


def _is_allowed(facts: Facts, rules: Ruleset, now: float, user: str, ask: tuple[str, str, Any]) -> bool:
    resource, action, place = ask
    return decide(facts, rules, now, subject=user, place=place.key, resource=resource, action=action).allowed
