"""One decision: a pure function of facts, rules, question and time (formats.md E). No lock, no I/O.

An exception is an error, never an allow; an allow always carries the rule that allowed it.
"""

from dataclasses import dataclass
from typing import Final

from wsauthz.model.places import PlaceKey, State
from wsauthz.policy.catalog import Reason
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.question import (
    Holding,
    Question,
    has_module,
    hold,
    is_stopped,
    is_unknown,
    match,
    with_required,
)
from wsauthz.policy.reasons import blocker, reasons, usual_reasons
from wsauthz.policy.rules import Rule
from wsauthz.policy.ruleset import NO_MATCH, Match, Ruleset

SUBSCRIPTION_EXPIRED: Final = "SUBSCRIPTION_EXPIRED"
UNKNOWN_MODULE: Final = "UNKNOWN_MODULE"
OF_THE_SUBJECT: Final = frozenset(
    {Reason.NOT_A_MEMBER, Reason.ROLE_INSUFFICIENT, Reason.MEMBERSHIP_INACTIVE, Reason.MEMBERSHIP_EXPIRED}
)
"""Reasons that no place is behind; what would fix them is the same everywhere."""
_LAPSED: Final = (SUBSCRIPTION_EXPIRED,)
# Asking an enum for a member costs as much as a lookup in the facts before Python 3.12.
_ACTIVE: Final = State.ACTIVE
# Most of the denied: for them nothing is looked up, and no place is looked for behind it.
_NOTHING_HELD: Final = usual_reasons(_ACTIVE, is_member=False, is_enabled=True, is_sufficient=False)
_NOT_SUFFICIENT: Final = usual_reasons(_ACTIVE, is_member=True, is_enabled=True, is_sufficient=False)


@dataclass(slots=True)
class Decision:
    """The answer to one question. Not frozen: building a frozen dataclass costs more than deciding."""

    allowed: bool
    reasons: tuple[Reason, ...] = ()
    """Why not, in order; empty when allowed."""
    place: Place | None = None
    """Where it was asked; None when the question names no known place."""
    rule: Rule | None = None
    """The rule that allowed, or the deny that matched."""
    blocked_by: Place | None = None
    """The place whose own flag, list or plan is behind the first reason, where one is."""
    warnings: tuple[str, ...] = ()
    valid_until: float | None = None
    """Unix seconds at which this allow stops being true by itself, if ever."""
    depends_on_time: bool = False
    """Whether some membership here has an end, so that time alone could change this answer."""

    @property
    def reason(self) -> Reason | None:
        """The first of the reasons; None when allowed."""
        return self.reasons[0] if self.reasons else None


def decide(
    facts: Facts,
    rules: Ruleset,
    now: float,
    *,
    subject: str,
    place: PlaceKey | None,
    resource: str,
    action: str,
    required_module: str = "",
) -> Decision:
    """Answer whether the subject may do the action on the resource in the place; ``now`` is in Unix seconds.

    Raises:
        UnknownResource: the type of the resource is in no vocabulary. UnknownAction: the type lacks the action.

    """
    asked, object_id = rules.action(resource, action)
    if place is None:
        return Decision(False, (Reason.WORKSPACE_ID_MISSING,))
    at = facts.places.get(place)
    if subject in facts.deactivated:
        return Decision(False, (Reason.USER_INACTIVE,), at)
    if at is None:
        return Decision(False, (Reason.WORKSPACE_NOT_FOUND,))
    module = asked.module
    nodes, left_out, expires = holding = hold(facts, rules, now, subject, at, module)
    is_enabled = has_module(at, module)
    allow, deny = matched = asked.cells[at.state].match(nodes, at.chain, object_id) if is_enabled else NO_MATCH
    if deny is None and not (asked.is_gated or required_module or left_out or expires):
        # Of ten questions nine: nothing but a rule, a module and the state of the place could be in the way.
        warnings = _LAPSED if at.is_lapsed else ()
        if allow is not None:
            return Decision(True, (), at, allow.rule, None, warnings)
        if is_enabled and at.state is _ACTIVE:
            found, blocked_by = _NOT_SUFFICIENT if nodes else _NOTHING_HELD, None
        else:
            would = asked.cells[_ACTIVE].match(nodes, at.chain, object_id)[0]
            found = usual_reasons(at.state, bool(nodes), is_enabled, would is not None)
            blocked_by = blocker(at, found[0], (module,))
        return Decision(False, found, at, None, blocked_by, warnings)
    return _decide(facts, rules, now, Question(subject, at, asked, object_id, required_module), holding, matched)


def _decide(facts: Facts, rules: Ruleset, now: float, question: Question, holding: Holding, matched: Match) -> Decision:
    nodes, _, expires = holding
    at = question.at
    if question.required_module:
        matched = with_required(facts, rules, now, question, nodes, matched)
    allow, deny = matched
    warnings: tuple[str, ...] = _LAPSED if at.is_lapsed else ()
    if allow is not None and deny is None and not is_stopped(rules, question):
        until = _valid_until(facts, rules, now, question) if expires else None
        return Decision(True, (), at, allow.rule, None, warnings, until, expires)
    if question.required_module and is_unknown(rules, question.required_module):
        warnings = (*warnings, UNKNOWN_MODULE)
    found = reasons(facts, rules, now, question, holding, matched)
    blocked_by = None if found[0] in OF_THE_SUBJECT else blocker(at, found[0], question.modules, deny)
    return Decision(False, found, at, deny.rule if deny else None, blocked_by, warnings, None, expires)


def allowing(facts: Facts, rules: Ruleset, now: float, question: Question) -> Rule | None:
    """Return the rule that allows, or None: the answer without its reasons, for asking many questions."""
    _, (allow, deny) = weigh(facts, rules, now, question)
    if allow is None or deny is not None or is_stopped(rules, question):
        return None
    return allow.rule


def obstacles(facts: Facts, rules: Ruleset, now: float, question: Question) -> tuple[Reason, ...]:
    """Return every reason that applies to the question, in order; of a denied one at least one does."""
    return reasons(facts, rules, now, question, *weigh(facts, rules, now, question))


def weigh(facts: Facts, rules: Ruleset, now: float, question: Question) -> tuple[Holding, Match]:
    """Return what the subject holds, and the rows that allow and deny; none match in a module that the place lacks."""
    at, module = question.at, question.action.module
    nodes, _, _ = holding = hold(facts, rules, now, question.subject, at, module)
    if not has_module(at, module):
        return holding, NO_MATCH
    return holding, with_required(facts, rules, now, question, nodes, match(question, nodes, at.state))


def _valid_until(facts: Facts, rules: Ruleset, now: float, question: Question) -> float | None:
    """Return the first expiry at which the same question is denied; None if it stays allowed after all of them."""
    grants = facts.grants[question.subject]
    expiries = [grants[place].expires_at for place in question.at.chain if place in grants]
    coming = sorted(moment for moment in expiries if moment is not None and moment > now)
    return next((moment for moment in coming if allowing(facts, rules, moment, question) is None), None)
