"""The workflows of oneglanse's document: organizations, their workspaces, and everything that is set up in them."""

import re

import pytest

from tests.workflows.product import (
    ALLOWED,
    DENIED,
    EXISTS,
    INVALID,
    NOT_FOUND,
    OPENED,
    PRECONDITION,
    Person,
    Product,
    why,
)
from wsauthz.v1 import memberships_pb2, places_pb2

PROVIDERS = ["chatgpt", "claude", "perplexity", "gemini", "ai-overview"]
NO_ACCESS = "403 User does not have access to this workspace."


class Tenant:
    """An organization that a person has created with a workspace, "Marketing Team", and a second one, "Research"."""

    def __init__(self, product: Product, owner: Person) -> None:
        created = owner.does("CreateWorkspace", name="Marketing Team", new_organization={"name": "Acme Corp"})
        self.owner = owner
        self.id: str = created.organization.id
        self.slug: str = created.organization.slug
        self.marketing: str = created.workspace.id
        self.research: str = owner.does("CreateWorkspace", name="Research", organization_id=self.id).workspace.id
        self.product = product

    def joined_by(self, name: str, role: str = "", workspace: str = "") -> Person:
        """Sign somebody up who joins, by default the first workspace, and is promoted if a role is given."""
        workspace = workspace or self.marketing
        person = self.product.person(name)
        person.does("JoinByCode", code=workspace)
        if role:
            promote(self.owner, workspace, person, role)
        return person


@pytest.fixture
def acme(oneglanse: Product) -> Tenant:
    """Return an organization of two workspaces, whose only owner is called Ines."""
    return Tenant(oneglanse, oneglanse.person("Ines"))


def promote(by: Person, workspace: str, person: Person, role: str) -> str:
    """Give a member another role and return the one it has then."""
    mask = {"paths": ["role"]}
    answer = by.does("UpdateMember", workspace_id=workspace, user_id=person.id, role=role, update_mask=mask)
    found: str = answer.membership.role
    return found


# --- createWorkspaceForTenant, addWorkspaceToExistingOrg, checkIsFirstWorkspace ---------------------------------------


@pytest.mark.req("REQ-003", "REQ-040", "REQ-041", "REQ-042", "REQ-043", "REQ-054", "REQ-069", "REQ-086")
def test_a_workspace_is_created_with_a_new_organization_or_in_ones_own(oneglanse: Product) -> None:
    ines, omar = oneglanse.person("Ines"), oneglanse.person("Omar")
    assert ines.does("CheckFirstWorkspace").is_first_workspace
    organization = {"name": "Acme Corp"}
    created = ines.does("CreateWorkspace", name="Marketing Team", domain="acme.example", new_organization=organization)
    assert created.is_first_workspace
    assert (created.organization.name, created.organization.slug[:9]) == ("Acme Corp", "acme-corp")
    workspace = created.workspace
    assert re.fullmatch("workspace_[A-Za-z0-9_-]{16}", workspace.id)
    assert (workspace.name, workspace.slug, workspace.domain) == ("Marketing Team", "marketing-team", "acme.example")
    assert workspace.organization_id == created.organization.id
    assert not workspace.HasField("schedule")
    providers = ines.does("GetProviders", workspace_id=workspace.id)
    assert list(providers.enabled_providers) == [each.name for each in providers.available_providers] == PROVIDERS
    assert workspace.HasField("created_at")

    # The creator is an owner, of the organization, too.
    assert ines.does("GetMember", workspace_id=workspace.id, user_id=ines.id).member.membership.role == "owner"
    assert ines.does("GetMember", organization_id=workspace.organization_id, user_id=ines.id).member.is_owner is False
    (mine,) = ines.does("ListUserOrganizations").organizations
    assert (mine.organization.id, mine.role) == (workspace.organization_id, "owner")

    # Another one in the existing organization: for its members, not for others, whether it exists or not.
    research = {"name": "Research", "organization_id": workspace.organization_id}
    second = ines.does("CreateWorkspace", **research)
    assert (second.is_first_workspace, second.workspace.slug) == (False, "research")
    refused = omar.cannot("CreateWorkspace", **research)
    assert why(refused) == (PRECONDITION, "NOT_ORG_MEMBER")
    assert refused.kind == "ValidationError"
    assert omar.cannot("CreateWorkspace", name="Research", organization_id="organization_unknown") == refused
    assert omar.does("CheckFirstWorkspace").is_first_workspace
    omar.does("JoinByCode", code=workspace.id)
    third = omar.does("CreateWorkspace", **research)
    assert third.workspace.slug == "research-2"
    assert oneglanse.members(omar, third.workspace.id) == {"Omar": "owner"}
    taken = omar.cannot("CreateWorkspace", **research, slug="research")
    assert why(taken) == (EXISTS, "SLUG_TAKEN")
    assert why(ines.cannot("CreateWorkspace", **{**research, "name": ""})) == (INVALID, "INVALID_ARGUMENT")


# --- Workspace Queries ------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-044", "REQ-045", "REQ-046", "REQ-047", "REQ-048")
def test_members_find_their_workspaces_and_each_other(oneglanse: Product, acme: Tenant) -> None:
    ines, omar, eve = acme.owner, acme.joined_by("Omar"), oneglanse.person("Eve")

    # getWorkspaceById
    assert omar.does("GetWorkspace", workspace_id=acme.marketing).workspace.name == "Marketing Team"
    for blank in ("", " "):
        refused = omar.cannot("GetWorkspace", workspace_id=blank)
        assert (refused.code, refused.kind, refused.fields) == (INVALID, "ValidationError", ("workspace_id",))
    refused = omar.cannot("GetWorkspace", workspace_id="workspace_unknown")
    assert (refused.code, refused.kind) == (NOT_FOUND, "NotFoundError")
    assert eve.cannot("GetWorkspace", workspace_id=acme.marketing) == refused

    # getWorkspacesForUser, getAllWorkspacesForUser
    other = Tenant(oneglanse, omar)
    listed = omar.does("ListOrganizationWorkspaces", organization_id=acme.id).workspaces
    assert [each.name for each in listed] == ["Marketing Team"]
    listed = ines.does("ListOrganizationWorkspaces", organization_id=acme.id).workspaces
    assert {each.name for each in listed} == {"Marketing Team", "Research"}
    groups = {group.organization.id: group for group in omar.does("ListAllUserWorkspaces").groups}
    assert (groups[acme.id].organization.name, groups[acme.id].organization.slug) == ("Acme Corp", acme.slug)
    found = {key: {each.name: each.role for each in group.workspaces} for key, group in groups.items()}
    assert found == {
        acme.id: {"Marketing Team": "member"},
        other.id: {"Marketing Team": "owner", "Research": "owner"},
    }
    assert not eve.does("ListAllUserWorkspaces").groups

    # getWorkspaceMembersWithUsers
    oneglanse.app.does("UpsertUser", user_id=omar.id, image_url="https://cdn.example/omar.png")
    members = {
        member.membership.user_id: member for member in omar.does("ListMembers", workspace_id=acme.marketing).members
    }
    assert {member.user_name: member.membership.role for member in members.values()} == {
        "Ines": "owner",
        "Omar": "member",
    }
    row = members[omar.id]
    assert (row.user_email, row.user_image_url) == (omar.email, "https://cdn.example/omar.png")
    assert row.membership.id.startswith("member_")
    assert row.membership.HasField("joined_at")

    # getWorkspaceJoinInfo
    info = omar.does("GetJoinInfo", workspace_id=acme.marketing)
    assert (info.organization_code, info.workspace_code) == (acme.slug, acme.marketing)
    assert (info.organization.name, info.workspace.name) == ("Acme Corp", "Marketing Team")
    assert list(info.join_methods) == ["invite_code", "workspace_id", "organization_workspace", "organization"]
    assert why(eve.cannot("GetJoinInfo", workspace_id=acme.marketing)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")

    # Deleted ones are found by nobody, their members are free again.
    ines.does("DeleteWorkspace", workspace_id=acme.marketing)
    assert omar.cannot("GetWorkspace", workspace_id=acme.marketing) == refused
    assert acme.id not in {group.organization.id for group in omar.does("ListAllUserWorkspaces").groups}


# --- Member Management ------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-049", "REQ-050", "REQ-051", "REQ-052", "REQ-054")
def test_owners_add_and_remove_members_but_never_the_last_owner(oneglanse: Product, acme: Tenant) -> None:
    ines, omar, lena = acme.owner, oneglanse.person("Omar"), oneglanse.person("Lena")
    place = {"workspace_id": acme.marketing}

    # addMemberToWorkspace
    added = ines.does("AddMember", **place, user_id=omar.id)
    assert added.membership.role == "member"
    refused = ines.cannot("AddMember", **place, user_id=omar.id, role="owner")
    assert (why(refused), refused.kind) == ((EXISTS, "ALREADY_MEMBER"), "ValidationError")
    assert why(omar.cannot("AddMember", **place, user_id=lena.id)) == (DENIED, "ROLE_INSUFFICIENT")
    assert why(ines.cannot("AddMember", **place, user_id=lena.id, role="admin")) == (INVALID, "UNKNOWN_ROLE")
    in_organization = ines.does("GetMember", organization_id=acme.id, user_id=omar.id).member.membership
    assert in_organization.role == "member"

    # removeMemberFromWorkspace: not found, then the last owner.
    for person in (lena, oneglanse.person("Eve")):
        refused = ines.cannot("RemoveMember", **place, user_id=person.id)
        assert (why(refused), refused.kind) == ((NOT_FOUND, "MEMBER_NOT_FOUND"), "NotFoundError")
    assert why(omar.cannot("RemoveMember", **place, user_id=ines.id)) == (DENIED, "ROLE_INSUFFICIENT")
    assert why(ines.cannot("RemoveMember", **place, user_id=ines.id)) == (PRECONDITION, "CANNOT_REMOVE_SELF")
    last = (PRECONDITION, "LAST_OWNER")
    assert why(ines.cannot("Leave", **place)) == last
    demotion = {"user_id": ines.id, "role": "member", "update_mask": {"paths": ["role"]}}
    assert why(ines.cannot("UpdateMember", **place, **demotion)) == last
    refused = oneglanse.operator.cannot("RemoveMember", **place, user_id=ines.id)
    assert (why(refused), refused.kind) == (last, "ValidationError")

    # Of two owners one may go; what is left is the last again.
    assert promote(ines, acme.marketing, omar, "owner") == "owner"
    omar.does("RemoveMember", **place, user_id=ines.id)
    assert oneglanse.members(omar, acme.marketing) == {"Omar": "owner"}
    assert omar.does("GetWorkspace", **place).workspace.owner_user_id == omar.id
    assert why(omar.cannot("Leave", **place)) == last

    # Removing keeps the row, so adding again makes a new one; the organization was never left.
    again = omar.does("AddMember", **place, user_id=ines.id, role="member")
    assert again.membership.id != added.membership.id
    assert oneglanse.members(omar, acme.marketing) == {"Ines": "member", "Omar": "owner"}


@pytest.mark.req("REQ-053", "REQ-054")
def test_adding_by_email_has_three_outcomes(oneglanse: Product, acme: Tenant) -> None:
    ines, lena, eve = acme.owner, oneglanse.person("Lena"), oneglanse.person("Eve", verified=False)
    place = {"workspace_id": acme.marketing}
    outcome = memberships_pb2.AddMemberOutcome

    added = ines.does("AddMemberByEmail", **place, email=lena.email.upper())
    assert added.outcome == outcome.ADD_MEMBER_OUTCOME_ADDED
    assert (added.membership.workspace_id, added.membership.user_id, added.membership.role) == (
        acme.marketing,
        lena.id,
        "member",
    )
    assert [each.organization.id for each in lena.does("ListUserOrganizations").organizations] == [acme.id]
    again = ines.does("AddMemberByEmail", **place, email=lena.email, role="owner")
    assert again.outcome == outcome.ADD_MEMBER_OUTCOME_ALREADY_MEMBER
    assert again.membership == added.membership
    for email in ("nobody@example.com", eve.email):
        answer = ines.does("AddMemberByEmail", **place, email=email)
        assert answer.outcome == outcome.ADD_MEMBER_OUTCOME_NOT_FOUND
        assert not answer.HasField("membership")
        assert answer.revision == added.revision
    assert why(lena.cannot("AddMemberByEmail", **place, email=eve.email)) == (DENIED, "ROLE_INSUFFICIENT")
    assert oneglanse.members(ines, acme.marketing) == {"Ines": "owner", "Lena": "member"}


@pytest.mark.req("REQ-029", "REQ-030", "REQ-031", "REQ-032", "REQ-034", "REQ-037", "REQ-054")
def test_an_owner_invites_somebody_who_accepts_and_is_promoted(oneglanse: Product, acme: Tenant) -> None:
    ines, omar, lena = acme.owner, acme.joined_by("Omar"), oneglanse.person("Lena")
    assert omar.cannot("CreateInvitation", workspace_id=acme.marketing, email=lena.email).code == DENIED
    sent = ines.does("CreateInvitation", workspace_id=acme.marketing, email=lena.email)
    seen = lena.does("GetInvitation", token=sent.token)
    assert (seen.organization.name, seen.workspace.name, seen.inviter_name) == ("Acme Corp", "Marketing Team", "Ines")
    assert oneglanse.page(lena, acme.marketing, guards=["validWorkspace"]) == NO_ACCESS

    accepted = lena.does("AcceptInvitation", token=sent.token)
    assert (accepted.membership.role, accepted.organization.id) == ("member", acme.id)
    assert why(lena.cannot("AcceptInvitation", token=sent.token)) == (PRECONDITION, "INVITATION_USED")
    assert lena.does("GetMember", organization_id=acme.id, user_id=lena.id).member.membership.role == "member"
    assert oneglanse.allowed(lena, acme.marketing, "prompt create", "provider set") == ["prompt create"]
    assert promote(ines, acme.marketing, lena, "owner") == "owner"
    assert oneglanse.check(lena, acme.marketing, "provider set") == ALLOWED
    assert oneglanse.check(lena, acme.research, "prompt read") == "NOT_A_MEMBER"


# --- joinWorkspaceByCode ----------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-007", "REQ-026", "REQ-055", "REQ-056", "REQ-057", "REQ-058")
def test_people_join_by_each_form_of_code(oneglanse: Product, acme: Tenant) -> None:
    invite_code = acme.owner.does("GetInviteCode", workspace_id=acme.marketing).code
    forms = [
        invite_code,
        f" {acme.marketing} ",
        f"{acme.slug}/marketing-team",
        f"{acme.slug}:marketing-team",
        f" {acme.slug} / marketing-team ",
        f"{acme.slug}//marketing-team",
        f"{acme.id}/{acme.marketing}",
    ]
    for number, code in enumerate(forms):
        person = oneglanse.person(f"Form{number}")
        answer = person.does("JoinByCode", code=code).joined
        assert (answer.workspace.id, answer.workspace.name) == (acme.marketing, "Marketing Team")
        assert (answer.organization.id, answer.organization.slug) == (acme.id, acme.slug)
        assert (answer.membership.role, answer.already_member) == ("member", False)
        assert person.does("GetMember", organization_id=acme.id, user_id=person.id).member.membership.role == "member"

    # An organization with several workspaces: a choice, and nothing is written.
    omar = oneglanse.person("Omar")
    for code in (acme.slug, acme.id):
        choice = omar.does("JoinByCode", code=code).select_workspace
        assert choice.organization.name == "Acme Corp"
        assert [each.name for each in choice.workspaces] == ["Marketing Team", "Research"]
        assert [each.id for each in choice.workspaces] == [acme.marketing, acme.research]
    assert omar.does("CheckFirstWorkspace").is_first_workspace
    assert not omar.does("ListUserOrganizations").organizations
    omar.does("JoinByCode", code=acme.research)
    assert oneglanse.switcher(omar) == {"Research": "member"}

    # Joining again is no error and no promotion, for an owner neither a demotion.
    again = acme.owner.does("JoinByCode", code=invite_code).joined
    assert (again.already_member, again.membership.role) == (True, "owner")

    # One workspace: joined at once.
    acme.owner.does("DeleteWorkspace", workspace_id=acme.research)
    lena = oneglanse.person("Lena")
    assert lena.does("JoinByCode", code=acme.slug).joined.workspace.name == "Marketing Team"

    # Everything else leads nowhere, and says so in the same words.
    eve = oneglanse.person("Eve")
    wrong = (f"{acme.slug}/", f"{acme.slug}/marketing-team/x", f"{acme.marketing}/x", f"{acme.slug}/sales", "nobody")
    (refused,) = {str(eve.cannot("JoinByCode", code=code)) for code in wrong}
    assert "Workspace not found" in refused
    for blank in ("", " \t"):
        refusal = eve.cannot("JoinByCode", code=blank)
        assert (why(refusal), refusal.kind) == ((INVALID, "INVALID_CODE"), "ValidationError")
    acme.owner.does("DeleteWorkspace", workspace_id=acme.marketing)
    assert why(eve.cannot("JoinByCode", code=acme.slug)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")


@pytest.mark.req("REQ-035", "REQ-036")
def test_an_owner_rotates_the_code_and_closes_every_way_in(oneglanse: Product, acme: Tenant) -> None:
    ines, omar, eve = acme.owner, acme.joined_by("Omar"), oneglanse.person("Eve")
    code = ines.does("GetInviteCode", workspace_id=acme.marketing).code
    assert why(omar.cannot("GetInviteCode", workspace_id=acme.marketing)) == (DENIED, "ROLE_INSUFFICIENT")
    newer = ines.does("RotateInviteCode", workspace_id=acme.marketing).code
    assert newer != code
    assert why(eve.cannot("JoinByCode", code=code)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")

    assert not ines.does("RotateInviteCode", workspace_id=acme.marketing, disable=True).is_enabled
    assert not omar.does("GetJoinInfo", workspace_id=acme.marketing).is_enabled
    for closed in (newer, acme.marketing, f"{acme.slug}/marketing-team"):
        assert why(eve.cannot("JoinByCode", code=closed)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert oneglanse.members(omar, acme.marketing) == {"Ines": "owner", "Omar": "member"}
    newest = ines.does("RotateInviteCode", workspace_id=acme.marketing).code
    assert eve.does("JoinByCode", code=newest).joined.workspace.id == acme.marketing

    # Removed by an owner, a member does not come back by any code, until it is added again.
    ines.does("RemoveMember", workspace_id=acme.marketing, user_id=omar.id)
    for way in (newest, acme.marketing, f"{acme.slug}/marketing-team"):
        assert why(omar.cannot("JoinByCode", code=way)) == (DENIED, "REMOVED")
    ines.does("AddMember", workspace_id=acme.marketing, user_id=omar.id)
    assert oneglanse.check(omar, acme.marketing, "prompt read") == ALLOWED


# --- Workspace Settings -----------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-059", "REQ-060", "REQ-061", "REQ-062", "REQ-063")
def test_owners_change_details_providers_and_the_schedule(oneglanse: Product, acme: Tenant) -> None:
    ines, omar = acme.owner, acme.joined_by("Omar")
    place = {"workspace_id": acme.marketing}

    # updateWorkspaceDetails: a new name or domain resets the analysis, white space does not.
    mask = {"paths": ["name", "domain"]}
    resets = [
        ines.does("UpdateWorkspace", **place, workspace=details, update_mask=mask).analysis_reset
        for details in (
            {"name": "Marketing", "domain": ""},
            {"name": "  Marketing ", "domain": " "},
            {"name": "Marketing", "domain": "acme.example"},
        )
    ]
    assert resets == [True, False, True]
    details = omar.does("GetWorkspace", **place).workspace
    assert (details.name, details.domain, details.slug) == ("Marketing", "acme.example", "marketing-team")
    assert details.analysis_epoch == 2
    rename = {"workspace": {"name": "Mine"}, "update_mask": {"paths": ["name"]}}
    assert why(omar.cannot("UpdateWorkspace", **place, **rename)) == (DENIED, "ROLE_INSUFFICIENT")

    # updateOrganizationName: the slug has the workspace in it; the old one is no code any more.
    renaming = {"organization_id": acme.id, "name": "  Acme Group ", **place}
    renamed = ines.does("UpdateOrganizationName", **renaming).organization
    slug = f"acme-group-{acme.marketing.lower()}".replace("_", "-")
    assert (renamed.name, renamed.slug) == ("Acme Group", re.sub("-+", "-", slug).rstrip("-"))
    assert ines.does("UpdateOrganizationName", **renaming).organization == renamed
    assert why(omar.cannot("UpdateOrganizationName", **renaming)) == (DENIED, "ROLE_INSUFFICIENT")
    eve = oneglanse.person("Eve")
    assert why(eve.cannot("JoinByCode", code=f"{acme.slug}/marketing-team")) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert eve.does("JoinByCode", code=f"{renamed.slug}/marketing-team").joined.workspace.id == acme.marketing

    # setWorkspaceEnabledProviders
    assert list(ines.does("SetProviders", **place, providers=["claude", "chatgpt"]).enabled_providers) == [
        "claude",
        "chatgpt",
    ]
    assert list(omar.does("GetProviders", **place).enabled_providers) == ["claude", "chatgpt"]
    assert why(ines.cannot("SetProviders", **place, providers=[])) == (INVALID, "NO_PROVIDER")
    assert why(ines.cannot("SetProviders", **place, providers=["claude", "hal"])) == (INVALID, "UNKNOWN_PROVIDER")
    assert why(omar.cannot("SetProviders", **place, providers=["hal"])) == (DENIED, "ROLE_INSUFFICIENT")

    # updateWorkspaceSchedule: set, refused, cleared; without a scheduler nothing is synced, and nothing fails.
    schedule = ines.does("SetSchedule", **place, schedule="0 6 * * 1")
    assert (schedule.schedule, schedule.scheduler_synced) == ("0 6 * * 1", False)
    assert (schedule.next_run_at.ToDatetime().weekday(), schedule.next_run_at.ToDatetime().hour) == (0, 6)
    assert why(ines.cannot("SetSchedule", **place, schedule="every day")) == (INVALID, "INVALID_CRON")
    assert why(omar.cannot("SetSchedule", **place, schedule="")) == (DENIED, "ROLE_INSUFFICIENT")
    assert omar.does("GetSchedule", **place).schedule == "0 6 * * 1"
    assert not ines.does("SetSchedule", **place).HasField("schedule")
    assert not ines.does("GetWorkspace", **place).workspace.HasField("schedule")

    # A member who is to set up the runs, and nothing else, gets the explicit permission for that.
    permissions = {"permissions": ["can-configure-runs"], "update_mask": {"paths": ["permissions"]}}
    ines.does("UpdateMember", **place, user_id=omar.id, **permissions)
    assert omar.does("SetSchedule", **place, schedule="0 7 * * *").schedule == "0 7 * * *"
    assert why(omar.cannot("UpdateWorkspace", **place, **rename)) == (DENIED, "ROLE_INSUFFICIENT")


# --- switching, and the guard of every workspace route ----------------------------------------------------------------


@pytest.mark.req("REQ-071", "REQ-098", "REQ-101", "REQ-104")
def test_a_member_of_several_workspaces_switches_between_them(oneglanse: Product, acme: Tenant) -> None:
    omar, eve = acme.joined_by("Omar"), oneglanse.person("Eve")
    omar.does("JoinByCode", code=acme.research)
    assert oneglanse.switcher(omar) == {"Marketing Team": "member", "Research": "member"}
    for workspace in (acme.research, acme.marketing):
        switched = omar.does("SwitchWorkspace", workspace_id=workspace)
        assert (switched.user.default_workspace_id, switched.workspace.workspace.id) == (workspace, workspace)
        assert (switched.access.role, switched.access.is_owner) == ("member", False)
        # Members are not shown what is paid; that breaks no switch.
        assert (switched.HasField("subscription"), switched.subscription_error) == (False, "ROLE_INSUFFICIENT")
        assert omar.does("ResolveCurrentWorkspace").workspace_id == workspace
        (current,) = [
            each
            for each in omar.does("ListUserWorkspaces", current_workspace_id=workspace).workspaces
            if each.is_current
        ]
        assert current.id == workspace
    assert why(eve.cannot("SwitchWorkspace", workspace_id=acme.research)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert eve.does("ResolveCurrentWorkspace").workspace_id == ""


@pytest.mark.req("REQ-069", "REQ-111", "REQ-144", "REQ-145")
def test_every_route_of_a_workspace_is_validated(oneglanse: Product, acme: Tenant) -> None:
    ines, omar, eve = acme.owner, acme.joined_by("Omar"), oneglanse.person("Eve")
    guards = {"guards": ["validWorkspace"]}
    assert oneglanse.page(omar, acme.marketing, **guards) == OPENED
    assert oneglanse.page(omar, "", **guards) == "400 No workspace was named"
    assert oneglanse.page(omar, "workspace_unknown", **guards) == "404 Workspace not found"
    assert oneglanse.page(omar, acme.research, **guards) == NO_ACCESS
    assert oneglanse.page(eve, acme.marketing, **guards) == NO_ACCESS
    assert oneglanse.page(ines, acme.research, **guards) == OPENED

    content = ["prompt read", "prompt create", "analysis:report read", "analysis:report run"]
    management = [
        "workspace update",
        "member add",
        "member remove",
        "invitation create",
        "provider set",
        "schedule set",
    ]
    assert oneglanse.allowed(omar, acme.marketing, *content, *management) == content
    assert oneglanse.allowed(ines, acme.marketing, *content, *management) == content + management
    assert oneglanse.allowed(eve, acme.marketing, *content, *management) == []
    assert oneglanse.check(ines, acme.marketing, "workspace create_child") == "ROLE_INSUFFICIENT"

    switched_off = {"is_active": False, "update_mask": {"paths": ["is_active"]}}
    ines.does("UpdateMember", workspace_id=acme.marketing, user_id=omar.id, **switched_off)
    assert oneglanse.page(omar, acme.marketing, **guards) == NO_ACCESS
    assert oneglanse.check(omar, acme.marketing, "prompt read") == "MEMBERSHIP_INACTIVE"
    assert why(omar.cannot("JoinByCode", code=acme.marketing)) == (DENIED, "MEMBERSHIP_INACTIVE")


# --- deleteUserAccount ------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-043", "REQ-064", "REQ-065", "REQ-067", "REQ-068")
def test_the_only_owner_of_an_organization_takes_it_along(oneglanse: Product, acme: Tenant) -> None:
    ines, omar, lena = acme.owner, acme.joined_by("Omar"), oneglanse.person("Lena")
    hers = Tenant(oneglanse, lena)
    ines.does("JoinByCode", code=hers.marketing)
    token = ines.does("CreateInvitation", workspace_id=acme.research, email=lena.email).token
    promote(ines, acme.marketing, omar, "owner")
    assert why(omar.cannot("DeleteAccount", user_id=ines.id)) == (DENIED, "ROLE_INSUFFICIENT")

    gone = ines.does("DeleteAccount")
    assert (gone.deleted, gone.deleted_organizations, gone.deleted_workspaces) == (True, 1, 2)
    assert gone.transferred_workspaces == 0
    for workspace in (acme.marketing, acme.research):
        assert why(omar.cannot("GetWorkspace", workspace_id=workspace)) == (NOT_FOUND, "WORKSPACE_NOT_FOUND")
    assert omar.cannot("GetOrganization", organization_id=acme.id).reason == "ORGANIZATION_NOT_FOUND"
    assert omar.does("CheckFirstWorkspace").is_first_workspace
    assert lena.cannot("AcceptInvitation", token=token).reason == "INVITATION_NOT_FOUND"
    # Its other memberships have ended, and nothing is left of the user.
    assert oneglanse.members(lena, hers.marketing) == {"Lena": "owner"}
    assert oneglanse.operator.cannot("GetUser", user_id=ines.id).reason == "USER_NOT_FOUND"
    again = ines.does("DeleteAccount")
    assert (again.deleted, again.revision) == (False, gone.revision)


@pytest.mark.req("REQ-064", "REQ-066", "REQ-067", "REQ-068")
def test_one_of_several_owners_goes_alone(oneglanse: Product, acme: Tenant) -> None:
    ines, omar = acme.owner, acme.joined_by("Omar", "owner")
    mask = {"paths": ["role"]}
    ines.does("UpdateMember", organization_id=acme.id, user_id=omar.id, role="owner", update_mask=mask)

    gone = ines.does("DeleteAccount")
    assert (gone.deleted, gone.deleted_organizations, gone.deleted_workspaces) == (True, 0, 0)
    assert gone.transferred_workspaces == 2
    assert omar.does("GetOrganization", organization_id=acme.id).state == places_pb2.STATE_ACTIVE
    for workspace in (acme.marketing, acme.research):
        assert omar.does("GetWorkspace", workspace_id=workspace).workspace.owner_user_id == omar.id
        assert oneglanse.members(omar, workspace) == {"Omar": "owner"}
    assert oneglanse.check(ines, acme.marketing, "workspace view") == "NOT_A_MEMBER"
