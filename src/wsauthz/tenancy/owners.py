"""Who owns a place, and why it never ends up without an owner.

Where the catalog knows one owner, the primary one is protected: it transfers ownership, or the platform acts. Where it
knows several, they are equals, but the last one stays; and if the primary one goes, the longest-standing follows it.
Everything is read within the transaction, which holds the lock that every other writer waits for.
"""

from dataclasses import replace

from wsauthz.model.errors import LastOwner, PrimaryOwner, TooFarBehind, WorkspaceNotFound
from wsauthz.model.workspaces import Workspace
from wsauthz.policy.access import live
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import changes
from wsauthz.store import memberships as membership_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy import ceiling
from wsauthz.tenancy.transaction import Transaction


def owner_roles(catalog: Catalog, kind: str) -> tuple[str, ...]:
    """Return the owner-like roles of a kind of place, the highest first."""
    roles = [role for role in catalog.roles.values() if role.owner_like and kind in role.places]
    return tuple(role.name for role in sorted(roles, key=lambda role: (-role.rank, role.name)))


def check_protected(tx: Transaction, at: Place, user: str) -> None:
    """Return if the user's membership may be removed or made to say less, as far as primary ownership goes.

    Raises:
        PrimaryOwner: the user is the primary owner, the catalog knows only one, and the actor is not the platform.

    """
    if at.owner != user or tx.rules.catalog.ownership_multiple:
        return
    if not acts_as_platform(tx.facts, tx.rules, tx.now.timestamp(), actor=tx.actor, at=at, user=user):
        raise PrimaryOwner


def let_go(tx: Transaction, at: Place, user: str, role: str) -> None:
    """Return if the place keeps an owner when the user, who has this role there, stops being one.

    A primary owner among several passes that on to the longest-standing other one.

    Raises:
        PrimaryOwner: see ``check_protected``. LastOwner: there is no other one.

    """
    check_protected(tx, at, user)
    catalog = tx.rules.catalog
    kind = at.key[0]
    roles = owner_roles(catalog, kind)
    if kind == "workspace":
        if at.owner != user or not catalog.ownership_multiple:
            return
    elif role not in roles:
        return
    successor = membership_rows.longest_standing(tx.connection, at.key, roles, besides=user, now=tx.now)
    if successor is None:
        raise LastOwner
    if kind == "workspace":
        pass_on(tx, at, successor)


def pass_on(tx: Transaction, at: Place, user: str) -> Workspace:
    """Make the user the primary owner of a workspace and return it; nothing is checked, and no membership changes.

    Raises:
        WorkspaceNotFound: there is none. TooFarBehind: its primary owner is another one than the facts say.

    """
    workspace = workspace_rows.find(tx.connection, at.key[1])
    if workspace is None:
        raise WorkspaceNotFound
    if not workspace_rows.pass_on(tx.connection, workspace.id, owner=at.owner or "", to=user, now=tx.now):
        raise TooFarBehind
    passed = replace(workspace, owner_user_id=user, updated_at=tx.now)
    tx.changed(changes.workspace(passed))
    before, after = {"owner_user_id": workspace.owner_user_id}, {"owner_user_id": user}
    tx.audit("workspace", workspace.id, at.key, before=before, after=after)
    return passed


def acts_as_platform(facts: Facts, rules: Ruleset, now: float, *, actor: str, at: Place, user: str) -> bool:
    """Tell whether what the actor holds at the platform gives it, down here, the rank of the user or a higher one.

    ``now``: Unix seconds. Nobody is the platform towards itself.
    """
    grant = facts.grants.get(actor, {}).get(facts.platform)
    if actor == user or grant is None or not live(grant, now):
        return False
    given = rules.given(grant.role, grant.permissions, len(at.chain) - 1)
    return ceiling.rank_of(rules, given) >= ceiling.rank(facts, rules, now, user, at)
