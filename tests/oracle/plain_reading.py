"""formats.md E, product.md and policy.md read plainly: slow, obvious, and free of Casbin and of the engine.

A state is plain dictionaries, a policy is the rows and tables of the files as they stand. Everything is looked up by
walking lists, nothing is remembered between two questions.
"""

import csv
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

PlaceKey = tuple[str, str]
PLATFORM: PlaceKey = ("platform", "")

ORDER = (
    "WORKSPACE_ID_MISSING",
    "USER_INACTIVE",
    "WORKSPACE_NOT_FOUND",
    "WORKSPACE_INACTIVE",
    "NOT_A_MEMBER",
    "MEMBERSHIP_INACTIVE",
    "MEMBERSHIP_EXPIRED",
    "MODULE_NOT_ENABLED",
    "MODULE_NOT_GRANTED",
    "PLAN_FEATURE_MISSING",
    "WORKSPACE_SUSPENDED",
    "DENIED_BY_RULE",
    "ROLE_INSUFFICIENT",
    "CHILD_WORKSPACES_NOT_ALLOWED",
)
LAPSED = (4, 5)  # expired, cancelled


class Unknown(Exception):
    """The question names a resource type or an action that no vocabulary has: malformed, not denied."""


class Answer(NamedTuple):
    """What is answered; ``blocked_by`` belongs to the first reason."""

    allowed: bool
    reasons: tuple[str, ...] = ()
    blocked_by: PlaceKey | None = None
    valid_until: float | None = None
    warnings: tuple[str, ...] = ()


class Question(NamedTuple):
    """What is asked."""

    subject: str
    place: PlaceKey | None
    resource: str
    action: str
    required_module: str = ""


class Row(NamedTuple):
    """A ``p`` row of policy.csv."""

    node: str
    place: str
    resource: str
    action: str
    state: str
    effect: str


@dataclass
class Policy:
    """The files of a bundle: the rows by type, catalog.toml as parsed, the core vocabulary."""

    rules: list[Row]
    inherits: list[tuple[str, str]]
    flows: list[tuple[str, str]]
    catalog: Mapping[str, Any]
    core: Mapping[str, Mapping[str, str | None]]


@dataclass
class State:
    """What is the case: rows as they are stored, by id; memberships and subscriptions by place."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    organizations: dict[str, dict[str, Any]] = field(default_factory=dict)
    workspaces: dict[str, dict[str, Any]] = field(default_factory=dict)
    memberships: dict[tuple[PlaceKey, str], dict[str, Any]] = field(default_factory=dict)
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def put(self, kind: str, values: Mapping[str, Any]) -> None:
        """Write one row down, or cross it out."""
        row = dict(values)
        table: dict[Any, dict[str, Any]]
        if kind == "membership":
            table, key = self.memberships, (place_of(row), row["user_id"])
        elif kind == "subscription":
            table, key = self.subscriptions, row["workspace_id"]
        else:
            table, key = getattr(self, kind + "s"), row["id"]
        if row.get("deleted"):
            table.pop(key, None)
        else:
            table[key] = row

    def rows(self) -> list[tuple[str, dict[str, Any]]]:
        """Return everything, parents before their children."""
        found = [("organization", row) for row in self.organizations.values()]
        found += [("workspace", self.workspaces[key]) for key in sorted(self.workspaces, key=self.depth)]
        found += [("subscription", row) for row in self.subscriptions.values()]
        found += [("user", row) for row in self.users.values()]
        found += [("membership", row) for row in self.memberships.values()]
        return found

    def depth(self, workspace_id: str) -> int:
        """Count the places from the workspace up to the platform."""
        return len(path(self, ("workspace", workspace_id)))


def place_of(membership: Mapping[str, Any]) -> PlaceKey:
    """Return where a membership is."""
    if membership["workspace_id"] is not None:
        return ("workspace", membership["workspace_id"])
    if membership["organization_id"] is not None:
        return ("organization", membership["organization_id"])
    return PLATFORM


# --- the files --------------------------------------------------------------------------------------------------------


def read_policy(policy_csv: str, catalog_toml: str, core: Mapping[str, Mapping[str, str | None]]) -> Policy:
    """Read the two files of a bundle, believing them."""
    policy = Policy([], [], [], tomllib.loads(catalog_toml), core)
    lines = [line for line in policy_csv.splitlines() if line.strip() and not line.startswith("#")]
    for cells in csv.reader(lines, skipinitialspace=True):
        kind, *rest = (cell.strip() for cell in cells)
        if kind == "p":
            policy.rules.append(Row(*rest))
        elif kind == "g":
            policy.inherits.append((rest[0], rest[1]))
        else:
            policy.flows.append((rest[0], rest[1]))
    return policy


def read_core(vocabulary_proto: Path) -> dict[str, dict[str, str | None]]:
    """Read resource -> action -> required feature out of vocabulary.proto as text."""
    core: dict[str, dict[str, str | None]] = {}
    for block in re.findall(r"option \(vocabulary\) = \{(.*?)\};", vocabulary_proto.read_text("utf-8"), re.DOTALL):
        names = re.findall(r'name: "(\w+)"(?: requires_feature: "(\w+)")?', block)
        core[names[0][0]] = {action: feature or None for action, feature in names[1:]}
    return core


# --- the tree ---------------------------------------------------------------------------------------------------------


def exists(state: State, place: PlaceKey) -> bool:
    """Tell whether there is such a place."""
    return (
        place == PLATFORM
        or (place[0] == "organization" and place[1] in state.organizations)
        or (place[0] == "workspace" and place[1] in state.workspaces)
    )


def path(state: State, place: PlaceKey) -> list[PlaceKey]:
    """Return the place and every place above it, nearest first, the platform last."""
    if place == PLATFORM:
        return [PLATFORM]
    if place[0] == "organization":
        return [place, PLATFORM]
    workspace = state.workspaces[place[1]]
    if workspace["parent_workspace_id"] is not None:
        return [place, *path(state, ("workspace", workspace["parent_workspace_id"]))]
    if workspace["organization_id"] is not None:
        return [place, *path(state, ("organization", workspace["organization_id"]))]
    return [place, PLATFORM]


def own(state: State, place: PlaceKey) -> Mapping[str, Any]:
    """Return the row of a place; the platform has none."""
    if place == PLATFORM:
        return {}
    return state.organizations[place[1]] if place[0] == "organization" else state.workspaces[place[1]]


def inactive(state: State, place: PlaceKey) -> list[PlaceKey]:
    """Return the places at or above that are inactive themselves, nearest first."""
    return [above for above in path(state, place) if not own(state, above).get("is_active", True)]


def suspended(state: State, place: PlaceKey) -> list[PlaceKey]:
    """Return the places at or above that are suspended themselves, nearest first."""
    return [above for above in path(state, place) if own(state, above).get("is_suspended", False)]


def effective_state(state: State, place: PlaceKey) -> str:
    """Return inactive, suspended or active, by precedence."""
    if inactive(state, place):
        return "inactive"
    return "suspended" if suspended(state, place) else "active"


def without_module(state: State, place: PlaceKey, module: str) -> list[PlaceKey]:
    """Return the places at or above whose own list lacks the module, nearest first; everybody has core."""
    if module == "core":
        return []
    return [above for above in path(state, place) if module not in own(state, above).get("modules", [module])]


def has_module(state: State, policy: Policy, place: PlaceKey, module: str) -> bool:
    """Tell whether the place has the module effectively; nobody has one that the catalog doesn't know."""
    known = module == "core" or module in policy.catalog.get("modules", {})
    return known and not without_module(state, place, module)


def subscription(state: State, place: PlaceKey) -> Mapping[str, Any] | None:
    """Return the place's subscription: its own, else the nearest above."""
    found = [state.subscriptions[key] for kind, key in path(state, place) if kind == "workspace" and key in state.subscriptions]
    return found[0] if found else None


# --- who holds what ---------------------------------------------------------------------------------------------------


def closure(policy: Policy, nodes: Iterable[str]) -> set[str]:
    """Add everything that the nodes inherit, over any number of steps."""
    closed = set(nodes)
    while more := {below for above, below in policy.inherits if above in closed} - closed:
        closed |= more
    return closed


def gives(policy: Policy, membership: Mapping[str, Any]) -> set[str]:
    """Return the nodes a row stands for; a role that the catalog doesn't know stands for nothing at all."""
    if membership["role"] not in policy.catalog.get("roles", {}):
        return set()
    known = [name for name in membership["permissions"] if name in policy.catalog.get("permissions", {})]
    return {"role:" + membership["role"], *("perm:" + name for name in known)}


def counts(membership: Mapping[str, Any], now: float) -> bool:
    """Tell whether a row is active and unexpired."""
    return bool(membership["is_active"]) and (membership["expires_at"] is None or now < membership["expires_at"])


def counts_in(membership: Mapping[str, Any], module: str | None) -> bool:
    """Tell whether a row is good for the module (None: whatever the module); core is in every list."""
    return module in {None, "core"} or membership["modules"] is None or module in membership["modules"]


def rows_of(state: State, user: str, place: PlaceKey) -> list[Mapping[str, Any]]:
    """Return the user's membership in the place itself, if any."""
    return [row for (where, who), row in state.memberships.items() if where == place and who == user]


def nodes(
    state: State, policy: Policy, now: float, user: str, place: PlaceKey, module: str | None, *, alone: Any = None
) -> set[str]:
    """Return the roles and permissions that a user holds in a place, in a module (None: whatever the module).

    Level by level from the platform down, as policy.md 1 has it. With ``alone`` only that row is looked at, as if it
    were active and unexpired.
    """
    held: set[str] = set()
    for level in reversed(path(state, place)):
        held = {gives_below for above, gives_below in policy.flows if above in held}
        for row in rows_of(state, user, level):
            if row is alone or (alone is None and counts(row, now) and counts_in(row, module)):
                held |= gives(policy, row)
        ownership = policy.catalog.get("ownership", {}).get("role")
        if alone is None and ownership and own(state, level).get("owner_user_id") == user:
            held.add("role:" + ownership)
        held = closure(policy, held)
    if alone is None and place == PLATFORM and user in state.users and state.users[user]["is_active"]:
        held |= closure(policy, {"role:everyone"})
    return held


# --- the rules --------------------------------------------------------------------------------------------------------


def split(resource: str) -> tuple[str, str]:
    """Return the type and the id (empty: none) of what is asked about."""
    kind, _, identifier = resource.partition("/")
    return kind, identifier


def module_of(kind: str) -> str:
    """Return the module of a resource type."""
    return kind.split(":")[0] if ":" in kind else "core"


def vocabulary(policy: Policy, kind: str) -> Mapping[str, str | None]:
    """Return action -> required feature of a resource type."""
    if kind in policy.core:
        return policy.core[kind]
    declared = policy.catalog.get("resources", {}).get(kind)
    if declared is None:
        raise Unknown(kind)
    return dict.fromkeys(declared["actions"], declared.get("requires_feature"))


def covers(policy: Policy, pattern: str, resource: str) -> bool:
    """Tell whether a resource pattern of a row covers what is asked about."""
    kind, identifier = split(resource)
    if pattern == "*":
        return kind not in policy.core
    if pattern.endswith(":*"):
        return kind not in policy.core and module_of(kind) == pattern.removesuffix(":*")
    if pattern.endswith("/*"):
        return kind == pattern.removesuffix("/*")
    return pattern == f"{kind}/{identifier}"


def name_of(place: PlaceKey) -> str:
    """Return a place as rows write it."""
    return "platform" if place == PLATFORM else f"{place[0]}:{place[1]}"


def matching(
    state: State, policy: Policy, question: Question, held: set[str], in_state: str, effect: str
) -> list[Row]:
    """Return the rows of an effect that match for somebody who holds the nodes, were the place in the state."""
    assert question.place is not None
    places = {"*", *(name_of(above) for above in path(state, question.place))}
    return [
        row
        for row in policy.rules
        if row.effect == effect
        and row.node in held
        and row.place in places
        and covers(policy, row.resource, question.resource)
        and row.action in {"*", question.action}
        and row.state in {"any", in_state}
    ]


def rules_allow(state: State, policy: Policy, now: float, question: Question) -> bool:
    """Answer what the rows alone say: some allow, no deny, in a module that the place has."""
    assert question.place is not None
    module = module_of(split(question.resource)[0])
    if not has_module(state, policy, question.place, module):
        return False
    held = nodes(state, policy, now, question.subject, question.place, module)
    in_state = effective_state(state, question.place)
    return bool(matching(state, policy, question, held, in_state, "allow")) and not matching(
        state, policy, question, held, in_state, "deny"
    )


# --- the answer -------------------------------------------------------------------------------------------------------


def answer(state: State, policy: Policy, question: Question, now: float) -> Answer:
    """Answer a question as formats.md E says.

    Raises:
        Unknown: the resource type or the action is in no vocabulary.

    """
    kind, _ = split(question.resource)
    if question.action not in vocabulary(policy, kind):
        raise Unknown(question.action)
    if question.place is None:
        return Answer(False, ("WORKSPACE_ID_MISSING",))
    if state.users.get(question.subject, {}).get("is_active") is False:
        return Answer(False, ("USER_INACTIVE",))
    if not exists(state, question.place):
        return Answer(False, ("WORKSPACE_NOT_FOUND",))
    warnings = tuple(_warnings(state, policy, question))
    reasons = tuple(_reasons(state, policy, question, now))
    if not reasons:
        return Answer(True, valid_until=_valid_until(state, policy, question, now), warnings=warnings)
    return Answer(False, reasons, _blocker(state, policy, question, now, reasons[0]), None, warnings)


def _allows(state: State, policy: Policy, question: Question, now: float) -> bool:
    """Answer step 4: the rules, and the module, the feature and the switch that are asked for besides."""
    assert question.place is not None
    if not rules_allow(state, policy, now, question):
        return False
    module = question.required_module
    if module and not has_module(state, policy, question.place, module):
        return False
    if module and not nodes(state, policy, now, question.subject, question.place, module):
        return False
    return not _lacks_feature(state, policy, question) and not _switched_off(state, question)


def _reasons(state: State, policy: Policy, question: Question, now: float) -> Iterable[str]:
    """Yield step 5, all that apply, in order; nothing for an allow."""
    if _allows(state, policy, question, now):
        return
    user, place, required = question.subject, question.place, question.required_module
    assert place is not None
    module = module_of(split(question.resource)[0])
    in_state = effective_state(state, place)
    anywhere = nodes(state, policy, now, user, place, None)
    here = nodes(state, policy, now, user, place, module)

    if in_state == "inactive":
        yield "WORKSPACE_INACTIVE"
    if not anywhere:
        yield _why_no_role(state, policy, question, now)
    if not has_module(state, policy, place, module) or (required and not has_module(state, policy, place, required)):
        yield "MODULE_NOT_ENABLED"
    would = matching(state, policy, question, anywhere, "active", "allow")
    if (would and not matching(state, policy, question, here, "active", "allow")) or (
        required and anywhere and not nodes(state, policy, now, user, place, required)
    ):
        yield "MODULE_NOT_GRANTED"
    if _lacks_feature(state, policy, question):
        yield "PLAN_FEATURE_MISSING"
    if in_state == "suspended":
        yield "WORKSPACE_SUSPENDED"
    if has_module(state, policy, place, module) and matching(state, policy, question, here, in_state, "deny"):
        yield "DENIED_BY_RULE"
    if not would:
        yield "ROLE_INSUFFICIENT"
    if _switched_off(state, question):
        yield "CHILD_WORKSPACES_NOT_ALLOWED"


def _why_no_role(state: State, policy: Policy, question: Question, now: float) -> str:
    """Return the one reason why somebody has no role in a place."""
    assert question.place is not None
    idle = [
        row
        for above in path(state, question.place)
        for row in rows_of(state, question.subject, above)
        if not counts(row, now) and nodes(state, policy, now, question.subject, question.place, None, alone=row)
    ]
    if any(not row["is_active"] for row in idle):
        return "MEMBERSHIP_INACTIVE"
    return "MEMBERSHIP_EXPIRED" if idle else "NOT_A_MEMBER"


def _lacks_feature(state: State, policy: Policy, question: Question) -> bool:
    """Tell whether the plan lacks the feature that the action needs; without plans nothing is gated."""
    assert question.place is not None
    feature = vocabulary(policy, split(question.resource)[0])[question.action]
    plans = policy.catalog.get("plans", {})
    if feature is None or not plans:
        return False
    row = subscription(state, question.place)
    return row is None or feature not in plans.get(row["plan"], {}).get("features", [])


def _switched_off(state: State, question: Question) -> bool:
    """Tell whether the question is to create a child where that is expressly switched off."""
    assert question.place is not None
    creates = split(question.resource)[0] == "workspace" and question.action == "create_child"
    return creates and own(state, question.place).get("child_workspaces") is False


def _warnings(state: State, policy: Policy, question: Question) -> Iterable[str]:
    assert question.place is not None
    row = subscription(state, question.place)
    if row is not None and row["status"] in LAPSED:
        yield "SUBSCRIPTION_EXPIRED"
    module = question.required_module
    if module and module != "core" and module not in policy.catalog.get("modules", {}):
        yield "UNKNOWN_MODULE"


def _blocker(state: State, policy: Policy, question: Question, now: float, reason: str) -> PlaceKey | None:
    """Return the nearest place whose own flag, module list, plan or rule is behind the reason."""
    place = question.place
    assert place is not None
    module = module_of(split(question.resource)[0])
    found: list[PlaceKey] = []
    if reason == "WORKSPACE_INACTIVE":
        found = inactive(state, place)
    elif reason == "WORKSPACE_SUSPENDED":
        found = suspended(state, place)
    elif reason == "MODULE_NOT_ENABLED":
        found = without_module(state, place, module) or without_module(state, place, question.required_module or "core")
    elif reason == "PLAN_FEATURE_MISSING":
        row = subscription(state, place)
        found = [("workspace", row["workspace_id"]) if row is not None else place]
    elif reason == "DENIED_BY_RULE":
        held = nodes(state, policy, now, question.subject, place, module)
        first = matching(state, policy, question, held, effective_state(state, place), "deny")[0]
        found = [above for above in path(state, place) if name_of(above) == first.place]
    elif reason == "CHILD_WORKSPACES_NOT_ALLOWED":
        found = [place]
    return found[0] if found else None


def _valid_until(state: State, policy: Policy, question: Question, now: float) -> float | None:
    """Return the first moment, of those at which a membership of the subject expires, when the allow is gone."""
    moments = {row["expires_at"] for (_, who), row in state.memberships.items() if who == question.subject}
    for moment in sorted(at for at in moments if at is not None and at > now):
        if not _allows(state, policy, question, moment):
            return float(moment)
    return None
