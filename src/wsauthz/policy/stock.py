"""Stock Casbin as an oracle: what pycasbin answers on the rows of flattened.py must be what the engine answers.

It answers the rules alone, and the required module by the rows ``g``, which say where a role counts. The plan's
features, the switch for child workspaces and deactivation are not rules: a deactivated user simply has no rows.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import casbin
from casbin.persist import Adapter

from wsauthz.model.places import PlaceKey
from wsauthz.policy import model_conf, terms
from wsauthz.policy.bundle import Bundle
from wsauthz.policy.catalog import Reason
from wsauthz.policy.decision import decide, weigh
from wsauthz.policy.facts import Facts
from wsauthz.policy.flattened import Flattened, Row
from wsauthz.policy.question import Question, lacks_required

_GATES: Final = frozenset({Reason.PLAN_FEATURE_MISSING, Reason.CHILD_WORKSPACES_NOT_ALLOWED})
"""Reasons of a denial that no rule knows of."""

_ASKED_AT_ONCE: Final = 25
"""Questions about one user and place: an enforcer takes longer to make than to ask."""

_STRANGER: Final = "nobody-has-this-id"


@dataclass(frozen=True, slots=True)
class Difference:
    """A question on which the engine and stock Casbin disagree."""

    subject: str
    place: str
    resource: str
    action: str
    required_module: str
    engine: bool
    stock: bool


class _Memory(Adapter):  # type: ignore[misc]  # casbin has no types
    """Hands rows to Casbin by appending, as its own adapters do; ``add_policies`` compares each with every other."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows

    def load_policy(self, model: Any) -> None:
        """Append every row to its section."""
        for kind, *cells in self._rows:
            model[kind[0]][kind].policy.append(cells)


def stock_enforcer(rows: Iterable[Row]) -> Any:
    """Return a ``casbin.Enforcer`` of the model and these rows, rules included.

    Making one switches the loggers ``casbin.*`` off in the whole process; they would write every question down.
    """
    model = casbin.Enforcer.new_model(text=model_conf.MODEL)
    enforcer = casbin.Enforcer(model, _Memory(rows))
    # By default each name is compared with every other one as if it were a pattern, which takes quadratic time.
    enforcer.get_role_manager().add_matching_func(None)
    return enforcer


def rows_about(flattened: Flattened, user: str, place: PlaceKey) -> list[Row]:
    """Return the rules and just the facts that questions about one user in one place touch."""
    return [*flattened.rules, *flattened.about_place(place), *flattened.about_user(user, place)]


def ask(enforcer: Any, user: str, place: PlaceKey, resource: str, action: str, required_module: str = "") -> bool:
    """Ask a stock enforcer whether the user may do the action on ``dam:asset`` or ``dam:asset/42`` in the place.

    One request names one module. So with a required module the user must be allowed, and then one of the roles that
    they hold in both modules, asked as a subject of its own.
    """
    kind, _, identifier = resource.partition("/")
    where, who = terms.place(place), terms.user(user)
    use, required = (f"{where}#{module}" for module in (terms.module_of(kind), required_module or terms.CORE))
    about = (where, use, f"{kind}/{identifier}", action)
    if not enforcer.enforce(who, *about):
        return False
    held = enforcer.get_filtered_grouping_policy(0, who) if required_module else []
    in_both = {node for _, node, within in held if within == use and [who, node, required] in held}
    return not required_module or any(enforcer.enforce(node, *about) for node in in_both)


def export_policy(bundle: Bundle, rows: Iterable[tuple[str, Mapping[str, Any]]], now: float) -> tuple[str, str]:
    """Return model.conf and policy.csv with every fact as a row, for any Casbin, without matching functions.

    ``rows`` are (kind, values) as ``Facts.apply`` takes them, ``now`` is in Unix seconds: it is a snapshot. Questions
    are asked as ``("user:ann", "workspace:c", "workspace:c#dam", "dam:asset/42", "read")``, with the slash also where
    no id is meant.
    """
    lines = [", ".join(row) + "\n" for row in Flattened(bundle, rows, now).everything()]
    return model_conf.MODEL, "".join(lines)


def verify(
    bundle: Bundle, rows: Iterable[tuple[str, Mapping[str, Any]]], *, count: int, seed: int, now: float
) -> list[Difference]:
    """Ask the engine and stock Casbin ``count`` random questions about these rows; return where they disagree.

    The same seed asks the same questions of the same rows. ``now`` is in Unix seconds.
    """
    rows = list(rows)
    flattened = Flattened(bundle, rows, now)
    facts = Facts()
    for kind, values in rows:
        facts.apply(kind, values)
    chance = random.Random(seed)  # noqa: S311 - questions are to be repeatable, not secret
    actions = [(kind.name, action) for kind in bundle.catalog.resources.values() for action in kind.actions]
    identifiers = ["", *sorted({row[3].partition("/")[2] for row in flattened.rules} - {"*"}), "42"]
    modules = ["", "", *bundle.catalog.modules]
    users, places = sorted({*flattened.users, *flattened.memberships, _STRANGER}), list(flattened.places)
    found: list[Difference] = []
    while count > 0:
        user, place = _pair(chance, flattened, users, places)
        enforcer = stock_enforcer(rows_about(flattened, user, place))
        for _ in range(min(count, _ASKED_AT_ONCE)):
            count -= 1
            name, action = chance.choice(actions)
            identifier = chance.choice(identifiers)
            resource = f"{name}/{identifier}" if identifier else name
            asked = (user, place, resource, action, chance.choice(modules))
            stock, engine = ask(enforcer, *asked), rules_allow(facts, bundle, now, *asked)
            if engine != stock:
                found.append(Difference(user, terms.place(place), *asked[2:], engine=engine, stock=stock))
    return found


def rules_allow(
    facts: Facts,
    bundle: Bundle,
    now: float,
    user: str,
    place: PlaceKey,
    resource: str,
    action: str,
    required_module: str = "",
) -> bool:
    """Return what the engine says of the rules and the required module alone, as stock Casbin does; Unix seconds.

    Raises:
        UnknownResource, UnknownAction: as in a decision.

    """
    rules = bundle.rules
    asked: dict[str, Any] = {"subject": user, "place": place, "resource": resource, "action": action}
    decision = decide(facts, rules, now, **asked, required_module=required_module)
    if decision.place is None or _GATES.isdisjoint(decision.reasons):
        return decision.allowed
    what, identifier = rules.action(resource, action)
    question = Question(user, decision.place, what, identifier, required_module)
    _, (allow, deny) = weigh(facts, rules, now, question)
    return allow is not None and deny is None and not lacks_required(rules, question)


def _pair(
    chance: random.Random, flattened: Flattened, users: Sequence[str], places: Sequence[PlaceKey]
) -> tuple[str, PlaceKey]:
    """Return a user and a place, mostly one in which the user might hold something."""
    user = chance.choice(users)
    held_in = list(flattened.memberships.get(user, ()))
    place = chance.choice(places)
    if held_in and chance.random() < 0.6:  # noqa: PLR2004 - the rest asks about strangers and places above
        # A place at or below one of the user's own: walk up from anywhere until the user is known, or take its own.
        near = next((above for above in flattened.chain(place) if above in held_in), None)
        place = place if near is not None else chance.choice(held_in)
    return user, place
