"""A database, its facts and a policy, to call the functions of tenancy on; what they record is applied to the facts.

The functions are called directly, so what an RPC asks of its actor beforehand is not asked here.
"""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from wsauthz.metrics import Metrics
from wsauthz.model.memberships import Membership
from wsauthz.model.organizations import Organization
from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.model.subscriptions import Subscription, SubscriptionStatus
from wsauthz.model.workspaces import Workspace
from wsauthz.policy.current import CurrentPolicy
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts
from wsauthz.replica.replica import Replica
from wsauthz.replica.writing import write
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.store import changes, snapshot
from wsauthz.store import memberships as membership_rows
from wsauthz.store import subscriptions as subscription_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.store.database import Database
from wsauthz.tenancy import memberships, organizations, workspace_creation, workspace_states
from wsauthz.tenancy.enrolment import enrol
from wsauthz.tenancy.mirroring import UserEvent, upsert
from wsauthz.tenancy.transaction import Caller, Transaction

T = TypeVar("T")

POLICIES: Final = Path(__file__).parents[2] / "policies"


@functools.cache
def policy(name: str, more: str = "") -> CurrentPolicy:
    """Return a bundle of the repository, with lines added to its catalog, and without its own tests."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "policies" / name
        bundle.mkdir(parents=True)
        for file in ("catalog.toml", "policy.csv"):
            (bundle / file).write_bytes((POLICIES / name / file).read_bytes())
        (bundle.parent / "model.conf").write_bytes((POLICIES / "model.conf").read_bytes())
        with (bundle / "catalog.toml").open("a") as catalog:
            catalog.write(more)
        return CurrentPolicy(bundle, core_vocabulary())


class World:
    """One database under one policy, without a server."""

    def __init__(self, database_url: str, bundle: CurrentPolicy) -> None:
        """Load the facts; to be used once for a fresh database, in which ``op`` becomes an operator of the platform."""
        self.open(database_url, bundle)
        self.write("op", enrol, PLATFORM, self.known("op"), role="operator")

    def open(self, database_url: str, bundle: CurrentPolicy) -> None:
        """Load the facts of a database."""
        self.database = Database(database_url, wait_seconds=10)
        self.replica = Replica(self.database, bundle, Metrics())
        self.replica.load()

    def write(self, actor: str, function: Callable[..., T], *arguments: Any, **values: Any) -> T:
        """Return what a function returns in a writing transaction of the actor."""
        by = Caller(caller="local", actor=actor, method=function.__name__)
        return write(self.replica, by, lambda tx: function(tx, *arguments, **values)).answer

    def read(self, actor: str, function: Callable[..., T], **values: Any) -> T:
        """Return what a function returns in a read of the actor."""
        by = Caller(caller="local", actor=actor, method=function.__name__)
        return self.replica.read(by, lambda reading: function(reading, **values))

    def row(self, query: Callable[..., T], *arguments: Any, **values: Any) -> T:
        """Return what a query of the store returns."""
        with self.database.read() as connection:
            return query(connection, *arguments, **values)

    @property
    def revision(self) -> int:
        """How many writes there were."""
        return self.replica.revision.value

    def user(self, user_id: str, *, verified: bool = True) -> str:
        """Make a user with a name and an address, and return the id."""
        address = f"{user_id}@example.com"
        self.write("", upsert, UserEvent(user_id=user_id, name=user_id.title(), email=address, email_verified=verified))
        return user_id

    def known(self, user_id: str) -> str:
        """Mirror a user with nothing but an id, unless the application did, and return the id."""
        if user_id not in self.replica.facts.users:
            self.write("", upsert, UserEvent(user_id=user_id))
        return user_id

    def organization(self, owner: str, name: str = "Acme", **values: Any) -> Organization:
        """Make an organization."""
        return self.write(self.known(owner), organizations.create, name=name, **values)

    def workspace(self, owner: str, name: str = "Studio", **values: Any) -> Workspace:
        """Make a root workspace."""
        return self.write(self.known(owner), workspace_creation.create, name=name, **values).workspace

    def child(self, owner: str, parent: Workspace, name: str = "Child", **values: Any) -> Workspace:
        """Make a child."""
        creator = self.known(owner)
        return self.write(creator, workspace_creation.create_child, parent_workspace_id=parent.id, name=name, **values)

    def add(
        self, actor: str, place: Workspace | Organization, user_id: str, role: str = "", **values: Any
    ) -> Membership:
        """Add a member."""
        return self.write(actor, memberships.add, place=key(place), user_id=self.known(user_id), role=role, **values)

    def enrol(self, place: Workspace | Organization, user_id: str, role: str, **values: Any) -> Membership:
        """Make a membership without asking whether it may be."""
        user = self.known(user_id)
        return self.write("op", enrol, key(place), user, role=role, is_limited=False, **values)

    def update(self, actor: str, place: Workspace | Organization, user_id: str, **values: Any) -> Membership:
        """Change a member."""
        return self.write(actor, memberships.update, place=key(place), user_id=user_id, values=values)

    def remove(self, actor: str, place: Workspace | Organization, user_id: str) -> None:
        """Remove a member."""
        self.write(actor, memberships.remove, place=key(place), user_id=user_id)

    def leave(self, actor: str, place: Workspace | Organization) -> None:
        """Remove the actor."""
        self.write(actor, memberships.leave, place=key(place))

    def suspend(self, workspace: Workspace) -> None:
        """Suspend a workspace."""
        self.write("op", workspace_states.suspend, workspace_id=workspace.id)

    def subscribe(self, workspace: Workspace, plan: str) -> None:
        """Put a workspace on a plan."""
        self.write("op", _subscribe, workspace, plan)

    def may(self, user: str, place: Workspace | Organization, resource: str, action: str) -> bool:
        """Tell whether somebody may do something now."""
        return self.replica.look(
            lambda facts, rules, now: (
                decide(facts, rules, now, subject=user, place=key(place), resource=resource, action=action).allowed
            )
        )

    def member(self, place: Workspace | Organization, user_id: str) -> Membership | None:
        """Return the live membership; None: there is none."""
        return self.row(membership_rows.find, key(place), user_id)

    def owner(self, workspace: Workspace) -> str:
        """Return who the primary owner is, having seen that facts and database agree."""
        found = self.row(workspace_rows.find, workspace.id)
        assert found is not None
        assert self.replica.facts.places[key(workspace)].owner == found.owner_user_id
        return found.owner_user_id

    def facts_agree(self) -> bool:
        """Tell whether the facts are those that a fresh start would load."""
        fresh = Facts()
        for kind, values in self.row(lambda connection: list(snapshot.load(connection))):
            fresh.apply(kind, values)
        return _plain(fresh) == _plain(self.replica.facts)

    def audited(self) -> list[dict[str, Any]]:
        """Return what was audited, oldest first."""
        with self.database.read() as connection:
            rows = connection.exec_driver_sql("SELECT * FROM audit_entries ORDER BY number").mappings()
            return [dict(row) for row in rows]


def key(place: Workspace | Organization) -> PlaceKey:
    """Return the key of a place."""
    return ("workspace", place.id) if isinstance(place, Workspace) else ("organization", place.id)


def _subscribe(tx: Transaction, workspace: Workspace, plan: str) -> None:
    kind = tx.rules.catalog.plans[plan].type
    times: dict[str, Any] = dict.fromkeys(("plan_changed_at", "created_at", "updated_at"), tx.now)
    subscription = Subscription(
        workspace_id=workspace.id, plan=plan, plan_type=kind, status=SubscriptionStatus.ACTIVE, **times
    )
    subscription_rows.add(tx.connection, subscription)
    tx.changed(changes.subscription(subscription))
    tx.audit("subscription", workspace.id, key(workspace))


def _plain(facts: Facts) -> tuple[Any, ...]:
    places = {
        place_key: (place.owner, place.state, place.modules, tuple(place.members), place.child_workspaces)
        for place_key, place in facts.places.items()
    }
    grants = {user: {place.key: grant for place, grant in held.items()} for user, held in facts.grants.items()}
    owned = {user: {place.key for place in places} for user, places in facts.owned.items()}
    return places, grants, owned, dict(facts.users)
