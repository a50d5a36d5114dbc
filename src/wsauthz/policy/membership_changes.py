"""The least change of somebody's memberships after which the rules allow them what they were denied.

Every change is tried on the facts as they would be then, so a role that a rule denies the action to is never proposed.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wsauthz.model.places import State
from wsauthz.policy.access import live
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.facts import Facts, Grant
from wsauthz.policy.place import Place
from wsauthz.policy.question import Question, counting_in_required, held, match
from wsauthz.policy.ruleset import Ruleset


@dataclass(frozen=True, slots=True)
class Change:
    """One membership as it would be; ``before`` None: it would be a new one."""

    place: Place
    grant: Grant
    before: Grant | None

    @property
    def modules_added(self) -> list[str]:
        """The modules that it would have besides those it has; empty for a new membership."""
        if self.before is None or self.before.modules is None or self.grant.modules is None:
            return []
        return sorted(self.grant.modules - self.before.modules)

    @property
    def permissions_added(self) -> list[str]:
        """The explicit permissions that it would have besides those it has."""
        before = () if self.before is None else self.before.permissions
        return [name for name in self.grant.permissions if name not in before]


def least_change(facts: Facts, rules: Ruleset, now: float, question: Question, state: State) -> Change | None:
    """Return the first change, by how little it does, after which the rules allow it in that state of the place.

    ``now`` is in Unix seconds. None: no change of memberships would do.
    """
    changes = (change for change in _changes(facts, rules, now, question) if change.grant != change.before)
    return next((change for change in changes if _is_enough(facts, rules, now, question, state, change)), None)


def rules_allow(facts: Facts, rules: Ruleset, now: float, question: Question, state: State) -> bool:
    """Tell whether the rules would allow it, were the place in that state; module lists of memberships count."""
    nodes = held(facts, rules, now, question.subject, question.at, question.action.module)
    able = counting_in_required(facts, rules, now, question, nodes)
    return match(question, able, state)[0] is not None and match(question, nodes, state)[1] is None


def reactivated(catalog: Catalog, grant: Grant) -> Grant:
    """Return the grant as an active one that somebody could give, whether or not it has expired."""
    known = tuple(name for name in grant.permissions if name in catalog.permissions)
    return _as_role(catalog, grant._replace(is_active=True, permissions=known))


def _is_enough(facts: Facts, rules: Ruleset, now: float, question: Question, state: State, change: Change) -> bool:
    after = copy.copy(facts)  # only what the subject holds differs
    grants = {**facts.grants.get(question.subject, {}), change.place: change.grant}
    above = change.place.organization_above
    if change.before is None and above is not None and above not in grants:
        role = rules.catalog.default_organization_role  # whoever is added to a workspace becomes a member there
        grants[above] = change.grant._replace(role=role, permissions=())
    after.grants = {question.subject: grants}
    return rules_allow(after, rules, now, question, state)


def _changes(facts: Facts, rules: Ruleset, now: float, question: Question) -> Iterator[Change]:
    """Yield what could be changed, from what gives least to what gives most, and what is near before what is above."""
    grants = facts.grants.get(question.subject, {})
    rows = [(place, grants[place]) for place in question.at.chain[:-1] if place in grants]
    catalog = rules.catalog
    for place, grant in rows:
        if not live(grant, now):
            yield Change(place, _revived(catalog, grant, now), grant)
    for place, grant in rows:
        if grant.modules is not None:
            yield Change(place, _as_role(catalog, _widened(catalog, _revived(catalog, grant, now), question)), grant)
    for place in question.at.chain:
        yield from _other_roles(catalog, now, question, place, grants)


def _other_roles(
    catalog: Catalog, now: float, question: Question, place: Place, grants: Mapping[Place, Grant]
) -> Iterator[Change]:
    """Yield another role in the place, then more permissions, for the membership there or for a new one."""
    before = grants.get(place)
    kind = place.key[0]
    present = catalog.roles.get(before.role) if before else None
    roles = [
        role
        for role in catalog.roles.values()
        if role.assignable
        and kind in role.places
        and (role.owner_like or present is None or not present.owner_like)  # a place may not lose its last owner
    ]
    # Somebody who has a role is given a higher one, before anything is taken away by a lower one.
    roles.sort(key=lambda role: (present is not None and role.rank < present.rank, role.rank, role.name))
    if before is not None:
        base = _widened(catalog, _revived(catalog, before, now), question)
    else:
        base = Grant("", (), _named(catalog, question), is_active=True, expires_at=None)
    if kind == "platform":  # the command that gives a role there leaves the rest as it is, and gives it for good
        base = (before or base._replace(modules=None))._replace(is_active=True, expires_at=None)
    for role in roles:
        yield Change(place, _as_role(catalog, base._replace(role=role.name)), before)
    if kind == "platform" or not roles:
        return
    keeping = _as_role(catalog, base if present is not None else base._replace(role=roles[0].name))
    known = tuple(name for name in keeping.permissions if name in catalog.permissions)
    for permission in catalog.permissions:
        if permission not in known:
            yield Change(place, keeping._replace(permissions=(*known, permission)), before)


def _revived(catalog: Catalog, grant: Grant, now: float) -> Grant:
    """Return the grant as it would be in force; nobody could give permissions again that the catalog lacks."""
    if live(grant, now):
        return grant
    is_over = grant.expires_at is not None and grant.expires_at <= now
    return reactivated(catalog, grant._replace(expires_at=None) if is_over else grant)


def _widened(catalog: Catalog, grant: Grant, question: Question) -> Grant:
    """Return the grant with the modules that are asked about; those that the catalog lacks could not be kept."""
    asked = {*question.modules}.intersection(catalog.modules)
    if grant.modules is None or asked <= grant.modules:
        return grant
    known = tuple(name for name in grant.permissions if name in catalog.permissions)
    return grant._replace(modules=grant.modules.intersection(catalog.modules) | asked, permissions=known)


def _named(catalog: Catalog, question: Question) -> frozenset[str] | None:
    """Return the module list of a new membership: the one module that is asked about; None, all of them, otherwise."""
    modules = frozenset(question.modules).intersection(catalog.modules)
    return modules if len(modules) == 1 else None


def _as_role(catalog: Catalog, grant: Grant) -> Grant:
    """Return the grant as its role may be held: an owner-like one takes no module list and no expiry."""
    role = catalog.roles.get(grant.role)
    return grant._replace(modules=None, expires_at=None) if role is not None and role.owner_like else grant
