"""Nobody gets more than somebody who has it gives them: every kind of person times every way of giving.

The people come from the catalog of each shipped bundle (casts.py), the attempts from its roles, permissions and modules
(granting.py), and what is legal from a plain reading of product.md section 3 (oracle/plain_grants.py), which knows
nothing of the engine. Each attempt is made on a real server; afterwards what GetAccess says of those concerned is
compared with what it said before. Both halves are asserted: what is illegal is refused and writes nothing, what is
legal succeeds.

By default some attempts of each kind are made, by everybody, for every reason there is to refuse, on a bundle with one
owner and on one with several; ``--soak`` makes all attempts on all bundles.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.oracle.plain_ranks import NO_RANK
from tests.rpc.conftest import sqlite_database
from tests.rpc.losses import PERMANENT, Loss, accept, befall, invite, is_dead, mend, wait
from tests.rpc.moves import WAYS
from tests.rpc.people import highest
from tests.rpc.plots import Plot, low_people
from tests.rpc.stages import Stage, staging
from tests.rpc.tenants import Tenants, modules
from tests.serving import BUNDLES, Client, Refusal, attempt, refusal
from wsauthz.v1 import authorization_pb2, invitations_pb2, memberships_pb2
from wsauthz.v1.invitations_pb2 import JoinByCodeResponse

pytestmark = pytest.mark.usefixtures("refusals_are_free")

SHIPPED = sorted(path.parent.name for path in BUNDLES.glob("*/catalog.toml"))


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=() if name in {"dam", "default"} else pytest.mark.soak) for name in SHIPPED],
)
def stage(request: pytest.FixtureRequest, sqlite_template: Path) -> Iterator[Stage]:
    is_long = bool(request.config.getoption("--soak"))
    with sqlite_database(sqlite_template) as url, staging(url, str(request.param), is_long=is_long) as found:
        yield found


@pytest.mark.parametrize("path", WAYS)
@pytest.mark.timeout(3600)
def test_nobody_gets_more_than_the_giver_has(stage: Stage, path: str) -> None:
    outcomes = [stage.play(scene) for scene in stage.scenes[path]]
    complaints = [complaint for outcome in outcomes for complaint in outcome]
    assert not complaints, f"{len(complaints)} complaints about {len(outcomes)} attempts:\n" + "\n".join(
        complaints[:20]
    )
    assert any(scene.expected for scene in stage.scenes[path])
    assert any(not scene.expected for scene in stage.scenes[path])


def test_whoever_was_only_refused_or_only_gave_is_as_before(stage: Stage) -> None:
    for path, scenes in stage.scenes.items():
        assert scenes, path
    assert stage.changed() == []


@pytest.mark.timeout(3600)
def test_no_invitation_outlives_the_right_of_its_sender(stage: Stage) -> None:
    invited = [(loss, *send(stage, loss)) for loss in stage.losses]
    complaints = [complaint for each in invited for complaint in outlived(stage, *each)]
    assert not complaints, "\n".join(complaints[:20])


def send(stage: Stage, loss: Loss) -> tuple[str, str]:
    """Have an invitation sent before something befalls its sender; return whom it is for, and the token."""
    invited = stage.tenants.user("invited")
    token = invite(stage.tenants, loss, invited)
    befall(stage.tenants, loss)
    return invited, token


def outlived(stage: Stage, loss: Loss, invited: str, token: str) -> Iterator[str]:
    """Accept an invitation whose sender something has befallen, and yield what is wrong."""
    tenants = stage.tenants
    wait(tenants, loss)
    dead, accepted = is_dead(loss), accept(tenants, token, invited)
    if not dead:
        if isinstance(accepted, Refusal):
            yield f"{loss}: refused for {accepted.reason}, though it could still be sent"
        return
    if not isinstance(accepted, Refusal):
        yield f"{loss}: accepted, though it could no longer be sent"
    elif accepted.reason != "INVITATION_NOT_FOUND":
        yield f"{loss}: refused for {accepted.reason}"
    if loss.what in PERMANENT:
        mend(tenants, loss)
        if not isinstance(accept(tenants, token, invited), Refusal):
            yield f"{loss}: alive again when that was undone"


@pytest.mark.timeout(3600)
def test_those_who_conspire_get_no_further_than_the_highest_of_them(stage: Stage) -> None:
    plot = Plot(stage, stage.plot, low_people(stage, stage.plot), Random(7))
    complaints = [complaint for _ in range(8000 if stage.is_long else 80) for complaint in plot.try_something()]
    complaints += plot.outcome()
    assert not complaints, "\n".join(complaints[:20])
    assert plot.successes


# --- coming back by a code --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["workspace", "organization"])
def test_who_was_removed_comes_back_by_no_code(stage: Stage, place: str) -> None:
    tenants, owner = stage.tenants, stage.tenants.user()
    organization = tenants.organization(owner)
    workspace = tenants.workspace(owner, organization_id=organization.id)
    at = {f"{place}_id": workspace.id if place == "workspace" else organization.id}
    for code in codes(stage, owner, organization.slug, workspace.id):
        for how, reason in (("removed", "REMOVED"), ("inactive", "MEMBERSHIP_INACTIVE")):
            member = tenants.member(owner, workspace.id)
            assert isinstance(join(stage, member, code), JoinByCodeResponse)
            end(tenants.client(owner), member, at, how)
            refused = join(stage, member, code)
            # Whoever is still an active member of the workspace itself is told so again.
            if (place, how) != ("organization", "inactive"):
                assert isinstance(refused, Refusal)
                assert refused.reason == reason
                assert stage.standing(member, ("workspace", workspace.id)).rank == NO_RANK


def test_who_left_comes_back_by_a_code_with_no_more_than_the_default(stage: Stage) -> None:
    tenants, owner = stage.tenants, stage.tenants.user()
    organization = tenants.organization(owner)
    workspace = tenants.workspace(owner, organization_id=organization.id)
    default = stage.rules.catalog["defaults"]["workspace"]
    for code in codes(stage, owner, organization.slug, workspace.id):
        member = tenants.member(owner, workspace.id, role=highest(stage.rules))
        tenants.client(member).memberships.Leave(memberships_pb2.LeaveRequest(workspace_id=workspace.id))
        joined = join(stage, member, code)
        assert isinstance(joined, JoinByCodeResponse)
        assert joined.joined.membership.role == default


def codes(stage: Stage, owner: str, organization: str, workspace: str) -> list[str]:
    """Return everything that lets somebody into the workspace by this policy."""
    request = invitations_pb2.GetInviteCodeRequest(workspace_id=workspace)
    found = {
        "invite_code": stage.tenants.client(owner).invitations.GetInviteCode(request).code,
        "workspace_id": workspace,
        "organization_workspace": f"{organization}/{workspace}",
        "organization": organization,
    }
    return [found[way] for way in stage.rules.catalog["joining"]["methods"]]


def join(stage: Stage, user: str, code: str) -> JoinByCodeResponse | Refusal:
    """Return what becomes of joining by a code."""
    answer: JoinByCodeResponse | Refusal = attempt(
        stage.tenants.client(user).invitations.JoinByCode, invitations_pb2.JoinByCodeRequest(code=code)
    )
    return answer


def end(client: Client, member: str, at: dict[str, Any], how: str) -> None:
    """Remove or deactivate somebody."""
    if how == "removed":
        client.memberships.RemoveMember(memberships_pb2.RemoveMemberRequest(user_id=member, **at))
        return
    request = memberships_pb2.UpdateMemberRequest(user_id=member, is_active=False, **at)
    request.update_mask.paths.append("is_active")
    client.memberships.UpdateMember(request)


# --- what the matrix found --------------------------------------------------------------------------------------------


def test_removing_from_the_organization_reaches_nobody_who_ranks_higher_in_a_workspace(dam: Tenants) -> None:
    owner = dam.user()
    organization = dam.organization(owner).id
    workspace = dam.workspace(owner, organization_id=organization).id
    helper = dam.member(owner, organization=organization, permissions=["can-manage-users"])
    admin = dam.member(owner, workspace, role="admin")
    request = memberships_pb2.RemoveMemberRequest(organization_id=organization, user_id=admin)
    refused = refusal(dam.client(helper).memberships.RemoveMember, request)
    assert refused.reason == "ROLE_CEILING"
    assert dam.reason(admin, workspace, "member add") == ""


def test_an_expired_membership_is_not_replaced_from_below(dam: Tenants) -> None:
    """Its holder may rank higher by another one: closing it is a change like any other."""
    owner = dam.user()
    parent = dam.workspace(owner).id
    child = dam.child(owner, parent).id
    helper = dam.member(owner, child, role="viewer", permissions=["can-manage-users"])
    admin = dam.member(owner, parent, role="admin")
    until = {"seconds": int(time.time()) + 2}
    dam.member(owner, child, user=admin, role="member", expires_at=until)
    asked = authorization_pb2.GetAccessRequest(subject=admin, workspace_id=child)
    wait_until(lambda: not dam.client().authorization.GetAccess(asked).membership.is_active)
    request = memberships_pb2.AddMemberRequest(workspace_id=child, user_id=admin, role="viewer")
    assert refusal(dam.client(helper).memberships.AddMember, request).reason == "ROLE_CEILING"


@pytest.mark.parametrize("terms", [{"role": "viewer", "permissions": ["can-manage-users"]}, {"role": "admin"}])
def test_nobody_hands_out_a_code_that_gives_more_than_they_hold(dam: Tenants, terms: dict[str, Any]) -> None:
    """A code gives the default role in every module: neither a viewer nor an admin of one module has that to give."""
    owner = dam.user()
    workspace = dam.workspace(owner).id
    limits: dict[str, Any] = {} if terms["role"] == "viewer" else {"modules": modules("dam")}
    helper = dam.client(dam.member(owner, workspace, **terms, **limits)).invitations
    request = invitations_pb2.GetInviteCodeRequest(workspace_id=workspace)
    assert refusal(helper.GetInviteCode, request).reason == "ROLE_CEILING"
    rotate = invitations_pb2.RotateInviteCodeRequest(workspace_id=workspace)
    assert refusal(helper.RotateInviteCode, rotate).reason == "ROLE_CEILING"
    rotate.disable = True
    assert not helper.RotateInviteCode(rotate).is_enabled


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait for something that will be so in a moment."""
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)
