"""Puts one question to the engine, to the plain reading and to stock Casbin, and says where they differ."""

from collections.abc import Callable, Sequence
from typing import Any

from tests.oracle.plain_reading import Answer, answer
from tests.oracle.plain_rules import Unknown, counts, nodes, rows_of, rules_allow
from tests.oracle.plain_state import PlaceKey, Question, Row, State, exists, has_module, own
from tests.oracle.worlds import NOW, World
from wsauthz.model.errors import UnknownAction, UnknownResource
from wsauthz.policy.access import access
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.flattened import Flattened
from wsauthz.policy.lookup import subjects, workspaces
from wsauthz.policy.stock import ask, rows_about, stock_enforcer


def load(state: State) -> Facts:
    """Return fresh facts of a state."""
    facts = Facts()
    for kind, values in state.rows():
        facts.apply(kind, values)
    return facts


def engine(facts: Facts, world: World, question: Question, now: float = NOW) -> Answer | None:
    """Return the engine's answer in the words of the plain reading; None: the question is malformed."""
    try:
        decision = decide(
            facts,
            world.bundle.rules,
            now,
            subject=question.subject,
            place=question.place,  # type: ignore[arg-type]  # the plain reading knows no Literal
            resource=question.resource,
            action=question.action,
            required_module=question.required_module,
        )
    except (UnknownResource, UnknownAction):
        return None
    assert decision.allowed == (not decision.reasons)
    assert not decision.allowed or (decision.rule is not None and decision.rule.allows)
    blocked_by: Any = decision.blocked_by.key if decision.blocked_by is not None else None
    reasons = tuple(str(reason) for reason in decision.reasons)
    rule = Row(*map(str.strip, decision.rule.text.split(",")[1:])) if decision.rule is not None else None
    return Answer(decision.allowed, reasons, blocked_by, decision.valid_until, decision.warnings, rule)


def plain(world: World, question: Question, now: float = NOW) -> Answer | None:
    """Return the plain reading's answer; None: the question is malformed."""
    try:
        return answer(world.at(now), question)
    except Unknown:
        return None


def differences(world: World, questions: Sequence[Question], now: float = NOW) -> list[str]:
    """Return, in words, every question on which the engine and the plain reading differ."""
    facts = load(world.state)
    pairs = ((question, engine(facts, world, question, now), plain(world, question, now)) for question in questions)
    return [f"{question}\n  engine {ours}\n  plain  {theirs}" for question, ours, theirs in pairs if ours != theirs]


def stock_differences(world: World, questions: Sequence[Question], now: float = NOW) -> list[str]:
    """Return, in words, every question on which stock Casbin and the plain reading differ about the rules.

    Casbin is asked about known places and users who are not deactivated; one enforcer serves all questions about one
    user and place.
    """
    flattened = Flattened(world.bundle, world.state.rows(), now)
    enforcers: dict[tuple[str, PlaceKey], Any] = {}
    found = []
    for question in questions:
        place: Any = question.place
        if place is None or not exists(world.state, place):
            continue
        pair = (question.subject, place)
        if pair not in enforcers:
            enforcers[pair] = stock_enforcer(rows_about(flattened, *pair))
        asked = (question.resource, question.action, question.required_module)
        stock = ask(enforcers[pair], question.subject, place, *asked)
        deactivated = world.state.users.get(question.subject, {}).get("is_active") is False
        theirs = not deactivated and rules_allow(world.at(now), question)
        if stock != theirs:
            found.append(f"{question}\n  stock {stock}\n  plain {theirs}")
    return found


def reverse_differences(world: World, facts: Facts, question: Question, *, page: int, now: float = NOW) -> list[str]:
    """Return, in words, where LookupWorkspaces and LookupSubjects, read page by page, differ from asking one by one."""
    state, rules = world.state, world.bundle.rules
    asked: dict[str, Any] = {
        "resource": question.resource,
        "action": question.action,
        "required_module": question.required_module,
        "limit": page,
    }

    def allowed(subject: str, place: PlaceKey) -> bool:
        return answer(world.at(now), question._replace(subject=subject, place=place)).allowed

    places = sorted(key for key in state.workspaces if allowed(question.subject, ("workspace", key)))
    found = _pages(lambda after: workspaces(facts, rules, now, subject=question.subject, after=after, **asked))
    wrong = [] if found == places else [f"{question}\n  LookupWorkspaces {found}\n  plain {places}"]
    place: Any = question.place
    if place is not None:
        owners = {row["owner_user_id"] for row in state.workspaces.values()}
        everybody = {*state.users, *owners, *(who for _, who in state.memberships)}
        able = sorted(user for user in everybody if exists(state, place) and allowed(user, place))
        found = _pages(lambda after: subjects(facts, rules, now, place=place, after=after, **asked))
        wrong += [] if found == able else [f"{question}\n  LookupSubjects {found}\n  plain {able}"]
    return wrong


def _pages(ask_after: Callable[[str], tuple[list[str], str]]) -> list[str]:
    found: list[str] = []
    after = ""
    while True:
        page, following = ask_after(after)
        assert not following or following > after
        assert not set(page) & set(found)
        found += page
        if not following:
            return found
        after = following


def access_differences(world: World, facts: Facts, subject: str, place: PlaceKey, now: float = NOW) -> list[str]:
    """Return, in words, where GetAccess differs from asking Check about everything, and from what is plainly held."""
    state, policy, rules = world.state, world.policy, world.bundle.rules
    found = access(facts, rules, now, subject=subject, place=place)  # type: ignore[arg-type]  # as in engine()
    if not exists(state, place):
        return [] if found is None else [f"GetAccess knows {place}"]
    assert found is not None
    refused = state.users.get(subject, {}).get("is_active") is False
    kinds = world.bundle.catalog.resources.values()
    asked = {
        kind.name: tuple(
            action
            for action in sorted(kind.actions)
            if answer(world.at(now), Question(subject, place, kind.name, action)).allowed
        )
        for kind in kinds
    }
    held = {
        module: nodes(world.at(now), subject, place, module) for module in (*policy.catalog.get("modules", {}), None)
    }
    everything = set() if refused else held[None]
    mine = [row for row in rows_of(state, subject, place) if counts(row, now)]
    ranks = {"role:" + name: (role["rank"], name) for name, role in policy.catalog.get("roles", {}).items()}
    expected = {
        "role": max((ranks[node] for node in everything if node in ranks), default=(0, ""))[1],
        "allowed": {kind: actions for kind, actions in asked.items() if actions},
        "roles": everything,
        "permissions": tuple(sorted(node.removeprefix("perm:") for node in everything if node.startswith("perm:"))),
        "modules": tuple(
            module
            for module in policy.catalog.get("modules", {})
            if not refused and held[module] and has_module(state, policy, place, module)
        ),
        "is_active": bool(everything) if place[0] == "platform" else "view" in asked[place[0]],
        "membership": [bool(mine) and not refused] if rows_of(state, subject, place) else [],
        "is_owner": own(state, place).get("owner_user_id") == subject,
    }
    actual = {name: getattr(found, name) for name in expected} | {"roles": {role.node for role in found.roles}}
    actual["membership"] = [found.membership.is_active] if found.membership else []
    wrong = [name for name in expected if actual[name] != expected[name]]
    return [f"GetAccess {subject} {place}: {name}\n  {actual[name]}\n  plain {expected[name]}" for name in wrong]


def picture(facts: Facts) -> dict[str, Any]:
    """Return everything that facts hold, as values that can be compared."""
    places = {
        key: {
            "chain": [above.key for above in place.chain],
            "children": {child.key for child in place.children},
            "members": place.members,
            "owner": place.owner,
            "own": (
                place.is_active,
                place.is_suspended,
                place.child_workspaces,
                place.own_modules,
                place.own_subscription,
            ),
            "effective": (place.state, place.modules, place.subscription),
            "blocked_by": place.blocked_by.key if place.blocked_by else None,
        }
        for key, place in facts.places.items()
    }
    return {
        "places": places,
        "users": dict(facts.users),
        "deactivated": set(facts.deactivated),
        "grants": {user: {place.key: grant for place, grant in held.items()} for user, held in facts.grants.items()},
        "workspaces": list(facts.workspaces),
        "owned": {user: {place.key for place in owned} for user, owned in facts.owned.items()},
        "roles": +facts.roles,
    }
