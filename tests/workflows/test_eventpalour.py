"""The workflows of eventpalour's document: organizers, their workspaces and whom they let in."""

import re
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from tests.workflows.product import (
    ALLOWED,
    DENIED,
    INVALID,
    NOT_FOUND,
    OPENED,
    PRECONDITION,
    Person,
    Product,
    why,
)
from wsauthz.store.database import Database
from wsauthz.store.tables import invitations
from wsauthz.v1.workspaces_pb2 import CreateWorkspaceRequest

CODE = r"[0-9A-HJKMNP-TV-Z]{20}"
ID = r"[A-Za-z0-9_-]{16}"
WEEK = 7 * 24 * 3600

EVENTS = [f"event {action}" for action in ("view", "create", "update", "delete")]
CONTENT = [
    f"{kind} {action}"
    for kind in ("category", "ticket_type", "content")
    for action in ("view", "create", "update", "delete")
]
MANAGING = [
    "workspace update",
    *(f"member {action}" for action in ("add", "view", "update", "remove")),
    *(f"invitation {action}" for action in ("create", "view", "revoke")),
    *(f"invite_code {action}" for action in ("view", "rotate")),
]
VIEWING = ["workspace view", "event view", "category view", "ticket_type view", "content view", "activity participate"]
EVERYTHING = sorted({*EVENTS, *CONTENT, *MANAGING, *VIEWING})


def create(owner: Person, name: str = "Tech Conference Co") -> str:
    """Create a workspace and return its id."""
    made: str = owner.does("CreateWorkspace", name=name).workspace.id
    return made


def join(product: Product, name: str, by: Person, workspace: str, role: str = "") -> Person:
    """Sign somebody up who joins by the invite code, and have it promoted."""
    person = product.person(name)
    person.does("JoinByCode", code=by.does("GetInviteCode", workspace_id=workspace).code)
    if role:
        promote(by, workspace, person, role)
    return person


def promote(by: Person, workspace: str, person: Person, role: str) -> str:
    """Give a member another role and return the one it has then."""
    answer = by.does(
        "UpdateMember", workspace_id=workspace, user_id=person.id, role=role, update_mask={"paths": ["role"]}
    )
    found: str = answer.membership.role
    return found


# --- Creating a Workspace ---------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-003", "REQ-004", "REQ-005", "REQ-006", "REQ-007", "REQ-008", "REQ-012", "REQ-027", "REQ-028")
def test_an_organizer_signs_up_and_creates_the_first_workspace(eventpalour: Product) -> None:
    olga = eventpalour.person("Olga")
    assert olga.does("CheckFirstWorkspace").is_first_workspace
    home = olga.does("ListUserWorkspaces")
    assert (list(home.workspaces), home.can_create_workspace) == ([], True)

    began = datetime.now(UTC) - timedelta(minutes=1)
    created = olga.does(
        "CreateWorkspace",
        name="Tech Conference Co",
        description="Annual technology conferences",
        image_url="https://cdn.example/logo.png",
    )
    assert created.is_first_workspace
    workspace = created.workspace
    assert re.fullmatch(f"workspace_{ID}", workspace.id)
    assert workspace.name == "Tech Conference Co"
    assert workspace.description == "Annual technology conferences"
    assert workspace.image_url == "https://cdn.example/logo.png"
    assert began < workspace.created_at.ToDatetime(tzinfo=UTC) == workspace.updated_at.ToDatetime(tzinfo=UTC)
    assert not {"id", "workspace_id", "owner_user_id", "invite_code"} & set(
        CreateWorkspaceRequest.DESCRIPTOR.fields_by_name
    )

    shown = olga.does("GetWorkspace", workspace_id=workspace.id)
    assert shown.workspace == workspace
    assert (shown.owner.id, shown.owner.name, shown.owner.email) == (olga.id, "Olga", olga.email)
    (olga_herself,) = olga.does("ListMembers", workspace_id=workspace.id).members
    assert (olga_herself.membership.role, olga_herself.is_owner) == ("admin", True)
    code = olga.does("GetInviteCode", workspace_id=workspace.id)
    assert code.is_enabled
    assert re.fullmatch(CODE, code.code)

    assert why(olga.cannot("CreateWorkspace", name="  ")) == (INVALID, "INVALID_ARGUMENT")
    assert olga.cannot("CreateWorkspace", name="n" * 256).fields == ("name",)
    assert eventpalour.app.cannot("CreateWorkspace", name="Nobody's").reason == "ACTOR_REQUIRED"
    second = olga.does("CreateWorkspace", name="Tech Conference Co")
    assert not second.is_first_workspace
    assert second.workspace.id != workspace.id
    assert olga.does("GetInviteCode", workspace_id=second.workspace.id).code != code.code


@pytest.mark.req("REQ-009", "REQ-010", "REQ-011", "REQ-013")
def test_an_admin_fills_in_the_rest_of_the_profile(eventpalour: Product) -> None:
    olga = eventpalour.person("Olga")
    workspace = create(olga)
    profile = {
        "website": "https://conf.example",
        "phone": "+44 20 7946 0000",
        **{
            f"social_{site}": f"https://{site}.example/conf"
            for site in ("x", "facebook", "linkedin", "instagram", "github")
        },
    }
    before = olga.does("GetWorkspace", workspace_id=workspace).workspace
    saved = olga.does("UpdateWorkspace", workspace_id=workspace, workspace=profile, update_mask={"paths": profile})
    after = olga.does("GetWorkspace", workspace_id=workspace).workspace
    assert after == saved.workspace
    assert {name: getattr(after, name) for name in profile} == profile
    assert (after.name, after.created_at) == (before.name, before.created_at)
    assert after.updated_at.ToDatetime() > before.updated_at.ToDatetime()

    cleared = olga.does("UpdateWorkspace", workspace_id=workspace, workspace={}, update_mask={"paths": ["social_x"]})
    assert (cleared.workspace.social_x, cleared.workspace.social_github) == ("", "https://github.example/conf")
    for field, most in {"phone": 50, "website": 255, "social_linkedin": 255}.items():
        long = {"workspace": {field: "5" * (most + 1)}, "update_mask": {"paths": [field]}}
        refused = olga.cannot("UpdateWorkspace", workspace_id=workspace, **long)
        assert (refused.code, refused.fields) == (INVALID, (field,))


# --- Inviting Team Members --------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-019", "REQ-020", "REQ-026", "REQ-029", "REQ-030", "REQ-031", "REQ-032", "REQ-034")
def test_an_admin_invites_somebody_who_accepts_and_becomes_a_member(eventpalour: Product) -> None:
    olga, milo, tess = (eventpalour.person(name) for name in ("Olga", "Milo", "Tess"))
    workspace = create(olga)

    # 1. Send Invitation: an admin, with the target email and the desired role.
    sent = olga.does("CreateInvitation", workspace_id=workspace, email=milo.email, role="moderator")
    invitation = sent.invitation
    assert re.fullmatch(f"invitation_{ID}", invitation.id)
    assert (invitation.workspace_id, invitation.email, invitation.role) == (workspace, milo.email, "moderator")
    assert (invitation.invited_by, invitation.accepted) == (olga.id, False)
    assert invitation.expires_at.ToSeconds() - invitation.created_at.ToSeconds() == WEEK

    # 2. Email Notification: the token comes once, for the link.
    assert len(sent.token) == 64
    (pending,) = olga.does("ListInvitations", workspace_id=workspace, email=milo.email).invitations
    assert pending == invitation
    assert sent.token not in str(pending)

    # 3. Accept Invitation: the recipient sees where to, and nobody else gets in with the link.
    seen = milo.does("GetInvitation", token=sent.token)
    assert (seen.workspace.name, seen.inviter_name, seen.invitation.role) == ("Tech Conference Co", "Olga", "moderator")
    assert seen.is_for_actor
    assert eventpalour.check(milo, workspace, "workspace view") == "NOT_A_MEMBER"
    assert not tess.does("GetInvitation", token=sent.token).is_for_actor
    assert why(tess.cannot("AcceptInvitation", token=sent.token)) == (DENIED, "INVITATION_EMAIL_MISMATCH")
    assert why(milo.cannot("AcceptInvitation", token="0" * 64)) == (NOT_FOUND, "INVITATION_NOT_FOUND")

    # 4. Join Workspace: a record with the specified role.
    joined = milo.does("AcceptInvitation", token=sent.token)
    assert re.fullmatch(f"member_{ID}", joined.membership.id)
    assert (joined.membership.user_id, joined.membership.workspace_id) == (milo.id, workspace)
    assert (joined.membership.role, joined.already_member) == ("moderator", False)
    assert eventpalour.switcher(milo) == {"Tech Conference Co": "moderator"}
    (closed,) = olga.does("ListInvitations", workspace_id=workspace, include_closed=True).invitations
    assert (closed.accepted, closed.accepted_by) == (True, milo.id)
    assert why(milo.cannot("AcceptInvitation", token=sent.token)) == (PRECONDITION, "INVITATION_USED")


@pytest.mark.req("REQ-015", "REQ-017", "REQ-021", "REQ-022", "REQ-029", "REQ-037")
def test_an_invitation_is_an_admins_to_send_ends_by_itself_and_is_replaced_by_the_next(eventpalour: Product) -> None:
    olga, zoe = eventpalour.person("Olga"), eventpalour.person("Zoe")
    workspace = create(olga)
    milo, tess = join(eventpalour, "Milo", olga, workspace, "moderator"), join(eventpalour, "Tess", olga, workspace)
    invite = {"workspace_id": workspace, "email": zoe.email}
    for person in (milo, tess):
        assert why(person.cannot("CreateInvitation", **invite)) == (DENIED, "ROLE_INSUFFICIENT")
    assert why(zoe.cannot("CreateInvitation", **invite)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    for role in ("owner", "viewer", "Admin"):
        assert why(olga.cannot("CreateInvitation", **invite, role=role)) == (INVALID, "UNKNOWN_ROLE")
    assert olga.cannot("CreateInvitation", workspace_id=workspace, email=tess.email).reason == "ALREADY_MEMBER"

    first, second = olga.does("CreateInvitation", **invite), olga.does("CreateInvitation", **invite)
    assert second.invitation.role == "member"
    assert zoe.cannot("AcceptInvitation", token=first.token).reason == "INVITATION_NOT_FOUND"
    (pending,) = olga.does("ListInvitations", workspace_id=workspace).invitations
    assert pending.id == second.invitation.id

    let_its_time_be_over(eventpalour, second.invitation.id)
    for method in ("GetInvitation", "AcceptInvitation"):
        assert why(zoe.cannot(method, token=second.token)) == (PRECONDITION, "INVITATION_EXPIRED")
    third = olga.does("CreateInvitation", **invite)
    olga.does("RevokeInvitation", workspace_id=workspace, invitation_id=third.invitation.id)
    assert zoe.cannot("AcceptInvitation", token=third.token).reason == "INVITATION_NOT_FOUND"
    assert eventpalour.switcher(zoe) == {}


def let_its_time_be_over(product: Product, invitation: str) -> None:
    over = {"expires_at": datetime.now(UTC) - timedelta(seconds=1)}
    url = product.tenants.server.database_url
    with closing(Database(url, wait_seconds=10)) as database, database.write() as connection:
        connection.execute(update(invitations).where(invitations.c.id == invitation).values(over))


# --- Joining by invite code, and rotating it --------------------------------------------------------------------------


@pytest.mark.req("REQ-007", "REQ-014", "REQ-026", "REQ-035", "REQ-036", "REQ-037")
def test_people_join_by_the_invite_code_until_it_is_rotated(eventpalour: Product) -> None:
    olga, tess, zoe = (eventpalour.person(name) for name in ("Olga", "Tess", "Zoe"))
    workspace = create(olga)
    code = olga.does("GetInviteCode", workspace_id=workspace).code

    joined = tess.does("JoinByCode", code=f"  {code}\n").joined
    assert (joined.workspace.name, joined.membership.role) == ("Tech Conference Co", "member")
    assert tess.does("JoinByCode", code=code).joined.already_member
    assert eventpalour.members(olga, workspace) == {"Olga": "admin", "Tess": "member"}

    # The code is sensitive: neither is it shown to everybody, nor do names that can be guessed do instead.
    for method in ("GetInviteCode", "RotateInviteCode"):
        assert why(tess.cannot(method, workspace_id=workspace)) == (DENIED, "ROLE_INSUFFICIENT")
        assert why(zoe.cannot(method, workspace_id=workspace)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert code not in str(tess.does("GetWorkspace", workspace_id=workspace))
    for guess in (workspace, "tech-conference-co", f"tech-conference-co/{workspace}", code[:-1]):
        assert why(zoe.cannot("JoinByCode", code=guess)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert why(zoe.cannot("JoinByCode", code=" ")) == (INVALID, "INVALID_CODE")

    # Rotate codes if exposed: the old one is dead at once, members stay.
    rotated = olga.does("RotateInviteCode", workspace_id=workspace)
    assert re.fullmatch(CODE, rotated.code)
    assert rotated.code != code
    assert why(zoe.cannot("JoinByCode", code=code)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert eventpalour.check(tess, workspace, "event view") == ALLOWED
    olga.does("RotateInviteCode", workspace_id=workspace, disable=True)
    assert zoe.cannot("JoinByCode", code=rotated.code).reason == "WORKSPACE_NOT_FOUND"
    assert olga.does("GetInviteCode", workspace_id=workspace).code == ""
    newest = olga.does("RotateInviteCode", workspace_id=workspace).code
    assert zoe.does("JoinByCode", code=newest).joined.membership.role == "member"


# --- Roles: starting as a member, and being promoted ------------------------------------------------------------------


@pytest.mark.req("REQ-014", "REQ-015", "REQ-016", "REQ-017", "REQ-018", "REQ-025", "REQ-037", "REQ-145")
def test_a_member_is_promoted_to_moderator_and_to_admin(eventpalour: Product) -> None:
    olga = eventpalour.person("Olga")
    workspace = create(olga)
    tess, zoe = (join(eventpalour, name, olga, workspace) for name in ("Tess", "Zoe"))

    assert eventpalour.allowed(tess, workspace, *EVERYTHING) == sorted(VIEWING)
    assert eventpalour.check(tess, workspace, "event create") == "ROLE_INSUFFICIENT"
    update = {"workspace_id": workspace, "update_mask": {"paths": ["role"]}}
    assert why(tess.cannot("UpdateMember", user_id=tess.id, role="admin", **update)) == (DENIED, "ROLE_INSUFFICIENT")

    assert promote(olga, workspace, tess, "moderator") == "moderator"
    assert eventpalour.allowed(tess, workspace, *EVERYTHING) == sorted({*VIEWING, *EVENTS, *CONTENT})
    assert why(tess.cannot("UpdateMember", user_id=zoe.id, role="member", **update)) == (DENIED, "ROLE_INSUFFICIENT")
    renaming = {"workspace_id": workspace, "workspace": {"name": "Mine"}, "update_mask": {"paths": ["name"]}}
    assert why(tess.cannot("UpdateWorkspace", **renaming)) == (DENIED, "ROLE_INSUFFICIENT")

    assert promote(olga, workspace, tess, "admin") == "admin"
    assert eventpalour.allowed(tess, workspace, *EVERYTHING) == EVERYTHING
    assert tess.does("UpdateWorkspace", **renaming).workspace.name == "Mine"
    assert promote(tess, workspace, zoe, "admin") == "admin"
    assert eventpalour.members(tess, workspace) == {"Olga": "admin", "Tess": "admin", "Zoe": "admin"}
    # Several admins, one owner: that is nothing to be promoted to, and nobody demotes or removes it.
    assert why(tess.cannot("UpdateMember", user_id=zoe.id, role="owner", **update)) == (INVALID, "UNKNOWN_ROLE")
    primary = (PRECONDITION, "PRIMARY_OWNER")
    assert why(tess.cannot("UpdateMember", user_id=olga.id, role="member", **update)) == primary
    assert why(tess.cannot("RemoveMember", workspace_id=workspace, user_id=olga.id)) == primary

    tess.does("RemoveMember", workspace_id=workspace, user_id=zoe.id)
    assert eventpalour.check(zoe, workspace, "event view") == "NOT_A_MEMBER"
    code = olga.does("GetInviteCode", workspace_id=workspace).code
    assert why(zoe.cannot("JoinByCode", code=code)) == (DENIED, "REMOVED")


@pytest.mark.req("REQ-025")
def test_the_one_owner_hands_over_to_another_member(eventpalour: Product) -> None:
    olga = eventpalour.person("Olga")
    workspace = create(olga)
    milo, tess = join(eventpalour, "Milo", olga, workspace, "moderator"), join(eventpalour, "Tess", olga, workspace)
    assert why(olga.cannot("Leave", workspace_id=workspace)) == (PRECONDITION, "PRIMARY_OWNER")
    candidates = olga.does("ListOwnerCandidates", workspace_id=workspace).members
    assert {each.user_name for each in candidates} == {"Milo", "Tess"}
    for person in (milo, tess):
        assert person.cannot("TransferOwnership", workspace_id=workspace, user_id=person.id).code == DENIED

    done = olga.does("TransferOwnership", workspace_id=workspace, user_id=milo.id)
    assert (done.workspace.owner_user_id, done.membership.role) == (milo.id, "admin")
    assert eventpalour.members(milo, workspace) == {"Milo": "admin", "Olga": "admin", "Tess": "member"}
    assert olga.cannot("DeleteWorkspace", workspace_id=workspace).code == DENIED
    olga.does("Leave", workspace_id=workspace)
    assert eventpalour.members(milo, workspace) == {"Milo": "admin", "Tess": "member"}


# --- Managing Multiple Workspaces -------------------------------------------------------------------------------------


@pytest.mark.req("REQ-001", "REQ-024", "REQ-033", "REQ-071")
def test_one_user_owns_a_workspace_is_admin_in_another_and_member_in_a_third(eventpalour: Product) -> None:
    olga, other = eventpalour.person("Olga"), eventpalour.person("Other")
    conference = create(olga)
    meetup, hub = create(other, "DevOps Meetup Group"), create(other, "Community Events Hub")
    invitation = other.does("CreateInvitation", workspace_id=meetup, email=olga.email, role="admin")
    olga.does("AcceptInvitation", token=invitation.token)
    olga.does("JoinByCode", code=other.does("GetInviteCode", workspace_id=hub).code)

    roles = {"Tech Conference Co": "owner", "DevOps Meetup Group": "admin", "Community Events Hub": "member"}
    assert eventpalour.switcher(olga) == roles
    owned = [item.name for item in olga.does("ListUserWorkspaces").workspaces if item.is_owner]
    assert owned == ["Tech Conference Co"]
    asked = ("workspace delete", "member add", "event view")
    assert eventpalour.allowed(olga, conference, *asked) == list(asked)
    assert eventpalour.allowed(olga, meetup, *asked) == ["member add", "event view"]
    assert eventpalour.allowed(olga, hub, *asked) == ["event view"]

    assert olga.does("ResolveCurrentWorkspace").workspace_id == ""
    for workspace, name in ((hub, "Community Events Hub"), (meetup, "DevOps Meetup Group")):
        switched = olga.does("SwitchWorkspace", workspace_id=workspace)
        assert (switched.workspace.workspace.name, switched.access.role) == (name, roles[name])
        assert olga.does("ResolveCurrentWorkspace").workspace_id == workspace
    assert why(other.cannot("SwitchWorkspace", workspace_id=conference)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")


# --- Multi-Tenancy Architecture ---------------------------------------------------------------------------------------


@pytest.mark.req("REQ-001", "REQ-002", "REQ-023", "REQ-145")
def test_everything_is_asked_in_the_context_of_a_workspace(eventpalour: Product) -> None:
    olga, other, gone = (eventpalour.person(name) for name in ("Olga", "Other", "Gone"))
    workspace = create(olga)
    foreign = create(other, "Community Events Hub")
    things = ["event/42 update", "category/7 delete", "ticket_type/vip create", "content/home update"]
    assert eventpalour.allowed(olga, workspace, *things) == things
    assert eventpalour.allowed(other, workspace, *things) == []
    assert eventpalour.check(other, workspace, "event/42 view") == "NOT_A_MEMBER"
    assert eventpalour.check(olga, "", "event view") == "WORKSPACE_ID_MISSING"
    assert eventpalour.check(olga, "workspace_unknown", "event view") == "WORKSPACE_NOT_FOUND"
    assert why(other.cannot("GetWorkspace", workspace_id=workspace)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert other.cannot("GetWorkspace", workspace_id=workspace) == other.cannot("GetWorkspace", workspace_id="unknown")
    assert why(olga.cannot("GetWorkspace", workspace_id=" ")) == (INVALID, "INVALID_ARGUMENT")
    typo = {"subject": olga.id, "workspace_id": workspace, "resource": "evnt", "action": "view"}
    assert why(eventpalour.app.cannot("Check", **typo)) == (INVALID, "UNKNOWN_RESOURCE")

    assert eventpalour.page(olga, workspace) == OPENED
    assert eventpalour.page(olga, workspace, required_module="ticketing") == OPENED
    assert eventpalour.page(olga, foreign) == "403 Permission denied"
    assert eventpalour.page(olga, "") == "400 No workspace was named"
    assert eventpalour.check(olga, workspace, "workspace create_child") == "ROLE_INSUFFICIENT"
    eventpalour.operator.does("SuspendWorkspace", workspace_id=workspace, reason="unpaid")
    assert eventpalour.allowed(olga, workspace, *things) == []
    assert eventpalour.check(olga, workspace, "event view") == "WORKSPACE_SUSPENDED"
    assert olga.does("GetWorkspace", workspace_id=workspace).workspace.suspended_reason == "unpaid"
    assert why(olga.cannot("ReinstateWorkspace", workspace_id=workspace)) == (DENIED, "ROLE_INSUFFICIENT")
    eventpalour.operator.does("ReinstateWorkspace", workspace_id=workspace)
    assert eventpalour.allowed(olga, workspace, *things) == things

    gone.does("JoinByCode", code=olga.does("GetInviteCode", workspace_id=workspace).code)
    eventpalour.app.does("UpsertUser", user_id=gone.id, is_active=False)
    assert eventpalour.check(gone, workspace, "event view") == "USER_INACTIVE"


# --- Database constraints: what goes with what ------------------------------------------------------------------------


@pytest.mark.req("REQ-039")
def test_deleting_a_workspace_takes_its_members_invitations_and_code_along(eventpalour: Product) -> None:
    olga, zoe = eventpalour.person("Olga"), eventpalour.person("Zoe")
    workspace = create(olga)
    code = olga.does("GetInviteCode", workspace_id=workspace).code
    tess = join(eventpalour, "Tess", olga, workspace, "admin")
    tess.does("SwitchWorkspace", workspace_id=workspace)
    token = olga.does("CreateInvitation", workspace_id=workspace, email=zoe.email).token
    assert why(tess.cannot("DeleteWorkspace", workspace_id=workspace)) == (DENIED, "ROLE_INSUFFICIENT")

    assert olga.does("DeleteWorkspace", workspace_id=workspace).deleted_workspaces == 1
    for person in (olga, tess):
        assert why(person.cannot("GetWorkspace", workspace_id=workspace)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
        assert eventpalour.switcher(person) == {}
        assert person.does("CheckFirstWorkspace").is_first_workspace
        assert eventpalour.check(person, workspace, "event view") == "WORKSPACE_NOT_FOUND"
    assert tess.does("ResolveCurrentWorkspace").workspace_id == ""
    assert zoe.cannot("AcceptInvitation", token=token).reason == "INVITATION_NOT_FOUND"
    assert zoe.cannot("JoinByCode", code=code).reason == "WORKSPACE_NOT_FOUND"


@pytest.mark.req("REQ-038", "REQ-039", "REQ-064")
def test_deleting_the_owners_account_deletes_the_workspace(eventpalour: Product) -> None:
    olga = eventpalour.person("Olga")
    workspace = create(olga)
    tess = join(eventpalour, "Tess", olga, workspace, "admin")
    hub = create(tess, "Community Events Hub")
    olga.does("JoinByCode", code=tess.does("GetInviteCode", workspace_id=hub).code)
    assert tess.cannot("DeleteAccount", user_id=olga.id).code == DENIED

    gone = olga.does("DeleteAccount")
    assert (gone.deleted, gone.deleted_workspaces) == (True, 1)
    assert why(tess.cannot("GetWorkspace", workspace_id=workspace)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert eventpalour.switcher(tess) == {"Community Events Hub": "owner"}
    assert eventpalour.members(tess, hub) == {"Tess": "admin"}
    assert eventpalour.check(olga, hub, "event view") == "NOT_A_MEMBER"
    again = olga.does("DeleteAccount")
    assert (again.deleted, again.revision) == (False, gone.revision)
