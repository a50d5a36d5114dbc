"""Carrying out a remedy as somebody whom it names, and what its sentence says of who is allowed more afterwards."""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final, NamedTuple

from tests.oracle.plain_state import Question
from tests.remedies.states import BOSS, Stage, address
from wsauthz.model.errors import Refused
from wsauthz.model.places import PlaceKey
from wsauthz.model.subscriptions import SubscriptionStatus
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts, Grant
from wsauthz.policy.lookup import subjects
from wsauthz.policy.question import has_module
from wsauthz.policy.remedies import remedy
from wsauthz.policy.remedy import Remedy
from wsauthz.store import memberships as membership_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy import (
    acceptance,
    invitations,
    memberships,
    organizations,
    platform,
    settings,
    subscriptions,
    workspace_states,
    workspaces,
)
from wsauthz.tenancy.able_users import able_users
from wsauthz.tenancy.mirroring import UserEvent, upsert
from wsauthz.tenancy.transaction import Transaction

EVERYBODY: Final = re.compile(r"for everybody there")
ROLE: Final = re.compile(r"(?: as |\(role |the user the role )([^ ,)(]+)")
PERMISSIONS: Final = re.compile(r"with the permission (.*?), in ")
MODULES: Final = re.compile(r"in (?:(?P<all>every module)|no module|the modules? (?P<modules>.+?) only)")
ORGANIZATION: Final = re.compile(r"makes them (?P<role>\S+) of its organization|membership of its organization follows")

Asked = tuple[str, PlaceKey, str, str]


class Mending(NamedTuple):
    """A remedy, and who was asked to carry it out."""

    fix: Remedy
    doer: str


def mend(stage: Stage, question: Question) -> Mending:
    """Find the remedy of a denied question and carry it out; ``doer`` empty: it names nobody."""
    replica = stage.world.replica
    facts, now = replica.facts, replica.now()
    asked: dict[str, Any] = {name: value for name, value in question._asdict().items() if name != "place"}
    fix = remedy(facts, stage.rules, now, stage.decide(question), **asked)
    if not fix.asks:
        return Mending(fix, "the application" if carry_out(stage, question, fix, "") else "")
    named: list[str] = next((each for each in _named(stage, fix, question.subject) if each), [])
    if not named:
        return Mending(fix, "")
    doer = stage.chance.choice(named)
    carry_out(stage, question, fix, doer)
    return Mending(fix, doer)


def _named(stage: Stage, fix: Remedy, subject: str) -> Iterator[list[str]]:
    """Yield whom the remedy names, whoever asks."""
    replica = stage.world.replica
    for asker in (BOSS, *replica.facts.users):
        yield able_users(replica.facts, stage.rules, replica.now(), found=fix, subject=subject, asker=asker)


def carry_out(stage: Stage, question: Question, fix: Remedy, doer: str, *, for_good: bool = True) -> bool:
    """Do what the remedy says, as an RPC would: its question is asked first. Return whether it says anything."""

    def work(tx: Transaction) -> object:
        for resource, action, place in fix.asks[:1]:
            tx.require(resource, action, place.key)
        done = _do(tx, question.subject, fix)
        if not for_good:
            raise _Undone
        return done

    if not (fix.method or "wsauthz platform grant" in fix.message):
        return False
    done = stage.world.write(doer, work)
    if isinstance(done, invitations.Sent):
        stage.world.write(question.subject, acceptance.accept, token=done.token)
    return True


def can_anybody(stage: Stage, question: Question, fix: Remedy) -> list[str]:
    """Return whoever could carry the remedy out, but for the subject; none where nobody may list who is there."""
    facts, now = stage.world.replica.facts, stage.world.replica.now()
    able: list[str] = []
    if fix.place is not None:
        listed, _ = subjects(facts, stage.rules, now, place=fix.place.key, resource="member", action="view", limit=1)
        if not listed:
            return able
    for user in sorted({*facts.users, *facts.grants, *facts.owned} - {question.subject}):
        try:
            carry_out(stage, question, fix, user, for_good=False)
        except _Undone:
            able.append(user)
        except Refused:
            pass
    return able


class _Undone(Exception):
    """Rolls a write back."""


def _do(tx: Transaction, subject: str, fix: Remedy) -> object:
    place: Any = fix.place.key if fix.place else None
    doing: dict[str, Callable[[], object]] = {
        "UpsertUser": lambda: upsert(tx, UserEvent(user_id=subject, **address(subject))),
        "AddMember": lambda: memberships.add(tx, place=place, user_id=subject, **_offer(fix)),
        "AddMemberByEmail": lambda: memberships.add_by_email(
            tx, place=place, email=address(subject)["email"], **_offer(fix)
        ),
        "CreateInvitation": lambda: invitations.create(
            tx, workspace_id=place[1], email=address(subject)["email"], role=fix.role, modules=_offer(fix)["modules"]
        ),
        "UpdateMember": lambda: memberships.update(
            tx, place=place, user_id=subject, values=_values(tx, place, subject, fix)
        ),
        "ActivateWorkspace": lambda: workspace_states.activate(tx, workspace_id=place[1]),
        "ReinstateWorkspace": lambda: workspace_states.reinstate(tx, workspace_id=place[1]),
        "ReinstateOrganization": lambda: organizations.reinstate(tx, organization_id=place[1]),
        "SetModules": lambda: settings.set_modules(
            tx, workspace_id=place[1], module_list=_modules(tx, place, fix.module)
        ),
        "SetSubscription": lambda: subscriptions.set_(
            tx, workspace_id=place[1], plan=fix.plan, plan_type="", status=SubscriptionStatus.ACTIVE
        ),
        "UpdateWorkspace": lambda: workspaces.update(
            tx, workspace_id=place[1], values={"settings.features": _features(tx, place)}
        ),
        "": lambda: platform.grant(tx, user_id=subject, role=fix.role),
    }
    return doing[fix.method.partition("/")[2]]()


def _offer(fix: Remedy) -> dict[str, Any]:
    return {
        "role": fix.role,
        "permissions": (fix.permission,) if fix.permission else (),
        "modules": (fix.module,) if fix.module else None,
    }


def _features(tx: Transaction, place: PlaceKey) -> dict[str, bool]:
    found = workspace_rows.find(tx.connection, place[1])
    assert found is not None
    return {**found.settings.features, "child_workspaces": True}


def _modules(tx: Transaction, place: PlaceKey, module: str) -> list[str]:
    """Return the modules that a workspace has, one more, and none that could not be set again."""
    found, at = workspace_rows.find(tx.connection, place[1]), tx.facts.places[place]
    assert found is not None
    assert at.parent is not None
    plan = tx.rules.catalog.plans.get(at.subscription[0]) if at.subscription else None
    return [
        each
        for each in (*found.modules, module)
        if has_module(at.parent, each) and (plan is None or plan.modules is None or each in plan.modules)
    ]


def _values(tx: Transaction, place: PlaceKey, subject: str, fix: Remedy) -> dict[str, Any]:
    row, catalog = membership_rows.find(tx.connection, place, subject), tx.rules.catalog
    assert row is not None
    values: dict[str, Any] = {
        "is_active": True,
        "expires_at": None,
        "role": fix.role,
        "permissions": tuple(name for name in (*row.permissions, fix.permission) if name in catalog.permissions),
        "modules": None,
    }
    if row.modules is not None and fix.module:
        values["modules"] = (*(name for name in row.modules if name in catalog.modules), fix.module)
    return {name: values[name] for name in fix.fields}


# --- what a sentence says ---------------------------------------------------------------------------------------------


def unsaid(stage: Stage, question: Question, fix: Remedy, more: Collection[Asked]) -> set[Asked]:
    """Return those newly allowed questions of which the sentence says nothing."""
    facts = stage.world.replica.facts
    if fix.method.endswith("UpsertUser"):
        everyone = "every active user may" in fix.message
        return {each for each in more if each[0] != question.subject or not (everyone or each[1][0] == "platform")}
    assert fix.place is not None
    below = {place.key for place in fix.place.below()}
    if EVERYBODY.search(fix.message):
        return {each for each in more if each[1] not in below}
    if "it counts everywhere" in fix.message:
        return {each for each in more if each[0] != question.subject}
    given = _said(fix.message)
    organization = ORGANIZATION.search(fix.message)
    above = next((each for each in fix.place.chain[1:] if each.key[0] == "organization"), None)
    if organization and above is not None:
        below |= {place.key for place in above.below()}
    newcomer = _newcomer(facts, question.subject, given, fix, organization)
    is_lifted = fix.message.startswith("A rule denies this")
    return {
        each
        for each in more
        if each[0] != question.subject or each[1] not in below or not (is_lifted or _may(stage, newcomer, each))
    }


def _said(message: str) -> Grant:
    """Return the membership that a sentence speaks of."""
    role, permissions, modules = ROLE.search(message), PERMISSIONS.search(message), MODULES.search(message)
    assert role is not None, message
    assert modules is not None, message
    return Grant(
        role=role[1],
        permissions=tuple(permissions[1].split(", ")) if permissions else (),
        modules=None if modules["all"] else frozenset((modules["modules"] or "").split(", ")) - {""},
        is_active=True,
        expires_at=None,
    )


def _newcomer(facts: Facts, subject: str, grant: Grant, fix: Remedy, organization: re.Match[str] | None) -> Facts:
    """Return facts in which somebody holds what the sentence says, and nothing else."""
    assert fix.place is not None
    found = Facts()
    found.__dict__.update(facts.__dict__)
    grants = {fix.place: grant}
    above = next((each for each in fix.place.chain[1:] if each.key[0] == "organization"), None)
    if organization and above is not None:
        grants[above] = facts.grants[subject][above]
        assert organization["role"] in {None, grants[above].role}
    found.grants = {"a-newcomer": grants}
    return found


def _may(stage: Stage, facts: Facts, each: Asked) -> bool:
    _, place, kind, action = each
    now = stage.world.replica.now()
    return decide(facts, stage.rules, now, subject="a-newcomer", place=place, resource=kind, action=action).allowed
