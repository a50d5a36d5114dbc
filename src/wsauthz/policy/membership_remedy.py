"""Remedies for denials that are about what somebody holds, in sentences that say all that they give."""

import copy
from dataclasses import replace
from typing import Final

from sortedcontainers import SortedDict

from wsauthz.model.errors import shown
from wsauthz.model.places import State
from wsauthz.policy import terms
from wsauthz.policy.catalog import AddById
from wsauthz.policy.facts import Facts, Grant
from wsauthz.policy.membership_changes import Change, least_change, reactivated, rules_allow
from wsauthz.policy.place import Place
from wsauthz.policy.question import Question
from wsauthz.policy.remedy import ROLE_UNKNOWN, UNKNOWN_USER, Remedy, state_remedy, states_to_come
from wsauthz.policy.ruleset import Ruleset

_ADD: Final = "MembershipService/AddMember"
_BY_EMAIL: Final = "MembershipService/AddMemberByEmail"
_INVITE: Final = "InvitationService/CreateInvitation"
_UPDATE: Final = "MembershipService/UpdateMember"
_MIRROR: Final = "UserService/UpsertUser"


def membership_remedy(facts: Facts, rules: Ruleset, now: float, question: Question) -> Remedy | None:
    """Return the least that could be done about what the subject holds; None: nothing about it would help.

    ``now`` is in Unix seconds. A change that helps in the present state of the place goes before one that helps once
    the place is reinstated or activated.
    """
    at, later = question.at, ""
    if at.key[0] == "platform" and _is_only_unknown(facts, rules, now, question):
        message = "The application must mirror the user (UpsertUser): every active user may do this."
        return Remedy(message=message, method=_MIRROR, warning=UNKNOWN_USER)
    change = None
    for state in (at.state, *states_to_come(at)):
        change = least_change(facts, rules, now, question, state)
        if change is not None:
            later = "" if state is at.state else f" Then: {state_remedy(at, state).message}"
            break
    if change is None:
        return None
    fix = _given(facts, rules, now, question, change)
    if question.subject not in facts.users and fix.change is not None:
        message = f"The application must mirror the user first (UpsertUser). Then: {fix.message}{later}"
        return Remedy(message=message, method=_MIRROR, warning=UNKNOWN_USER)
    warning = ROLE_UNKNOWN if _unknown_role(facts, rules, question) else ""
    return replace(fix, message=fix.message + later, warning=warning)


def _given(facts: Facts, rules: Ruleset, now: float, question: Question, change: Change) -> Remedy:
    """Return how the membership is made or changed, or what must be done before that."""
    place = change.place
    if place.key[0] == "platform":
        return _at_the_platform(change)
    if change.before is not None:
        return _update(facts, rules, now, question, change)
    fix = _add(facts, rules, question, change)
    if place.state is not State.ACTIVE:
        first = state_remedy(place)
        return replace(first, message=f"{first.message} Nobody can be added before that. Then: {fix.message}")
    above = place.organization_above
    row = facts.grants.get(question.subject, {}).get(above) if above else None
    if above is not None and row is not None and not row.is_active:
        first = _update(facts, rules, now, question, Change(above, reactivated(rules.catalog, row), row))
        return replace(first, message=f"{first.message} Nobody deactivated there can be added. Then: {fix.message}")
    return fix


def _at_the_platform(change: Change) -> Remedy:
    """Return the command: roles at the platform are given beside the server, never through it."""
    role = change.grant.role
    message = f"Only a role at the platform allows this, and it counts everywhere: wsauthz platform grant USER {role}."
    return Remedy(message=message, place=change.place, role=role)


def _add(facts: Facts, rules: Ruleset, question: Question, change: Change) -> Remedy:
    """Return how a membership is made: by the id of the user where everybody may name one, else by their address."""
    place, grant = change.place, change.grant
    to, terms_of_it = _where(" to", place, question), f"as {grant.role}{_terms(grant)}"
    along = _organization(facts, rules, question, change)
    fix = Remedy(
        message=f"Add the user{to} {terms_of_it}.{along}",
        method=_ADD,
        place=place,
        role=grant.role,
        permission=", ".join(grant.permissions),
        module=", ".join(sorted(grant.modules or ())),
        asks=(("member", "add", place),),
        change=change,
    )
    if rules.catalog.add_by_id is AddById.ANYBODY:
        return fix
    if place.key[0] != "workspace" or grant.permissions:
        return replace(
            fix, message=f"Add the user{to} by their verified address {terms_of_it}.{along}", method=_BY_EMAIL
        )
    return replace(
        fix,
        message=f"Invite the verified address of the user{to} {terms_of_it}; they have to accept.{along}",
        method=_INVITE,
        asks=(("invitation", "create", place),),
    )


def _update(facts: Facts, rules: Ruleset, now: float, question: Question, change: Change) -> Remedy:
    place, grant, before = change.place, change.grant, change.before or change.grant
    modules, permissions = change.modules_added, change.permissions_added
    doing: dict[str, str] = {}
    """Field of the update -> what is done."""
    if not before.is_active:
        doing["is_active"] = "reactivate the membership"
    if before.expires_at is not None and before.expires_at != grant.expires_at:
        is_over = before.expires_at <= now
        doing["expires_at"] = "give the membership a later expiry" if is_over else "take the expiry away"
    if before.role != grant.role:
        doing["role"] = f"give the user the role {grant.role}"
    if before.modules != grant.modules:
        what = f"add the module {modules[0]} to the membership" if modules else "take the module list away"
        doing["modules"] = what
    if before.permissions != grant.permissions:
        what = f"add the permission {permissions[0]}" if permissions else "take unknown permissions away"
        doing["permissions"] = what
    sentence = " and ".join(doing.values())
    unknown = "" if before.role in rules.catalog.roles else f"This policy has no role {shown(before.role)}. "
    where = _where(" in", place, question)
    said = _terms(grant).lstrip(", ") if "role" in doing else f"role {grant.role}{_terms(grant)}"
    along = _organization(facts, rules, question, change)
    more = "".join(f" Then: add the module {module}." for module in modules[1:])
    return Remedy(
        message=f"{unknown}{sentence[:1].upper()}{sentence[1:]}{where} ({said}).{along}{more}",
        method=_UPDATE,
        place=place,
        role=grant.role if "role" in doing else "",
        permission=", ".join(permissions),
        module=modules[0] if modules else "",
        fields=tuple(doing),
        asks=(("member", "update", place),),
        change=change,
    )


def _where(preposition: str, place: Place, question: Question) -> str:
    """Return where a membership is, unless that is the place which was asked about: a remedy names it as its place."""
    return "" if place is question.at else f"{preposition} {terms.place(place.key)} and the places below it"


def _terms(grant: Grant) -> str:
    """Return what a membership says besides its role."""
    permissions = f" with the permission {', '.join(grant.permissions)}" if grant.permissions else ""
    return f"{permissions}, in {_modules(grant)}"


def _modules(grant: Grant) -> str:
    if not grant.modules:
        return "every module" if grant.modules is None else "no module"
    return f"the module{'s' if len(grant.modules) > 1 else ''} {', '.join(sorted(grant.modules))} only"


def _organization(facts: Facts, rules: Ruleset, question: Question, change: Change) -> str:
    """Return what a change in a workspace brings in its organization, as a sentence of its own."""
    above = change.place.organization_above
    if above is None:
        return ""
    if above not in facts.grants.get(question.subject, {}):
        role = rules.catalog.default_organization_role
        return f" This makes them {role} of its organization, on the terms of their memberships in its workspaces."
    return " Their membership of its organization follows, if it came with this one."


def _is_only_unknown(facts: Facts, rules: Ruleset, now: float, question: Question) -> bool:
    """Tell whether the platform allows it to every user whom the application has mirrored, and this one is not."""
    if question.subject in facts.users:
        return False
    mirrored = copy.copy(facts)
    mirrored.users = SortedDict({question.subject: True})
    return rules_allow(mirrored, rules, now, question, question.at.state)


def _unknown_role(facts: Facts, rules: Ruleset, question: Question) -> bool:
    grants = facts.grants.get(question.subject, {})
    return any(grants[place].role not in rules.catalog.roles for place in question.at.chain if place in grants)
