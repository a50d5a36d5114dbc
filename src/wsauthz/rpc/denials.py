"""Denials of Check as messages, made once for each kind: most of a denial's cost is finding out what would fix it."""

from typing import Final, NamedTuple

from wsauthz.model.places import State
from wsauthz.policy.catalog import Reason
from wsauthz.policy.decision import OF_THE_SUBJECT, Decision
from wsauthz.policy.facts import Facts
from wsauthz.policy.place import Place
from wsauthz.policy.question import is_unknown
from wsauthz.policy.remedies import remedy
from wsauthz.policy.ruleset import Ruleset
from wsauthz.rpc.decisions import denial, name_place, redirect, remedy_message
from wsauthz.v1 import authorization_pb2 as pb

_MOST: Final = 10_000
_ACTIVE: Final = State.ACTIVE  # asking an enum for a member costs as much as a lookup in the facts
_SHARED: Final = OF_THE_SUBJECT | {Reason.MODULE_NOT_GRANTED}
"""Reasons that no place is behind."""

_UNKNOWN: Final = "?"
"""Stands for every module that there is none of."""

_Key = tuple[object, ...]


class _Made(NamedTuple):
    denial: pb.Denial
    warning: str
    is_shared: bool
    """Whether it is the same in every place where a subject holds the same: it names that place only."""


class Denials:
    """Makes denials, and keeps those that others will meet.

    What is wrong with a subject is said in the same words in every place, with the id of the place filled in, unless
    something is to be done elsewhere. Everything else is kept for each place. Nothing is kept that names what a caller
    invented.
    """

    def __init__(self) -> None:
        self._rules: Ruleset | None = None
        self._made: dict[_Key, _Made] = {}

    def write(
        self,
        to: pb.Denial,
        facts: Facts,
        rules: Ruleset,
        now: float,
        decision: Decision,
        *,
        subject: str,
        resource: str,
        action: str,
        required_module: str,
    ) -> str:
        """Fill in the message of a denial, and return what its remedy warns of, if anything; ``now``: Unix seconds."""
        reasons, at = decision.reasons, decision.place
        asked, object_id = rules.action(resource, action)
        if rules is not self._rules or len(self._made) >= _MOST:
            self._rules, self._made = rules, {}

        def make() -> _Made:
            question = {"subject": subject, "resource": resource, "action": action, "required_module": required_module}
            fix = remedy(facts, rules, now, decision, **question)
            message = denial(decision, rules.catalog.answer(reasons[0]), remedy_message(fix))
            return _Made(message, fix.warning, fix.place is None or fix.place is at)

        is_module_unknown = is_unknown(rules, required_module)
        if is_module_unknown and reasons[0] not in OF_THE_SUBJECT:  # then a remedy may name it
            made = make()
            to.CopyFrom(made.denial)
            return made.warning
        module = _UNKNOWN if is_module_unknown else required_module
        known_object = object_id if object_id in asked.objects else ""
        about = (reasons, asked, known_object, module, _holding(facts, now, at, subject))
        common = None
        if at is not None and at.state is _ACTIVE and reasons[0] in _SHARED and not asked.is_particular:
            common = (*about, at.key[0], len(at.chain), at.chain[-2:-1] and at.chain[-2].key[0])
        found = self._made.get(common) if common is not None else None
        if found is None:
            line = decision.rule.line if decision.rule is not None else 0
            key = (*about, at.settled if at is not None else None, line)
            found = self._made.get(key)
            if found is None:
                found = make()
                self._made[common if common is not None and found.is_shared else key] = found
        to.CopyFrom(found.denial)
        if found.is_shared and common is not None and at is not None:
            if to.remedy.HasField("place"):
                name_place(to.remedy.place, at.key)
            if to.redirect_to:
                to.redirect_to = redirect(rules.catalog.answer(reasons[0]).redirect, at.key[1])
        return found.warning


def _holding(facts: Facts, now: float, at: Place | None, subject: str) -> _Key:
    """Return what a remedy depends on of the subject: how far above they hold and own what, and what has expired."""
    is_known = subject in facts.users
    if at is None:
        return (is_known,)
    grants, owned = facts.grants.get(subject), facts.owned.get(subject)
    if grants is None and owned is None:
        return (is_known,)
    found: list[object] = [is_known]
    for distance, place in enumerate(at.chain):
        if owned is not None and place in owned:
            found.append(distance)
        if grants is not None and place in grants:
            role, permissions, modules, is_active, expires_at = grants[place]
            ends = expires_at is not None and (expires_at <= now, "expires")
            found.append((distance, role, permissions, modules, is_active, ends))
    return tuple(found)
