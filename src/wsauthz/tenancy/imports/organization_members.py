"""The memberships of organizations that imported memberships of workspaces bring, by the rule of ``enrolment``."""

from collections.abc import Iterable
from dataclasses import replace

from wsauthz.model.memberships import Membership, Terms, joint_terms
from wsauthz.model.places import PlaceKey
from wsauthz.tenancy.enrolment import new_membership
from wsauthz.tenancy.imports.work import Work

Held = dict[tuple[PlaceKey, str], Membership]
"""Live memberships by place and user."""


def bring_organizations(work: Work, changed: Iterable[Membership], held: Held, listed: Held) -> None:
    """Add what the new and changed memberships bring, and keep derived memberships in step.

    ``held`` are those in the database of all users of the file, ``listed`` those of the file as they will be.
    """
    # Organization and user -> whether one of the changed memberships brings one.
    touched: dict[tuple[str, str], bool] = {}
    for membership in changed:
        above = _organization_above(work, membership)
        if above is not None:
            pair = (above, membership.user_id)
            touched[pair] = touched.get(pair, False) or membership.brings(work.tx.now)
    if not touched:
        return
    brought_by = _brought_by(work, {**held, **listed}.values())
    for (above, user), is_way_in in touched.items():
        key: tuple[PlaceKey, str] = (("organization", above), user)
        present, terms = held.get(key), brought_by.get((above, user))
        if key in listed or not terms:
            continue
        if present is not None and present.is_derived:
            after = replace(present, **joint_terms(terms)._asdict())
            work.keep("organization membership", present, after)
        elif present is None and is_way_in:
            after = _derived(work, key[0], user, joint_terms(terms))
            work.keep("organization membership", None, after)


def _brought_by(work: Work, memberships: Iterable[Membership]) -> dict[tuple[str, str], list[Terms]]:
    """Return the terms of all that brings a membership, by organization and user."""
    found: dict[tuple[str, str], list[Terms]] = {}
    for membership in memberships:
        above = _organization_above(work, membership)
        if above is not None and membership.brings(work.tx.now):
            found.setdefault((above, membership.user_id), []).append(membership.terms)
    return found


def _organization_above(work: Work, membership: Membership) -> str | None:
    if membership.workspace_id is None or not work.has(membership.place):
        return None
    return work.organization_of(membership.workspace_id)


def _derived(work: Work, organization: PlaceKey, user: str, terms: Terms) -> Membership:
    made = new_membership(work.tx, organization, user, work.tx.rules.catalog.default_organization_role)
    return replace(made, **terms._asdict(), is_derived=True, added_by=None)
