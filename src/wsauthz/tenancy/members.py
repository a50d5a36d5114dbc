"""Looking at members: memberships with what a member list shows of the users."""

from collections.abc import Sequence
from dataclasses import dataclass

from wsauthz.model.errors import MemberNotFound
from wsauthz.model.memberships import Membership
from wsauthz.model.places import PlaceKey
from wsauthz.store import memberships as membership_rows
from wsauthz.store import users as user_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy.transaction import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A membership, and its user where it is known."""

    membership: Membership
    user_name: str
    user_email: str
    user_image_url: str
    is_owner: bool
    """It is the workspace's primary owner."""


def get(reading: Reading, *, place: PlaceKey, user_id: str) -> Member:
    """Return the member.

    Raises:
        MemberNotFound: there is no live membership.

    """
    membership = membership_rows.find(reading.connection, place, user_id)
    if membership is None:
        raise MemberNotFound
    return with_users(reading, place, [membership])[0]


def list_(
    reading: Reading,
    *,
    place: PlaceKey,
    query: str = "",
    role: str = "",
    is_active: bool | None = None,
    after: str = "",
    limit: int,
) -> tuple[list[Member], bool]:
    """Return up to ``limit`` live members, by user id, after a user id, and whether there are more.

    ``query`` is part of the user's name or email, in any case; ``role`` and ``is_active`` take only those.
    """
    found = membership_rows.page(
        reading.connection, place, query=query.strip(), role=role, is_active=is_active, after=after, limit=limit + 1
    )
    return with_users(reading, place, found[:limit]), len(found) > limit


def with_users(reading: Reading, place: PlaceKey, memberships: Sequence[Membership]) -> list[Member]:
    """Return memberships of one place as members, in their order."""
    users = user_rows.find_many(reading.connection, (membership.user_id for membership in memberships))
    workspace = workspace_rows.find(reading.connection, place[1]) if place[0] == "workspace" else None
    owner = workspace.owner_user_id if workspace else None
    members = []
    for membership in memberships:
        user = users.get(membership.user_id)
        members.append(
            Member(
                membership=membership,
                user_name=user.name if user else "",
                user_email=(user.email or "") if user else "",
                user_image_url=user.image_url if user else "",
                is_owner=membership.user_id == owner,
            )
        )
    return members
