"""What is asked, what the subject holds there, and what no rule speaks of: modules, features, switches."""

from dataclasses import dataclass
from typing import Final

from wsauthz.model.places import State
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.ruleset import Action, Compiled, Match, Nodes, Ruleset
from wsauthz.policy.single import Single
from wsauthz.policy.terms import CORE, EVERYONE

_EVERYONE: Final[Nodes] = frozenset({EVERYONE})
_NOTHING: Final[Nodes] = frozenset()

Holding = tuple[Nodes, bool, bool]
"""What counts, whether some membership here does not, and whether one expires. Bare, as every decision makes one."""


@dataclass(slots=True)
class Question:
    """What is asked, resolved against facts and rules."""

    subject: str
    at: Place
    action: Action
    object_id: str
    required_module: str

    @property
    def modules(self) -> tuple[str, str]:
        """The modules that must not be lacking: the action's and the required one, "" if none is."""
        return self.action.module, self.required_module


def held(facts: Facts, rules: Ruleset, now: float, subject: str, at: Place, module: str | None) -> Nodes:
    """Return the roles and permissions that count in the place for a module; None ignores module lists.

    Whether the place has the module is another question: :func:`has_module`.
    """
    return hold(facts, rules, now, subject, at, module)[0]


def hold(facts: Facts, rules: Ruleset, now: float, subject: str, at: Place, module: str | None) -> Holding:
    """Return what :func:`held` returns, and what a denial or a warning needs to know of it."""
    nodes = _NOTHING
    left_out = expires = False
    chain = at.chain
    grants = facts.grants.get(subject)
    if grants is not None:
        places, only = chain, None
        if type(grants) is Single:
            places, only = (grants.key,) if grants.key in chain else (), grants.value
        for place in places:
            if only is None and place not in grants:  # most of them; half the cost of asking with ``get``
                continue
            role, permissions, modules, is_active, expires_at = only or grants[place]
            if (
                is_active
                and (expires_at is None or now < expires_at)
                and (modules is None or module is None or module == CORE or module in modules)
            ):
                given = rules.given(role, permissions, chain.index(place))
                nodes = nodes | given if nodes else given
            else:
                left_out = True
            if expires_at is not None:
                expires = True
    owned = facts.owned.get(subject)
    if owned is not None:  # not place.owner: for most subjects one lookup tells that they own nothing
        for place in owned.intersection(chain):
            nodes |= rules.owned(chain.index(place))
    if at is facts.platform and facts.users.get(subject):
        nodes |= _EVERYONE
    return nodes, left_out, expires


def has_module(at: Place, module: str) -> bool:
    """Tell whether the place has the module effectively; everybody has ``core``."""
    return module == CORE or at.modules is None or module in at.modules


def matching(question: Question, nodes: Nodes, state: State) -> list[Compiled]:
    """Return every row that matches the question for these nodes in this state."""
    return question.action.cells[state].matching(nodes, question.at.chain, question.object_id)


def match(question: Question, nodes: Nodes, state: State) -> Match:
    """Return the row that allows and the row that denies; of several the first in policy.csv."""
    return question.action.cells[state].match(nodes, question.at.chain, question.object_id)


def with_required(facts: Facts, rules: Ruleset, now: float, question: Question, nodes: Nodes, matched: Match) -> Match:
    """Return what matched for these nodes, the row that allows being of a role that counts in the required module.

    A row that denies does so whatever module is required.
    """
    allow, deny = matched
    if allow is None or not question.required_module:
        return matched
    return match(question, counting_in_required(facts, rules, now, question, nodes), question.at.state)[0], deny


def counting_in_required(facts: Facts, rules: Ruleset, now: float, question: Question, nodes: Nodes) -> Nodes:
    """Return those of the nodes that count in the required module as well; all of them if none is required."""
    module = question.required_module
    if module in ("", CORE, question.action.module):
        return nodes
    return nodes & held(facts, rules, now, question.subject, question.at, module)


def is_stopped(rules: Ruleset, question: Question) -> bool:
    """Tell whether what no rule speaks of is in the way of what one allows: a module, a feature, a switch."""
    return (
        (question.required_module != "" and lacks_required(rules, question))
        or lacks_feature(rules, question)
        or children_switched_off(question)
    )


def lacks_required(rules: Ruleset, question: Question) -> bool:
    """Tell whether the place lacks the required module effectively, as it does one that the catalog lacks."""
    module = question.required_module
    return module != "" and (is_unknown(rules, module) or not has_module(question.at, module))


def is_unknown(rules: Ruleset, module: str) -> bool:
    """Tell whether a module is named and there is none of that name."""
    return module not in ("", CORE) and module not in rules.catalog.modules


def lacks_feature(rules: Ruleset, question: Question) -> bool:
    """Tell whether the action needs a plan feature that the place's plan, if any, does not have."""
    feature = question.action.feature
    if feature is None or not rules.catalog.plans:
        return False  # a bundle without plans gates nothing by them
    subscription = question.at.subscription
    plan = rules.catalog.plans.get(subscription[0]) if subscription else None
    return plan is None or feature not in plan.features


def children_switched_off(question: Question) -> bool:
    """Tell whether a child workspace is asked for where there must be none (the feature child_workspaces)."""
    action = question.action
    return (
        question.at.child_workspaces is False
        and action.name == "create_child"
        and action.type.is_core
        and action.type.name == "workspace"
    )
