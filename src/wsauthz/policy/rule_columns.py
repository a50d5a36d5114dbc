"""The columns of a row ``p``: what each may say, and what is probably meant where it says something else."""

from typing import Final

from wsauthz.model.identifiers import is_id, is_resource_id
from wsauthz.model.places import PlaceKey, State
from wsauthz.policy import terms
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.coverage import Coverage
from wsauthz.policy.problems import Mistake, meant, one_of
from wsauthz.policy.rules import STATES, Rule

CATALOG: Final = "catalog.toml"
EFFECTS: Final = ("allow", "deny")
_BRACKETS: Final = frozenset("()[]")


def check_resource(pattern: str, catalog: Catalog, coverage: Coverage) -> None:
    """Check a resource pattern: ``*``, ``module:*``, ``type/*`` or ``type/<id>``.

    Raises:
        Mistake: it is none of these, or covers nothing of the catalog.

    """
    if pattern == "*":
        _check_covers(pattern, coverage)
        return
    name, slash, object_id = pattern.partition("/")
    module, colon, star = name.partition(":")
    if not slash and colon and star == "*":
        if module != terms.CORE and module not in catalog.modules:
            raise Mistake(f"{module!r} is not a module of {CATALOG}{meant(module, catalog.modules)}")
        _check_covers(pattern, coverage)
        return
    if name not in catalog.resources:
        raise Mistake(f"{pattern!r} is not a resource pattern{_resource_meant(name, object_id, catalog)}")
    if object_id == "*":
        return
    if "*" in object_id or not object_id:
        raise Mistake(f"{pattern!r} is not a resource pattern (did you mean {name}/*?)")
    if not is_resource_id(object_id) or not _BRACKETS.isdisjoint(object_id):
        raise Mistake(f"{object_id!r} cannot be the id of a resource in a rule")


def _check_covers(pattern: str, coverage: Coverage) -> None:
    if not coverage.actions(pattern):
        raise Mistake(f"{pattern} covers no resource of {CATALOG}; core resources are named one by one, as workspace/*")


def _resource_meant(name: str, object_id: str, catalog: Catalog) -> str:
    bare = name.replace("*", "")
    objects = object_id if object_id and is_resource_id(object_id) else "*"
    if bare in catalog.resources:
        return f" (did you mean {bare}/{objects}?)"
    if bare.removeprefix("core:") in catalog.resources:
        return f" (did you mean {bare.removeprefix('core:')}/{objects}?)"
    if bare.removesuffix(":") in catalog.modules:
        return f" (did you mean {bare.removesuffix(':')}:*?)"
    return f": {bare!r} is not a resource of {CATALOG}" + meant(bare, catalog.resources, behind=f"/{objects}")


def check_action(pattern: str, action: str, coverage: Coverage) -> None:
    """Check that something the pattern covers has the action.

    Raises:
        Mistake: nothing has.

    """
    actions = coverage.actions(pattern)
    if action not in actions:
        raise Mistake(f"{action!r} is not an action of {pattern}{meant(action, actions)}")


def check_place(subject: str, place: str) -> None:
    """Check that a place is one, and one where the subject is held.

    Raises:
        Mistake: it is not.

    """
    if subject == terms.EVERYONE and place != "platform":
        raise Mistake(f"{subject} is held at the platform only: its place must be platform, not {place!r}")
    if place in {"*", "platform"}:
        return
    key: PlaceKey | None = terms.parse_place(place)
    if key is None or not is_id(key[1]):
        raise Mistake(f"{place!r} is not a place: use *, platform, organization:<id> or workspace:<id>")


def check_state(subject: str, state: str, effect: str) -> None:
    """Check that a state is one, and one that the rule may be limited to.

    Raises:
        Mistake: it is not.

    """
    if state not in STATES:
        raise Mistake(f"{state!r} is not a state{one_of(state, _states(subject, effect))}")
    if effect == "deny" and state != terms.ANY_STATE:
        raise Mistake(f"a deny must hold in any state, not {state!r}: suspension must never widen")
    if subject == terms.EVERYONE and State.ACTIVE not in STATES[state]:
        raise Mistake(f"{subject} is held at the platform only, which is never {state}")


def _states(subject: str, effect: str) -> list[str]:
    """Return the states that the rule may be limited to."""
    if effect == "deny":
        return [terms.ANY_STATE]
    return [state for state, those in STATES.items() if subject != terms.EVERYONE or State.ACTIVE in those]


def check_effect(state: str, effect: str) -> None:
    """Check that an effect is one.

    Raises:
        Mistake: it is not.

    """
    if effect not in EFFECTS:
        known = EFFECTS if state == terms.ANY_STATE else [each for each in EFFECTS if each != "deny"]
        raise Mistake(f"{effect!r} is not an effect{one_of(effect, known)}")


def meaning(rule: Rule, coverage: Coverage) -> object:
    """Return what a rule says, however it is written: two rules with one meaning are a duplicate."""
    _, _, object_id = rule.resource.partition("/")
    what = coverage.covered(rule.resource, rule.action)
    return (rule.node, rule.place, what, object_id.strip("*"), rule.states, rule.allows)
