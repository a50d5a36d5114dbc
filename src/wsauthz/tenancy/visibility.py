"""Whom an actor may know of, and to whom it may give something by a user id (product.md section 3)."""

from wsauthz.model.errors import UserNotFound
from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.policy.catalog import AddById
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import memberships as membership_rows
from wsauthz.tenancy.transaction import Transaction


def check_known(facts: Facts, user: str) -> None:
    """Return if the application has mirrored the user: an id that nobody has is given nothing.

    Raises:
        UserNotFound: it has not, or the account was deleted.

    """
    if user not in facts.users:
        raise UserNotFound


def check_addable(tx: Transaction, place: PlaceKey, user: str) -> None:
    """Return if the actor may add the user to the place by its id.

    Raises:
        UserNotFound: nobody has the id or, as if nobody had it, the catalog lets the actor not add this user by an id.

    """
    # Applications give ids out and may name anybody. A caller that speaks for its user alone, as one with a JWT does,
    # names whom that user may know: for it, ANYBODY means VISIBLE, and this is the place to say so.
    whom = tx.rules.catalog.add_by_id
    is_addable = whom is AddById.ANYBODY or (whom is AddById.VISIBLE and _is_visible(tx, place, user))
    # The last question: otherwise an id that nobody has would be refused sooner than one that is not to be seen.
    check_known(tx.facts, user)
    if not is_addable:
        raise UserNotFound


def sees_everybody(facts: Facts, rules: Ruleset, now: float, actor: str) -> bool:
    """Tell whether the actor may view every user. ``now``: Unix seconds."""
    return _may_view(facts, rules, now, "user", actor=actor, place=PLATFORM)


def shares_a_place(facts: Facts, rules: Ruleset, now: float, *, actor: str, user: str) -> bool:
    """Tell whether the user is somewhere where the actor may list members. ``now``: Unix seconds."""
    places = {*facts.grants.get(user, ()), *facts.owned.get(user, ())}
    return any(_may_view(facts, rules, now, "member", actor=actor, place=place.key) for place in places)


def _is_visible(tx: Transaction, place: PlaceKey, user: str) -> bool:
    """Tell whether the user is the actor, is or was a member here or above, or is somebody the actor may look at.

    Roles at the platform make nobody visible: that is above every place, and its members are no tenant's.
    """
    facts, rules, now, actor = tx.facts, tx.rules, tx.now.timestamp(), tx.actor
    above = [at.key for at in facts.places[place].chain if at.key != PLATFORM]
    return (
        user == actor
        or sees_everybody(facts, rules, now, actor)
        or shares_a_place(facts, rules, now, actor=actor, user=user)
        or membership_rows.had_any(tx.connection, user, above)
    )


def _may_view(facts: Facts, rules: Ruleset, now: float, resource: str, *, actor: str, place: PlaceKey) -> bool:
    return decide(facts, rules, now, subject=actor, place=place, resource=resource, action="view").allowed
