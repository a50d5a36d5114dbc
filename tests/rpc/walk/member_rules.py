"""Rules for users and their memberships."""

import time
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from tests.oracle import tenancy_members as members
from tests.oracle import tenancy_places as places
from tests.oracle.plain_state import PLATFORM, PlaceKey
from tests.oracle.tenancy_rights import is_deactivated, refused
from tests.rpc.tenants import OPERATOR
from tests.rpc.walk.choosing import EMAILS, Choice, listed, named
from tests.rpc.walk.walk import Walk
from wsauthz.v1 import memberships_pb2 as pb
from wsauthz.v1 import users_pb2, workspace_states_pb2

SOON_SECONDS = 0.2


class UserRules(Walk):
    """Mirroring users, their default workspace, and deleting their accounts."""

    def upsert_user(self, choice: Choice) -> None:
        """Mirror a user, new or not."""
        user, values = self._event(choice)
        request = users_pb2.UpsertUserRequest(user_id=user, request_id=choice.request_id(), **_said(values))
        if answer := self.call("", "users.UpsertUser", request, places.why_not_upsert(self.model, user, values)):
            assert answer.created == places.upsert(self.model, user, values)

    def batch_upsert_users(self, choice: Choice) -> None:
        """Mirror several users at once, the same one twice at times; those that are wrong fail alone."""
        events = [self._event(choice) for _ in range(choice.one(1, 2, 3))]
        request = users_pb2.BatchUpsertUsersRequest(request_id=choice.request_id())
        for user, values in events:
            request.users.add(user_id=user, **_said(values))
        answer = self.call("", "users.BatchUpsertUsers", request, set())
        for (user, values), result in zip(events, answer.results, strict=True):
            reasons = places.why_not_upsert(self.model, user, values)
            if reasons:
                assert (result.outcome, {result.reason}) == (users_pb2.USER_OUTCOME_FAILED, reasons)
            else:
                is_new = places.upsert(self.model, user, values)
                assert (result.outcome == users_pb2.USER_OUTCOME_CREATED) == is_new

    def _event(self, choice: Choice) -> tuple[str, dict[str, Any]]:
        user, values = choice.user(), dict[str, Any]()
        if choice.often(0.6):
            values = {"email": choice.one(f"{user}@example.com", *EMAILS), "email_verified": choice.often(0.8)}
        if choice.often(0.1):
            values = {"email": None}
        if choice.often(0.3):
            values["is_active"] = choice.often(0.7)
        return user, values

    def update_profile(self, choice: Choice) -> None:
        """Set or clear the default workspace."""
        place = choice.workspace()
        actor = choice.actor(place, "workspace/view")
        key = place[1] if choice.often(0.8) else ""
        request = users_pb2.UpdateProfileRequest(default_workspace_id=key, request_id=choice.request_id())
        reasons = places.why_not_default(self.model, actor, key)
        if self.call(actor, "users.UpdateProfile", request, reasons):
            self.model.users[actor]["default_workspace_id"] = key or None

    def switch_workspace(self, choice: Choice) -> None:
        """Make a workspace the default and enter it."""
        place = choice.workspace()
        actor = choice.actor(place, "workspace/view")
        request = users_pb2.SwitchWorkspaceRequest(workspace_id=place[1], request_id=choice.request_id())
        reasons = places.why_not_default(self.model, actor, place[1])
        if self.call(actor, "users.SwitchWorkspace", request, reasons):
            self.model.users[actor]["default_workspace_id"] = place[1]

    def delete_account(self, choice: Choice) -> None:
        """Delete an account, one's own or, seldom, another's."""
        actor = choice.one(choice.user(), choice.user(), OPERATOR)
        user = actor if actor != OPERATOR and choice.often(0.6) else choice.user()
        request = users_pb2.DeleteAccountRequest(user_id="" if user == actor else user, request_id=choice.request_id())
        reasons = refused(self.model, actor, "user/delete", PLATFORM)
        if user == actor:
            reasons = {"USER_INACTIVE"} if is_deactivated(self.model, actor) else set()
        if answer := self.call(actor, "users.DeleteAccount", request, reasons):
            gone = (
                answer.deleted,
                answer.deleted_organizations,
                answer.deleted_workspaces,
                answer.transferred_workspaces,
            )
            assert gone == members.delete_account(self.model, user)
            self.done = [done for done in self.done if done[0] != user]


class MemberRules(Walk):
    """Adding, changing and removing members, and passing ownership on."""

    def add_member(self, choice: Choice) -> None:
        """Add a user."""
        place = choice.place()
        actor, user, terms = choice.actor(place, "member/add"), choice.outsider(place), choice.terms(place)
        request = pb.AddMemberRequest(
            user_id=user, request_id=choice.request_id(), **named(place), **self._fields(terms)
        )
        reasons = members.why_not_add(self.model, actor, place, user, terms)
        if self.call(actor, "memberships.AddMember", request, reasons):
            members.add(self.model, place, user, terms)

    def add_member_by_email(self, choice: Choice) -> None:
        """Add whoever has an address."""
        place = choice.place()
        actor, email, terms = choice.actor(place, "member/add"), choice.one(*EMAILS), choice.terms(place)
        request = pb.AddMemberByEmailRequest(
            email=email, request_id=choice.request_id(), **named(place), **self._fields(terms)
        )
        reasons = members.why_not_offer(self.model, actor, place, terms)
        found = [user for user, row in self.model.users.items() if row["email"] == email and row["email_verified"]]
        if answer := self.call(actor, "memberships.AddMemberByEmail", request, reasons):
            row = self.model.member(place, found[0]) if found else None
            if not found:
                assert answer.outcome == pb.ADD_MEMBER_OUTCOME_NOT_FOUND
            elif row is not None and not self.model.is_expired(row):
                assert answer.outcome == pb.ADD_MEMBER_OUTCOME_ALREADY_MEMBER
            else:
                assert answer.outcome == pb.ADD_MEMBER_OUTCOME_ADDED
                members.add(self.model, place, found[0], terms)

    def update_member(self, choice: Choice) -> None:
        """Change some of what a membership says."""
        place = choice.place()
        terms = {**choice.terms(place), "is_active": choice.often(0.6)}
        names = choice.chance.sample(list(terms), choice.chance.randint(1, 2))
        values = {name: terms[name] for name in names}
        actor = choice.actor(place, "member/update")
        self._update(choice, actor, place, choice.member(place), values)

    def let_a_membership_expire(self, choice: Choice) -> None:
        """Have a membership end soon, and wait for that."""
        place = choice.place()
        actor = choice.actor(place, "member/update")
        self._update(choice, actor, place, choice.member(place), {"expires_at": time.time() + SOON_SECONDS})

    def _update(self, choice: Choice, actor: str, place: PlaceKey, user: str, values: dict[str, Any]) -> None:
        request = pb.UpdateMemberRequest(user_id=user, request_id=choice.request_id(), **named(place))
        request.update_mask.paths.extend(values)
        expires_at = values.get("expires_at")
        if expires_at is not None:
            values["expires_at"] = expires_at = round(expires_at, 3)
        request.MergeFrom(pb.UpdateMemberRequest(**self._fields(values)))
        reasons = members.why_not_update(self.model, actor, place, user, values)
        maybe = set() if expires_at is None or expires_at > time.time() + SOON_SECONDS else {"INVALID_ARGUMENT"}
        if self.call(actor, "memberships.UpdateMember", request, reasons, maybe=maybe):
            members.update(self.model, place, user, values)
            while expires_at is not None and 0 < expires_at - time.time() <= SOON_SECONDS:
                time.sleep(0.01)

    def _fields(self, terms: dict[str, Any]) -> dict[str, Any]:
        fields = dict(terms)
        if "modules" in terms:
            fields["modules"] = listed(terms["modules"])
        if terms.get("expires_at") is not None:
            fields["expires_at"] = Timestamp()
            fields["expires_at"].FromMicroseconds(round(terms["expires_at"] * 1_000_000))
        return fields

    def remove_member(self, choice: Choice) -> None:
        """Remove a member."""
        place = choice.place()
        actor, user = choice.actor(place, "member/remove"), choice.member(place)
        request = pb.RemoveMemberRequest(user_id=user, request_id=choice.request_id(), **named(place))
        reasons = members.why_not_remove(self.model, actor, place, user)
        if self.call(actor, "memberships.RemoveMember", request, reasons):
            members.remove(self.model, actor, place, user)

    def leave(self, choice: Choice) -> None:
        """Leave."""
        place = choice.place()
        actor = choice.member(place)
        request = pb.LeaveRequest(request_id=choice.request_id(), **named(place))
        if self.call(actor, "memberships.Leave", request, members.why_not_leave(self.model, actor, place)):
            members.remove(self.model, actor, place, actor)

    def transfer_ownership(self, choice: Choice) -> None:
        """Pass a workspace on."""
        place = choice.workspace()
        actor = choice.actor(place, "workspace/transfer")
        others = [user for where, user in self.model.memberships if where == place and user != self.model.owner(place)]
        user = choice.one(*others) if others and choice.often(0.8) else choice.member(place)
        request = workspace_states_pb2.TransferOwnershipRequest(
            workspace_id=place[1], user_id=user, request_id=choice.request_id()
        )
        reasons = members.why_not_transfer(self.model, actor, place, user)
        if self.call(actor, "states.TransferOwnership", request, reasons):
            members.transfer(self.model, place, user)


def _said(values: dict[str, Any]) -> dict[str, Any]:
    """Return what is set of a user as the fields of a request."""
    return {field: "" if value is None else value for field, value in values.items()}
