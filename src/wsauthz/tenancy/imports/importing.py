"""The order of an import: check all of it, write all of it, record it once."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from wsauthz.model.memberships import Membership
from wsauthz.model.places import PLATFORM
from wsauthz.policy import state_check
from wsauthz.policy.problems import StateRefused
from wsauthz.policy.state_file import State
from wsauthz.store import revisions
from wsauthz.tenancy.imports.beside import import_joining, import_module_settings, import_visits
from wsauthz.tenancy.imports.members import (
    import_invitations,
    import_memberships,
    import_removals,
    import_subscriptions,
)
from wsauthz.tenancy.imports.people import import_organizations, import_source_versions, import_users
from wsauthz.tenancy.imports.tree import import_workspaces, place_workspaces
from wsauthz.tenancy.imports.work import Pile, Work
from wsauthz.tenancy.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What an import did to the nouns of one kind."""

    added: int
    changed: int
    unchanged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did."""

    counts: Mapping[str, Counts]
    """By kind of record."""
    brought: tuple[Membership, ...]
    """The memberships of organizations that were added or changed without being in the file."""


def import_state(
    tx: Transaction,
    state: State,
    *,
    allow_platform: bool = False,
    allow_unknown_users: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> Imported:
    """Put the state into the database and return what that did.

    Records that are there get the fields that the file lists, new ones the defaults for the rest; nothing is deleted.
    Members of a workspace become members of its organization by the same rule as in every other way, and a workspace
    without an invite code gets one. A membership keeps the id of the file where it is new and nothing else had the id.
    The catalog's limits are not asked. Members and owners are users of the file or of the database, unless unknown ones
    are allowed.

    ``advance`` is told how many records have been dealt with, some at a time.

    Raises:
        StateRefused: with everything that is wrong, by line; nothing is written then.

    """
    work = Work(tx=tx, state=state, allow_platform=allow_platform, allow_unknown_users=allow_unknown_users)
    work.problems += state_check.check(state, tx.rules.catalog, is_complete=False)
    place_workspaces(work)
    import_organizations(work)
    import_users(work)
    import_source_versions(work)
    import_workspaces(work)
    import_subscriptions(work)
    import_module_settings(work)
    import_joining(work)
    import_memberships(work)
    import_removals(work)
    import_visits(work)
    import_invitations(work)
    if work.problems:
        raise StateRefused(sorted(set(work.problems)))
    work.write(advance)
    counts = {
        kind: Counts(added=len(pile.added), changed=len(pile.changed), unchanged=pile.unchanged)
        for kind, pile in work.piles.items()
    }
    if work.codes:
        counts["invite code"] = Counts(added=len(work.codes), changed=0, unchanged=0)
    if work.joinable:
        counts["joining by code"] = Counts(added=0, changed=len(work.joinable), unchanged=0)
    if work.versions:
        counts["source version"] = _versions(work)
    if any(count.added or count.changed for count in counts.values()):
        tx.changed(revisions.RELOAD)
        tx.audit("state", "", PLATFORM, after={kind: asdict(count) for kind, count in counts.items()})
    brought = work.piles.get("organization membership", Pile())
    return Imported(counts=counts, brought=(*brought.added, *brought.changed))


def _versions(work: Work) -> Counts:
    known = work.known_versions
    changed = sum(work.versions[user] != version for user, version in known.items())
    return Counts(added=len(work.versions) - len(known), changed=changed, unchanged=len(known) - changed)
