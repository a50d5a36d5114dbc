"""What product.md says is always so, told from the rows of the database alone."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.oracle.plain_state import Policy, place_of
from tests.rpc.walk.pictures import Stored

MOST_DEEP = 16


def broken(found: Stored, policy: Policy) -> list[str]:
    """Return, in words, what is not as it always must be."""
    return [
        *_places(found),
        *_one_live_row(found),
        *_owners(found, policy),
        *_members_of_organizations(found),
        *_nothing_in_deleted_places(found),
        *_slugs(found),
    ]


def _places(found: Stored) -> Iterator[str]:
    workspaces = {row["id"]: row for row in found.live("workspaces")}
    organizations = {row["id"] for row in found.live("organizations")}
    for key, row in workspaces.items():
        if row["organization_id"] is not None and row["organization_id"] not in organizations:
            yield f"{key} is in an organization that is not there"
        parent, depth = row["parent_workspace_id"], 1
        if parent is not None and parent not in workspaces:
            yield f"{key} has a parent that is not there"
        elif parent is not None and workspaces[parent]["organization_id"] != row["organization_id"]:
            yield f"{key} is in another organization than its parent"
        while parent in workspaces:
            depth, parent = depth + 1, workspaces[parent]["parent_workspace_id"]
        if depth > MOST_DEEP:
            yield f"{key} is {depth} deep"
    for user in found.users:
        if user["default_workspace_id"] is not None and user["default_workspace_id"] not in workspaces:
            yield f"the default workspace of {user['id']} is not there"


def _one_live_row(found: Stored) -> Iterator[str]:
    rows = Counter((place_of(row), row["user_id"]) for row in found.live("memberships"))
    yield from (f"{user} has {count} memberships of {place}" for (place, user), count in rows.items() if count > 1)


def _owners(found: Stored, policy: Policy) -> Iterator[str]:
    """Every workspace has a primary owner that is there; among equals there is somebody with an owner's role."""
    known = {row["id"] for row in found.users} | {row["user_id"] for row in found.live("memberships")}
    for row in found.live("workspaces"):
        if row["owner_user_id"] not in known:
            yield f"the owner of {row['id']} is not there"
        if policy.catalog["ownership"].get("multiple", False) and not _has_owner(found, policy, "workspace", row["id"]):
            yield f"{row['id']} has no owner"
    for row in found.live("organizations"):
        if not _has_owner(found, policy, "organization", row["id"]):
            yield f"{row['id']} has no owner"


def _has_owner(found: Stored, policy: Policy, kind: str, identifier: str) -> bool:
    roles = {name for name, role in policy.catalog["roles"].items() if role.get("owner_like")}
    return any(
        row["role"] in roles and row["is_active"] and _lasts(row)
        for row in found.live("memberships")
        if place_of(row) == (kind, identifier)
    )


def _lasts(row: Any) -> bool:
    return row["expires_at"] is None or row["expires_at"].timestamp() > time.time()


def _members_of_organizations(found: Stored) -> Iterator[str]:
    inside = {(row["organization_id"], row["user_id"]) for row in found.live("memberships")}
    roof = {row["id"]: row["organization_id"] for row in found.live("workspaces")}
    for row in found.live("memberships"):
        organization = roof.get(row["workspace_id"])
        if organization is not None and (organization, row["user_id"]) not in inside:
            yield f"{row['user_id']} is in {row['workspace_id']}, but not in its organization"


def _nothing_in_deleted_places(found: Stored) -> Iterator[str]:
    there = {("workspace", row["id"]) for row in found.live("workspaces")}
    there |= {("organization", row["id"]) for row in found.live("organizations")}
    there |= {("platform", "")}
    for row in found.live("memberships"):
        if place_of(row) not in there:
            yield f"{row['user_id']} is in {place_of(row)}, which was deleted"
    for row in found.invitations:
        is_open = row["accepted_at"] is None and row["revoked_at"] is None
        if is_open and ("workspace", row["workspace_id"]) not in there:
            yield f"{row['id']} invites to a deleted workspace"
        if not is_open and row["accepted_at"] is None and row["id"] in found.tokens:
            yield f"{row['id']} was revoked, and its token still counts"
    for row in found.codes:
        if ("workspace", row["workspace_id"]) not in there:
            yield f"{row['workspace_id']} was deleted, and its code is there"


def _slugs(found: Stored) -> Iterator[str]:
    slugs = Counter(row["slug"] for row in found.live("organizations"))
    yield from (f"{count} organizations are called {slug}" for slug, count in slugs.items() if count > 1)
    inside = Counter((row["organization_id"], row["slug"]) for row in found.live("workspaces"))
    for (organization, slug), count in inside.items():
        if organization is not None and count > 1:
            yield f"{count} workspaces of {organization} are called {slug}"
