"""Memberships of organizations that say more than those of their workspaces, or are missing."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from wsauthz.model.memberships import Membership, Terms, brings, joint_terms
from wsauthz.model.places import PlaceKey
from wsauthz.policy.catalog import Catalog
from wsauthz.tenancy.row_checks.findings import Call, Finding, add_member, remove_member, shown, update_member


class OrganizationMembers:
    """Compares one user's memberships of organizations with those of the workspaces inside."""

    def __init__(
        self, catalog: Catalog, now: datetime, above: Mapping[str, str | None], owner_of: Mapping[str, str]
    ) -> None:
        """Take the database's time, the organization of every workspace, and the owner of every live one."""
        self._catalog = catalog
        self._now = now
        self._above = above
        self._owned: dict[str, set[str | None]] = {}
        """User -> the organizations in which they are the primary owner of a workspace."""
        for workspace_id, owner in owner_of.items():
            self._owned.setdefault(owner, set()).add(above[workspace_id])

    def check(self, user: str, removed: Sequence[Membership], live: Sequence[Membership]) -> Iterator[Finding]:
        """Yield what needs a look; ``live`` are the user's memberships in live places, ``removed`` earlier ones."""
        now_in, was_in = self._by_organization(live), self._by_organization(removed)
        held = {row.organization_id: row for row in live if row.organization_id is not None}
        for organization_id in sorted(now_in.keys() | was_in.keys()):
            rows = now_in.get(organization_id, [])
            present = held.get(organization_id)
            if present is not None and self._may_be_left_over(present):
                yield from self._of_member(present, rows, was_in.get(organization_id, []))
            elif present is None and (bringing := [row.terms for row in rows if row.brings(self._now)]):
                place: PlaceKey = ("organization", organization_id)
                text = f"{shown(place)}, user {user}: is a member of a workspace, and not of the organization"
                role = self._catalog.default_organization_role
                yield Finding(text=text, calls=(add_member(place, user, role, joint_terms(bringing)),))

    def _by_organization(self, rows: Sequence[Membership]) -> dict[str, list[Membership]]:
        found: dict[str, list[Membership]] = {}
        for row in rows:
            above = self._above.get(row.workspace_id or "")
            if above is not None:
                found.setdefault(above, []).append(row)
        return found

    def _may_be_left_over(self, membership: Membership) -> bool:
        """Tell whether the membership counts, and is not one that only somebody can have given."""
        role = self._catalog.roles.get(membership.role)
        owns = membership.organization_id in self._owned.get(membership.user_id, ())
        return membership.brings(self._now) and not owns and not (role is not None and role.owner_like)

    def _of_member(self, present: Membership, rows: list[Membership], earlier: list[Membership]) -> Iterator[Finding]:
        terms = [row.terms for row in rows if row.brings(self._now)]
        if not rows:
            terms = [row.terms for row in _latest(earlier) if self._counted_to_the_end(row)]
        had = "has" if rows else "had"
        if not terms:
            text = f"{had} only expired or deactivated memberships in its workspaces"
            yield self._finding(present, text, self._without(present, rows))
        elif _is_wider(present.terms, joint := joint_terms(terms)):
            text = f"{had} only narrower memberships in its workspaces ({_in_words(joint)})"
            yield self._finding(present, text, update_member(present.place, present.user_id, **joint._asdict()))

    def _finding(self, present: Membership, text: str, call: Call) -> Finding:
        return Finding(text=f"{shown(present.place)}, user {present.user_id}: {text}", calls=(call,))

    def _counted_to_the_end(self, row: Membership) -> bool:
        """Tell whether a membership counted when it was removed, and would today."""
        ended = max(self._now, row.deleted_at or self._now)
        return brings(ended, is_active=row.is_active, expires_at=row.expires_at)

    def _without(self, present: Membership, rows: list[Membership]) -> Call:
        """Return what ends the membership; deactivated ones of workspaces stay, which keeps their users out."""
        if all(row.is_active for row in rows):
            return remove_member(present.place, present.user_id)
        return update_member(present.place, present.user_id, is_active=False)


def _latest(removed: list[Membership]) -> list[Membership]:
    """Return what was removed last from each workspace."""
    latest: dict[str | None, Membership] = {}
    for row in sorted(removed, key=lambda row: (str(row.deleted_at), row.id)):
        latest[row.workspace_id] = row
    return list(latest.values())


def _is_wider(one: Terms, other: Terms) -> bool:
    covers_more = other.modules is not None and (one.modules is None or not set(one.modules) <= set(other.modules))
    lasts_longer = other.expires_at is not None and (one.expires_at is None or one.expires_at > other.expires_at)
    return covers_more or lasts_longer


def _in_words(terms: Terms) -> str:
    modules = "all modules" if terms.modules is None else "modules " + (", ".join(terms.modules) or "none")
    return modules if terms.expires_at is None else f"{modules}, until {terms.expires_at.isoformat()}"
