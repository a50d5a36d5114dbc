import grpc
import pytest

from tests.rpc.tenants import OPERATOR, Tenants
from tests.serving import refusal
from wsauthz.v1 import users_pb2 as pb
from wsauthz.v1.memberships_pb2 import RemoveMemberRequest


def upsert(tenants: Tenants, **fields: object) -> pb.UpsertUserResponse:
    return tenants.client().users.UpsertUser(pb.UpsertUserRequest(**fields))  # type: ignore[arg-type]  # by name


def get(tenants: Tenants, actor: str, user: str) -> pb.User:
    return tenants.client(actor).users.GetUser(pb.GetUserRequest(user_id=user)).user


def test_a_new_user_is_human_and_active(dam: Tenants) -> None:
    answer = upsert(dam, user_id="u-new")
    assert answer.created
    assert (answer.user.kind, answer.user.is_active, answer.user.email_verified) == (pb.USER_KIND_HUMAN, True, False)
    assert not answer.user.HasField("email")
    assert answer.user.created_at == answer.user.updated_at
    assert answer.revision


def test_no_actor_is_needed_to_provision(dam: Tenants) -> None:
    assert upsert(dam, user_id="auth0|5f7c:a/b=c~d", kind=pb.USER_KIND_SERVICE).user.kind == pb.USER_KIND_SERVICE


def test_fields_that_are_not_given_stay(dam: Tenants) -> None:
    upsert(dam, user_id="u-stay", email="stay@example.com", email_verified=True, name="Stay", image_url="https://x/y")
    answer = upsert(dam, user_id="u-stay", name="Stayed")
    assert not answer.created
    assert (answer.user.name, answer.user.email, answer.user.email_verified) == ("Stayed", "stay@example.com", True)
    assert answer.user.image_url == "https://x/y"
    assert answer.user.updated_at.ToNanoseconds() > answer.user.created_at.ToNanoseconds()


def test_an_email_is_trimmed_lower_case_and_nfc(dam: Tenants) -> None:
    answer = upsert(dam, user_id="u-mail", email="  Jose\u0301@Example.COM ")
    assert answer.user.email == "jos\u00e9@example.com"


def test_an_email_belongs_to_one_user(dam: Tenants) -> None:
    upsert(dam, user_id="u-first", email="one@example.com")
    refused = refusal(dam.client().users.UpsertUser, pb.UpsertUserRequest(user_id="u-second", email="ONE@example.com"))
    assert (refused.code, refused.reason, refused.kind) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "EMAIL_TAKEN",
        "ValidationError",
    )
    upsert(dam, user_id="u-first", email="")
    assert upsert(dam, user_id="u-second", email="one@example.com").user.email == "one@example.com"
    assert not get(dam, "u-first", "u-first").HasField("email")


def test_another_email_has_to_be_verified_anew(dam: Tenants) -> None:
    upsert(dam, user_id="u-verify", email="old@example.com", email_verified=True)
    assert not upsert(dam, user_id="u-verify", email="new@example.com").user.email_verified
    assert upsert(dam, user_id="u-verify", email="newer@example.com", email_verified=True).user.email_verified


@pytest.mark.parametrize(
    "user_id", ["", " ", "a b", "a\n", "a,b", "a#b", "a*", 'a"', "a\\b", "-a", "..", "é", "a" * 129]
)
def test_a_malformed_user_id_is_refused(dam: Tenants, user_id: str) -> None:
    refused = refusal(dam.client().users.UpsertUser, pb.UpsertUserRequest(user_id=user_id))
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("user_id",))


def test_a_deactivated_user_is_refused_everywhere_at_once(dam: Tenants) -> None:
    user = dam.user()
    workspace = dam.workspace(user).id
    upsert(dam, user_id=user, is_active=False)
    assert dam.reason(user, workspace) == "USER_INACTIVE"
    refused = refusal(dam.client(user).users.GetUser, pb.GetUserRequest(user_id=user))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "USER_INACTIVE")
    upsert(dam, user_id=user, is_active=True)
    assert dam.reason(user, workspace) == ""


def test_repeating_it_changes_no_revision(dam: Tenants) -> None:
    fields = {"user_id": "u-again", "email": "again@example.com", "name": "Again"}
    first = upsert(dam, **fields)
    second = upsert(dam, **fields)
    assert not second.created
    assert (second.user, second.revision) == (first.user, first.revision)


def test_a_user_sees_itself(dam: Tenants) -> None:
    user = dam.user("self")
    assert get(dam, user, user).email == f"{user}@example.com"


def test_somebody_who_lists_members_of_a_shared_place_sees_the_user(dam: Tenants) -> None:
    owner = dam.user("owner")
    member = dam.member(owner, dam.workspace(owner).id)
    assert get(dam, owner, member).id == member
    assert get(dam, member, owner).id == owner


def test_somebody_who_may_not_list_members_does_not(dam: Tenants) -> None:
    owner = dam.user("owner")
    workspace = dam.workspace(owner).id
    viewer = dam.member(owner, workspace, role="viewer")
    refused = refusal(dam.client(viewer).users.GetUser, pb.GetUserRequest(user_id=owner))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")


def test_a_stranger_is_told_the_same_as_of_nobody(dam: Tenants) -> None:
    stranger, user = dam.user("stranger"), dam.user()
    dam.workspace(user)
    client = dam.client(stranger)
    foreign = refusal(client.users.GetUser, pb.GetUserRequest(user_id=user))
    unknown = refusal(client.users.GetUser, pb.GetUserRequest(user_id="nobody-at-all"))
    assert foreign == unknown
    assert (foreign.code, foreign.reason, foreign.kind) == (
        grpc.StatusCode.NOT_FOUND,
        "USER_NOT_FOUND",
        "NotFoundError",
    )


def test_who_adds_somebody_is_not_told_where_else_it_is(oneglanse: Tenants) -> None:
    """Anybody may be added by id, and here the id of a workspace lets people in."""
    victim, stranger = oneglanse.user("victim"), oneglanse.user("stranger")
    secret = oneglanse.workspace(victim).id
    default = pb.UpdateProfileRequest(default_workspace_id=secret)
    oneglanse.client(victim).users.UpdateProfile(default)
    oneglanse.member(stranger, oneglanse.workspace(stranger).id, user=victim)
    seen = get(oneglanse, stranger, victim)
    assert (seen.id, seen.HasField("default_workspace_id")) == (victim, False)
    assert get(oneglanse, victim, victim).default_workspace_id == secret
    assert get(oneglanse, OPERATOR, victim).default_workspace_id == secret


def test_an_operator_sees_everybody(dam: Tenants) -> None:
    user = dam.user()
    assert get(dam, OPERATOR, user).id == user


def test_a_removed_member_is_a_stranger_again(dam: Tenants) -> None:
    owner = dam.user("owner")
    workspace = dam.workspace(owner).id
    member = dam.member(owner, workspace)
    dam.client(owner).memberships.RemoveMember(RemoveMemberRequest(workspace_id=workspace, user_id=member))
    assert refusal(dam.client(owner).users.GetUser, pb.GetUserRequest(user_id=member)).code == grpc.StatusCode.NOT_FOUND
