"""The columns of a row ``p``: what each may say, and what is probably meant where it says something else."""

from typing import Final

from wsauthz.model.identifiers import is_id, is_resource_id
from wsauthz.model.places import PlaceKey, State
from wsauthz.policy import terms
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.coverage import Coverage
from wsauthz.policy.problems import Mistake, meant
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
    bare = name.replace("*", "")
    if name not in catalog.resources:
        raise Mistake(f"{pattern!r} is not a resource pattern{_resource_meant(bare, catalog)}")
    if object_id == "*":
        return
    if "*" in object_id or not object_id:
        raise Mistake(f"{pattern!r} is not a resource pattern (did you mean {name}/*?)")
    if not is_resource_id(object_id) or not _BRACKETS.isdisjoint(object_id):
        raise Mistake(f"{object_id!r} cannot be the id of a resource in a rule")


def _check_covers(pattern: str, coverage: Coverage) -> None:
    if not coverage.actions(pattern):
        raise Mistake(f"{pattern} covers no resource of {CATALOG}; core resources are named one by one, as workspace/*")


def _resource_meant(name: str, catalog: Catalog) -> str:
    if name in catalog.resources:
        return f" (did you mean {name}/*?)"
    if name.removeprefix("core:") in catalog.resources:
        return f" (did you mean {name.removeprefix('core:')}/*?)"
    if name.removesuffix(":") in catalog.modules:
        return f" (did you mean {name.removesuffix(':')}:*?)"
    return ": " + f"{name!r} is not a resource of {CATALOG}" + meant(name, catalog.resources)


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
        raise Mistake(f"{state!r} is not a state: use {', '.join(STATES)}{meant(state, STATES)}")
    if effect == "deny" and state != terms.ANY_STATE:
        raise Mistake(f"a deny must hold in any state, not {state!r}: suspension must never widen")
    if subject == terms.EVERYONE and State.ACTIVE not in STATES[state]:
        raise Mistake(f"{subject} is held at the platform only, which is never {state}")


def check_effect(effect: str) -> None:
    """Check that an effect is one.

    Raises:
        Mistake: it is not.

    """
    if effect not in EFFECTS:
        raise Mistake(f"{effect!r} is not an effect: use allow or deny{meant(effect, EFFECTS)}")


def meaning(rule: Rule, coverage: Coverage) -> object:
    """Return what a rule says, however it is written: two rules with one meaning are a duplicate."""
    _, _, object_id = rule.resource.partition("/")
    what = coverage.covered(rule.resource, rule.action)
    return (rule.node, rule.place, what, object_id.strip("*"), rule.states, rule.allows)
