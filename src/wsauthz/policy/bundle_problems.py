"""Problems of a bundle that is in force: reported wherever an operator looks, never a reason not to serve."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from wsauthz.model.places import PlaceKey, State
from wsauthz.policy import terms
from wsauthz.policy.bundle import Bundle
from wsauthz.policy.bundle_directory import TESTS
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.current import CurrentPolicy
from wsauthz.policy.facts import Facts
from wsauthz.policy.rule_columns import CATALOG
from wsauthz.policy.rules import RuleTable
from wsauthz.policy.rules_reader import FILE

UNTESTED: Final = "untested"
UNKNOWN_PLACE: Final = "unknown_place"
UNKNOWN_ROLE: Final = "unknown_role"
CORE_OBJECT: Final = "core_object"
BROAD_DEFAULT: Final = "broad_default"
KINDS: Final = (UNTESTED, UNKNOWN_PLACE, UNKNOWN_ROLE, CORE_OBJECT, BROAD_DEFAULT)

_ABOUT_OTHERS: Final = ("add", "update", "remove")
"""What may be done with members."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleProblem:
    """One problem. ``subject`` is what it is about, and stays the same while figures in ``text`` change."""

    kind: str
    subject: str
    text: str

    def __str__(self) -> str:
        return self.text


def find_problems(policy: CurrentPolicy, facts: Facts) -> list[BundleProblem]:
    """Return every problem of the bundle in force, deciding by these facts."""
    bundle = policy.bundle
    return [
        *([] if policy.is_tested else [untested()]),
        *unknown_places(bundle.rules.table, facts.places),
        *unknown_roles(bundle.catalog, facts.roles),
        *core_objects(bundle),
        *broad_defaults(bundle),
    ]


def untested() -> BundleProblem:
    """Return the problem of a bundle without tests."""
    text = f"{TESTS}: is missing or holds no test, so nothing checks the rules before they take effect"
    return BundleProblem(kind=UNTESTED, subject=TESTS, text=text)


def unknown_places(table: RuleTable, places: Container[PlaceKey]) -> Iterator[BundleProblem]:
    """Yield the rules about one place that does not exist."""
    for rule in table.rules:
        if rule.place is not None and rule.place not in places:
            name = terms.place(rule.place)
            text = f"{FILE}:{rule.line}: {name} does not exist, so the rule never applies"
            yield BundleProblem(kind=UNKNOWN_PLACE, subject=f"{rule.line} {name}", text=text)


def unknown_roles(catalog: Catalog, roles: Mapping[str, int]) -> Iterator[BundleProblem]:
    """Yield the roles of live memberships that the bundle lacks; ``roles``: role -> live memberships with it."""
    for role, count in sorted(roles.items()):
        if count and role not in catalog.roles:
            members = "1 member has" if count == 1 else f"{count:,} members have"
            text = f"memberships: {members} the role {role!r}, which the bundle does not know: it grants nothing"
            yield BundleProblem(kind=UNKNOWN_ROLE, subject=role, text=text)


def broad_defaults(bundle: Bundle) -> Iterator[BundleProblem]:
    """Yield the roles that people get without being asked for, such as by a code, and that may manage other members."""
    catalog, rules = bundle.catalog, bundle.rules
    given = {"workspace": catalog.default_workspace_role, "organization": catalog.default_organization_role}
    for key, role in given.items():
        may = []
        for action in _ABOUT_OTHERS:
            asked, _ = rules.action("member", action)
            for distance in (0, 1):  # where the role is held, and what it gives below
                allow, deny = asked.cells[State.ACTIVE].match(rules.given(role, (), distance), (), "")
                if allow is not None and deny is None and action not in may:
                    may.append(action)
        if may:
            text = (
                f"{CATALOG}: defaults.{key}: everybody who joins without being given a role gets {role!r}, which may "
                f"{', '.join(may)} members"
            )
            yield BundleProblem(kind=BROAD_DEFAULT, subject=f"{key} {role}", text=text)


def core_objects(bundle: Bundle) -> Iterator[BundleProblem]:
    """Yield the rules about one object of a core resource: management calls name the place and no object."""
    for rule in bundle.rules.table.rules:
        name, _, identifier = rule.resource.partition("/")
        kind = bundle.catalog.resources.get(name)
        if kind is not None and kind.is_core and identifier != "*":
            text = (
                f"{FILE}:{rule.line}: management calls ask about {name} without an id, so a rule about {rule.resource} "
                "never applies to them; name the place in the third column"
            )
            yield BundleProblem(kind=CORE_OBJECT, subject=f"{rule.line} {rule.resource}", text=text)
