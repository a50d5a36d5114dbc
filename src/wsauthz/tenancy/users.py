"""Users as others may see them."""

from dataclasses import replace

from wsauthz.model.errors import UserNotFound
from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.model.users import User
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import users as user_rows
from wsauthz.tenancy.transaction import Reading


def get(reading: Reading, *, user_id: str) -> User:
    """Return the user, if it is the actor, or if the actor may list members where it is one, or view every user.

    Who sees it as a fellow member is not told its default workspace: that may be another tenant's.

    Raises:
        UserNotFound: there is no such user, or none to be seen by the actor.

    """
    actor = reading.actor
    sees_all = user_id == actor or reading.on_loop(
        lambda facts, rules, now: _may_view(facts, rules, now, "user", actor=actor, place=PLATFORM)
    )
    if not sees_all and not reading.on_loop(lambda facts, rules, now: _shares(facts, rules, now, actor, user_id)):
        raise UserNotFound
    user = user_rows.find(reading.connection, user_id)
    if user is None:
        raise UserNotFound
    return user if sees_all else replace(user, default_workspace_id=None)


def _shares(facts: Facts, rules: Ruleset, now: float, actor: str, user: str) -> bool:
    """Tell whether the user is somewhere where the actor may list members."""
    places = {*facts.grants.get(user, ()), *facts.owned.get(user, ())}
    return any(_may_view(facts, rules, now, "member", actor=actor, place=place.key) for place in places)


def _may_view(facts: Facts, rules: Ruleset, now: float, resource: str, *, actor: str, place: PlaceKey) -> bool:
    return decide(facts, rules, now, subject=actor, place=place, resource=resource, action="view").allowed
