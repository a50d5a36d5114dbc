"""Random states in a real database, and one thing taken away from them."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.oracle import bundles, worlds
from tests.oracle.plain_state import PlaceKey, State, read_policy
from tests.oracle.plain_state import Question as Asked
from tests.rpc.filling import fill, state_of
from tests.tenancy.world import World
from wsauthz.model.memberships import Membership
from wsauthz.policy.bundle import Bundle, BundleRefused, build_bundle
from wsauthz.policy.current import CurrentPolicy
from wsauthz.policy.decision import Decision, allowing, decide
from wsauthz.policy.question import Question
from wsauthz.policy.terms import CORE
from wsauthz.store import changes
from wsauthz.store import memberships as membership_rows
from wsauthz.store import subscriptions as subscription_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy import organizations, workspace_states
from wsauthz.tenancy.enrolment import close
from wsauthz.tenancy.transaction import Transaction

BOSS: Final = "the-boss"
"""Holds the highest role of the platform; with the rules of the shipped bundles, and those added to random ones, that
is somebody who can mend most things."""
_MANAGED: Final = ("member", "workspace", "child", "module", "subscription", "organization")

Taking = Callable[[Transaction], object]
TAKEN: Final = ("membership", "role", "module", "expiry", "state", "plan")
"""What is taken away."""


def random_bundle(chance: Random) -> tuple[Bundle, Any]:
    """Return a random bundle in which the owners of the platform may manage everything, if no deny is in the way."""
    bundle, _ = bundles.random_bundle(chance)
    extra = [f"p, role:owner, *, {resource}/*, *, any, allow" for resource in _MANAGED]
    if chance.random() < 0.3:
        files = {**bundle.files, "catalog.toml": f'{bundle.files["catalog.toml"]}[joining]\nadd_by_id = "nobody"\n'}
        bundle = build_bundle(files, bundles.core())
    for line in (*extra, "g4, role:owner, role:owner"):
        try:
            bundle = build_bundle(
                {**bundle.files, "policy.csv": f"{bundle.files['policy.csv']}{line}\n"}, bundles.core()
            )
        except BundleRefused:  # chance has drawn it already
            continue
    texts = (bundle.files["policy.csv"], bundle.files["catalog.toml"])
    return bundle, read_policy(*texts, bundles.core())


def current(bundle: Bundle) -> CurrentPolicy:
    """Return a policy that is in force without files."""
    policy = object.__new__(CurrentPolicy)
    policy.directory, policy.core, policy.bundle = Path("nowhere"), bundles.core(), bundle
    policy.loaded_at, policy.problems, policy.refused_at = 0.0, (), None
    return policy


def address(user: str) -> dict[str, Any]:
    """Return a verified address that nobody else has."""
    return {"email": f"{user.encode().hex()}@example.com", "email_verified": True}


class Stage:
    """One random state in a database of its own, and what is asked about it."""

    def __init__(self, chance: Random, found: tuple[Bundle, Any], template: Path, path: Path) -> None:
        """Fill a fresh database at the path, a copy of the template."""
        self.chance = chance
        self.bundle = found[0]
        self.drawn = worlds.random_world(chance, size=chance.choice([2, 4, 7]), bundle=found)
        self.now = datetime.now(UTC)
        shutil.copyfile(template, path)
        url = f"sqlite:///{path}"
        fill(url, state_of(self._records(self.drawn.state)), self.bundle.catalog)
        self.world = object.__new__(World)
        self.world.open(url, current(self.bundle))
        self.rules = self.bundle.rules

    def close(self) -> None:
        """Close the database."""
        self.world.database.close()

    def _records(self, state: State) -> dict[str, list[dict[str, Any]]]:
        roles = self.bundle.catalog.roles.values()
        highest = max((role for role in roles if "platform" in role.places), key=lambda role: role.rank)
        boss = {"platform": True, "user": BOSS, "role": highest.name}
        # The clock of the worlds stands still; here what is over stays so, and what is to come is far away.
        members = [self._membership(row) for row in state.memberships.values()]
        plans = self.bundle.catalog.plans
        return {
            "users": [{**user, **address(user["id"])} for user in (*state.users.values(), {"id": BOSS})],
            "organizations": list(state.organizations.values()),
            "workspaces": [self._workspace(row) for row in state.workspaces.values()],
            "memberships": [*members, boss],
            "subscriptions": [
                {"workspace": row["workspace_id"], "plan": row["plan"]}
                for row in state.subscriptions.values()
                if row["plan"] in plans
            ],
        }

    def _membership(self, row: Any) -> dict[str, Any]:
        kind = next((kind for kind in ("workspace", "organization") if row[f"{kind}_id"] is not None), "platform")
        found = {"user": row["user_id"], **{name: row[name] for name in ("role", "permissions", "is_active")}}
        found[kind] = row.get(f"{kind}_id", True)
        if row["modules"] is not None:
            found["modules"] = row["modules"]
        if row["expires_at"] is not None:
            is_over = row["expires_at"] <= worlds.NOW
            found["expires_at"] = self.now + timedelta(days=-1 if is_over else 3_650)
        return found

    def _workspace(self, row: Any) -> dict[str, Any]:
        known = self.bundle.catalog.modules
        found = {name: row[name] for name in ("id", "is_active", "is_suspended")}
        found |= {"owner": row["owner_user_id"], "modules": [each for each in row["modules"] if each in known]}
        names = {"parent": row["parent_workspace_id"], "organization": row["organization_id"]}
        found |= {name: value for name, value in names.items() if value is not None}
        if row["child_workspaces"] is not None:
            found["settings"] = {"features": {"child_workspaces": row["child_workspaces"]}}
        return found

    # --- asking -------------------------------------------------------------------------------------------------------

    def decide(self, question: Asked) -> Decision:
        """Answer now."""
        replica = self.world.replica
        asked: dict[str, Any] = question._asdict()
        return decide(replica.facts, self.rules, replica.now(), **asked)

    def allowed(self) -> set[tuple[str, Any, str, str]]:
        """Return every question about a type that is allowed: who, where, type and action."""
        facts, now = self.world.replica.facts, self.world.replica.now()
        users = {*facts.users, *facts.grants, *facts.owned} - {BOSS} - facts.deactivated
        actions = [(kind, name, found) for kind, named in self.rules.actions.items() for name, found in named.items()]
        return {
            (user, at.key, kind, name)
            for user in users
            for at in facts.places.values()
            for kind, name, found in actions
            if allowing(facts, self.rules, now, Question(user, at, found, "", "")) is not None
        }

    def random_allowed(self, tries: int = 60) -> Asked | None:
        """Return a question that is allowed now, and by something that can be taken away; None: none was found."""
        for _ in range(tries):
            question = worlds.random_question(self.chance, self.drawn)
            facts = self.world.replica.facts
            if question.place is None or question.place not in facts.places or question.subject == BOSS:
                continue
            if self.decide(question).allowed:
                return question
        return None

    # --- taking away --------------------------------------------------------------------------------------------------

    def take(self, question: Asked) -> str:
        """Take things away until the question is denied; return the kind of the last one, empty if nothing does it.

        Before each the state is one in which the question is allowed.
        """
        for kind, taking in self._takings(question):
            try:
                self.world.write("", _audited(taking))
            except _Nothing:
                continue
            if not self.decide(question).allowed:
                return kind
        return ""

    def _takings(self, question: Asked) -> Sequence[tuple[str, Taking]]:
        facts = self.world.replica.facts
        at = facts.places[question.place]  # type: ignore[index]  # it is one of the places
        found: list[tuple[str, Taking]] = []
        for place in at.chain:
            if place in facts.grants.get(question.subject, {}):
                found += self._from_membership(question, place.key)
            if place.key[0] == "workspace":
                found += self._from_workspace(question, place.key[1])
            elif place.key[0] == "organization":
                found.append(("state", partial(organizations.suspend, organization_id=place.key[1])))
        self.chance.shuffle(found)
        return found

    def _from_membership(self, question: Asked, place: PlaceKey) -> Iterator[tuple[str, Taking]]:
        user = question.subject
        modules = {question.resource.partition(":")[0] if ":" in question.resource else CORE, question.required_module}
        roles = [*self.bundle.catalog.roles, "gone"]
        yield "membership", partial(_close, place=place, user=user)
        yield "role", partial(_change, place=place, user=user, values={"role": self.chance.choice(roles)})
        yield "expiry", partial(_change, place=place, user=user, values={"expires_at": self.now - timedelta(days=1)})
        yield "state", partial(_change, place=place, user=user, values={"is_active": False})
        for module in modules - {CORE, ""}:
            yield "module", partial(_without_module, place=place, user=user, module=module)

    def _from_workspace(self, question: Asked, workspace: str) -> Iterator[tuple[str, Taking]]:
        yield "state", partial(workspace_states.suspend, workspace_id=workspace)
        yield "state", partial(workspace_states.deactivate, workspace_id=workspace)
        for module in self.bundle.catalog.modules:
            if module in {question.resource.partition(":")[0], question.required_module}:
                yield "module", partial(_disable, workspace=workspace, module=module)
        plans = [*self.bundle.catalog.plans]
        if plans:
            yield "plan", partial(_set_plan, workspace=workspace, plan=self.chance.choice(plans))


class _Nothing(Exception):
    """Nothing was taken away that mattered."""


def _audited(taking: Taking) -> Callable[[Transaction], None]:
    def take(tx: Transaction) -> None:
        taking(tx)
        if not tx.changes:
            raise _Nothing
        tx.audit("test", "taken", ("platform", ""))

    return take


def _find(tx: Transaction, place: Any, user: str) -> Membership:
    found = membership_rows.find(tx.connection, place, user)
    if found is None:
        raise _Nothing
    return found


def _close(tx: Transaction, place: Any, user: str) -> None:
    close(tx, _find(tx, place, user))


def _change(tx: Transaction, place: Any, user: str, values: dict[str, Any]) -> None:
    old = _find(tx, place, user)
    membership_rows.update(tx.connection, old.id, values)
    tx.changed(changes.membership(replace(old, **values)))


def _without_module(tx: Transaction, place: Any, user: str, module: str) -> None:
    old = _find(tx, place, user)
    modules = tx.rules.catalog.modules if old.modules is None else old.modules
    _change(tx, place, user, {"modules": tuple(each for each in modules if each != module)})


def _disable(tx: Transaction, workspace: str, module: str) -> None:
    found = workspace_rows.find(tx.connection, workspace)
    assert found is not None
    modules = tuple(each for each in found.modules if each != module)
    workspace_rows.update(tx.connection, workspace, {"modules": modules})
    tx.changed(changes.workspace(replace(found, modules=modules)))


def _set_plan(tx: Transaction, workspace: str, plan: str) -> None:
    old = subscription_rows.find(tx.connection, workspace)
    if old is None or old.plan == plan:
        raise _Nothing
    subscription_rows.update(tx.connection, workspace, {"plan": plan})
    tx.changed(changes.subscription(replace(old, plan=plan)))
