"""Races: what many callers ask for at once, and what must come out of it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from tests.processes.arena import Arena, Call
from tests.serving import Refusal
from wsauthz.v1 import invitations_pb2, memberships_pb2, users_pb2, workspace_states_pb2, workspaces_pb2

Outcome = tuple[str, str]
"""In words, what came out that must not be, and which calls were refused for another reason than they should."""
LIVE: Final = "memberships WHERE workspace_id = :workspace AND user_id = :user AND deleted_at IS NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """A race, and all that stands between it and a bad end."""

    run: Callable[[Arena], Outcome]
    code: tuple[str, ...] = ()
    """What the program does about it, by the names in ``unprotected``."""
    database: tuple[str, ...] = ()
    """What the database does about it: statements that take that away."""
    rounds: int = 1
    """How often it is run in a short test."""


def answers(found: list[Any]) -> list[Any]:
    """Return those that are no refusals."""
    return [each for each in found if not isinstance(each, Refusal)]


def unexpected(found: list[Any], *reasons: str) -> str:
    """Return, in words, the refusals for other reasons."""
    others = [each for each in found if isinstance(each, Refusal) and each.reason not in reasons]
    return f"{len(others)} refusals such as {others[0].code.name} {others[0].reason}" if others else ""


def invite(arena: Arena, by: str, workspace: str, user: str) -> invitations_pb2.CreateInvitationResponse:
    """Invite a user."""
    request = invitations_pb2.CreateInvitationRequest(workspace_id=workspace, email=f"{user}@example.com")
    made: invitations_pb2.CreateInvitationResponse = arena.call(by, "invitations.CreateInvitation", request)
    return made


def accepting(arena: Arena) -> Outcome:
    """One user accepts one invitation many times: one of the calls spends it."""
    ann, joe = arena.user(), arena.user()
    workspace = arena.workspace(ann).id
    request = invitations_pb2.AcceptInvitationRequest(token=invite(arena, ann, workspace, joe).token)
    found = arena.at_once([(joe, "invitations.AcceptInvitation", request)] * arena.callers)
    live = arena.count(LIVE, workspace=workspace, user=joe)
    spent = len(answers(found))
    wrong = f"{spent} calls spent it, {live} memberships" if (spent, live) != (1, 1) else ""
    return wrong, unexpected(found, "INVITATION_USED")


def accepting_or_revoking(arena: Arena) -> Outcome:
    """An invitation is accepted and revoked at once: it is one of the two."""
    ann, joe = arena.user(), arena.user()
    workspace = arena.workspace(ann).id
    invited = invite(arena, ann, workspace, joe)
    accept = invitations_pb2.AcceptInvitationRequest(token=invited.token)
    revoke = invitations_pb2.RevokeInvitationRequest(workspace_id=workspace, invitation_id=invited.invitation.id)
    found = arena.at_once(
        [(joe, "invitations.AcceptInvitation", accept), (ann, "invitations.RevokeInvitation", revoke)]
    )
    live = arena.count(LIVE, workspace=workspace, user=joe)
    done, accepted = len(answers(found)), not isinstance(found[0], Refusal)
    wrong = f"{done} of both went through, {live} memberships" if (done, live) != (1, accepted) else ""
    return wrong, unexpected(found, "INVITATION_USED", "INVITATION_NOT_FOUND")


def inviting(arena: Arena) -> Outcome:
    """One address is invited many times: one invitation is left."""
    ann = arena.user()
    workspace = arena.workspace(ann).id
    request = invitations_pb2.CreateInvitationRequest(workspace_id=workspace, email="joe@example.com")
    found = arena.at_once([(ann, "invitations.CreateInvitation", request)] * arena.callers)
    pending = arena.count("invitations WHERE workspace_id = :workspace AND revoked_at IS NULL", workspace=workspace)
    return f"{pending} invitations are pending" if pending != 1 else "", unexpected(found)


def joining(arena: Arena) -> Outcome:
    """One user joins by a code many times: one membership."""
    ann, joe = arena.user(), arena.user()
    workspace = arena.workspace(ann).id
    shown = arena.call(ann, "invitations.GetInviteCode", invitations_pb2.GetInviteCodeRequest(workspace_id=workspace))
    request = invitations_pb2.JoinByCodeRequest(code=shown.code)
    found = arena.at_once([(joe, "invitations.JoinByCode", request)] * arena.callers)
    new = sum(not each.joined.already_member for each in answers(found))
    live = arena.count(LIVE, workspace=workspace, user=joe)
    wrong = f"{new} calls made a membership, {live} are there" if (new, live) != (1, 1) else ""
    return wrong, unexpected(found)


def switching_off(arena: Arena) -> Outcome:
    """A code is switched off while many join: nobody gets in who asks after that was answered."""
    ann = arena.user()
    workspace = arena.workspace(ann).id
    shown = arena.call(ann, "invitations.GetInviteCode", invitations_pb2.GetInviteCodeRequest(workspace_id=workspace))
    request = invitations_pb2.JoinByCodeRequest(code=shown.code)
    early = [arena.user(), arena.user()]
    arena.settle()
    for process, user in enumerate(early):
        arena.call(user, "invitations.JoinByCode", request, process=process)
    off = invitations_pb2.RotateInviteCodeRequest(workspace_id=workspace, disable=True)
    others = [(arena.user(), "invitations.JoinByCode", request) for _ in range(arena.callers - 1)]
    late = len(others) // 2
    calls = [(ann, "invitations.RotateInviteCode", off), *others]
    found = arena.at_once(calls, after=threading.Event(), late=late)
    inside = answers(found[-late:])
    wrong = f"{len(inside)} of {late} got in afterwards" if inside else ""
    return wrong, unexpected(found, "WORKSPACE_NOT_FOUND")


def removing_each_other(arena: Arena) -> Outcome:
    """Two owners remove each other: one of them is left, and is the primary one."""
    ann = arena.user()
    workspace = arena.workspace(ann).id
    bob = arena.member(ann, workspace, "owner")
    pairs = [(ann, bob), (bob, ann)]
    found = arena.at_once(
        [
            (by, "memberships.RemoveMember", memberships_pb2.RemoveMemberRequest(workspace_id=workspace, user_id=user))
            for by, user in pairs
        ]
    )
    left = [user for user in (ann, bob) if arena.count(LIVE, workspace=workspace, user=user)]
    owner = arena.value("owner_user_id FROM workspaces WHERE id = :workspace", workspace=workspace)
    wrong = f"left are {left}, and the owner is {owner}" if left != [owner] else ""
    return wrong, unexpected(found, "WORKSPACE_NOT_FOUND")


def naming(arena: Arena) -> Outcome:
    """One slug is asked for many times in an organization: one workspace has it."""
    ann = arena.user()
    organization = arena.workspace(ann, new_organization=workspaces_pb2.NewOrganization()).organization_id
    request = workspaces_pb2.CreateWorkspaceRequest(name="South", slug="south", organization_id=organization)
    found = arena.at_once([(ann, "workspaces.CreateWorkspace", request)] * arena.callers)
    condition = "organization_id = :organization AND slug = 'south' AND deleted_at IS NULL"
    there = arena.count(f"workspaces WHERE {condition}", organization=organization)
    told = len(answers(found))
    wrong = f"{told} were told that they have it, {there} do" if (told, there) != (1, 1) else ""
    return wrong, unexpected(found, "SLUG_TAKEN")


def repeating(arena: Arena) -> Outcome:
    """One request is sent many times under one id: one effect, one revision, one answer."""
    ann = arena.user()
    request = workspaces_pb2.CreateWorkspaceRequest(name="West", request_id="once")
    before = arena.value("value FROM revision")
    found = arena.at_once([(ann, "workspaces.CreateWorkspace", request)] * arena.callers)
    there = arena.count("workspaces WHERE owner_user_id = :ann", ann=ann)
    different = len({each.SerializeToString(deterministic=True) for each in answers(found)})
    grown = arena.value("value FROM revision") - before
    is_once = (there, different, grown) == (1, 1, 1)
    return "" if is_once else f"{there} workspaces, {different} answers, {grown} revisions", unexpected(found)


def adding(arena: Arena) -> Outcome:
    """One user is added many times: one membership."""
    ann, joe = arena.user(), arena.user()
    workspace = arena.workspace(ann).id
    request = memberships_pb2.AddMemberRequest(workspace_id=workspace, user_id=joe)
    found = arena.at_once([(ann, "memberships.AddMember", request)] * arena.callers)
    live = arena.count(LIVE, workspace=workspace, user=joe)
    added = len(answers(found))
    wrong = f"{added} calls added, {live} memberships" if (added, live) != (1, 1) else ""
    return wrong, unexpected(found, "ALREADY_MEMBER")


def passing_on(arena: Arena) -> Outcome:
    """An owner passes its workspace on to two members at once: one of them gets it."""
    ann = arena.user()
    workspace = arena.workspace(ann).id
    heirs = [arena.member(ann, workspace) for _ in range(2)]
    found = arena.at_once(
        [
            (
                ann,
                "states.TransferOwnership",
                workspace_states_pb2.TransferOwnershipRequest(workspace_id=workspace, user_id=heir),
            )
            for heir in heirs
        ]
    )
    told = [heir for heir, each in zip(heirs, found, strict=True) if not isinstance(each, Refusal)]
    owner = arena.value("owner_user_id FROM workspaces WHERE id = :workspace", workspace=workspace)
    return f"{told} were told, {owner} has it" if told != [owner] else "", unexpected(found, "ROLE_INSUFFICIENT")


def mirroring(arena: Arena) -> Outcome:
    """Events about one user arrive at once and out of order: the latest one stays."""
    user = arena.user()
    calls: list[Call] = []
    for version in range(arena.callers):
        request = users_pb2.UpsertUserRequest(user_id=user, name=f"version {version}", source_version=version)
        calls.append(("", "users.UpsertUser", request))
    found = arena.at_once(calls[1::2] + calls[::2])
    latest = arena.callers - 1
    name = arena.value("name FROM users WHERE id = :user", user=user)
    stored = arena.value("source_version FROM user_versions WHERE user_id = :user", user=user)
    done = [each for each in answers(found) if not each.out_of_date]
    by_revision = sorted((int(each.revision.split(".")[1]), each.source_version) for each in done)
    rises = by_revision == sorted(by_revision, key=itemgetter(1))
    is_right = name == f"version {latest}" and stored == latest and rises
    return "" if is_right else f"{name!r} and {stored} are stored after {latest}", unexpected(found)


NO_UNIQUE_MEMBERSHIP: Final = "DROP INDEX already_member_of_workspace"
NO_UNIQUE_SLUG: Final = "DROP INDEX workspace_slug_taken"
NO_UNIQUE_REQUEST: Final = "ALTER TABLE request_ids DROP CONSTRAINT request_id_taken"

RACES: Final = {
    "accepting": Race(run=accepting, code=("lock", "invitation"), database=(NO_UNIQUE_MEMBERSHIP,)),
    "accepting-or-revoking": Race(run=accepting_or_revoking, code=("lock", "invitation"), rounds=3),
    "inviting": Race(run=inviting, code=("lock",)),
    "joining": Race(run=joining, code=("lock",), database=(NO_UNIQUE_MEMBERSHIP,)),
    "switching-off": Race(run=switching_off, code=("code",)),
    "removing-each-other": Race(run=removing_each_other, code=("lock",), rounds=20),
    "naming": Race(run=naming, database=(NO_UNIQUE_SLUG,)),
    "repeating": Race(run=repeating, code=("lock",), database=(NO_UNIQUE_REQUEST,)),
    "adding": Race(run=adding, code=("lock",), database=(NO_UNIQUE_MEMBERSHIP,)),
    "mirroring": Race(run=mirroring, code=("lock",)),
    "passing-on": Race(run=passing_on, code=("lock", "owner"), rounds=3),
}
