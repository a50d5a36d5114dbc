"""Users as others may see them."""

from dataclasses import replace

from wsauthz.model.errors import UserNotFound
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import users as user_rows
from wsauthz.tenancy import visibility
from wsauthz.tenancy.profiles import Profile, profile
from wsauthz.tenancy.transaction import Reading


def get(reading: Reading, *, user_id: str) -> Profile:
    """Return a profile, if it is the actor's, or if the actor may list members where its user is, or view every user.

    Who sees it as a fellow member is not told its default workspace: that may be another tenant's.

    Raises:
        UserNotFound: there is no such user, or none to be seen by the actor.

    """
    actor = reading.actor

    def look(facts: Facts, rules: Ruleset, now: float) -> tuple[bool, bool]:
        sees_all = user_id == actor or visibility.sees_everybody(facts, rules, now, actor)
        return sees_all, sees_all or visibility.shares_a_place(facts, rules, now, actor=actor, user=user_id)

    sees_all, sees = reading.on_loop(look)
    if not sees:
        raise UserNotFound
    user = user_rows.find(reading.connection, user_id)
    if user is None:
        raise UserNotFound
    if not sees_all:
        return Profile(user=replace(user, default_workspace_id=None), lost_default_workspace=False)
    return reading.on_loop(lambda facts, rules, now: profile(facts, rules, now, user))
