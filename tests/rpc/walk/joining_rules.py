"""Rules for invitations and codes."""

import secrets
import time
from typing import Any

from tests.oracle import tenancy_joining as joining
from tests.oracle.plain_state import PlaceKey
from tests.oracle.tenancy_rights import is_pending, refused
from tests.rpc.walk.choosing import DAY_SECONDS, UNKNOWN, Choice, listed
from tests.rpc.walk.member_rules import SOON_SECONDS
from tests.rpc.walk.walk import Walk
from wsauthz.v1 import invitations_pb2 as pb

CLOSED = {"WORKSPACE_SUSPENDED", "WORKSPACE_INACTIVE"}


class JoiningRules(Walk):
    """Inviting and being invited, rotating codes and joining by them."""

    def create_invitation(self, choice: Choice) -> None:
        """Invite an address."""
        self._invite(choice, seconds=3 * DAY_SECONDS)

    def let_an_invitation_expire(self, choice: Choice) -> None:
        """Invite an address for a moment only."""
        self._invite(choice, seconds=SOON_SECONDS)

    def _invite(self, choice: Choice, *, seconds: float) -> None:
        place, email = choice.invited()
        actor = choice.actor(place, "invitation/create")
        modules = choice.modules() if choice.often(0.2) else None
        until = choice.later() if choice.often(0.3) else None
        terms: dict[str, Any] = {"role": choice.role(place), "modules": modules, "membership_expires_at": until}
        expires_at = round(time.time() + seconds, 3)
        request = pb.CreateInvitationRequest(
            workspace_id=place[1],
            email=f" {email.upper()}",
            role=terms["role"],
            modules=listed(modules),
            request_id=choice.request_id(),
        )
        request.expires_at.FromMicroseconds(round(expires_at * 1_000_000))
        if until is not None:
            request.membership_expires_at.FromMicroseconds(round(until * 1_000_000))
            expires_at = min(expires_at, until)
        reasons = joining.why_not_invite(self.model, actor, place, email, terms)
        # That nobody is invited to a place that is closed now is as good as that nobody gets in then.
        maybe = self.model.has_room_for(place) if place[1] in self.model.workspaces else set()
        maybe |= {"INVALID_ARGUMENT"} if seconds == SOON_SECONDS else set()
        if answer := self.call(actor, "invitations.CreateInvitation", request, reasons, maybe=maybe):
            invited = {"workspace_id": place[1], "email": email, "invited_by": actor, "token": answer.token}
            assert answer.invitation.expires_at.ToMicroseconds() == round(expires_at * 1_000_000)
            joining.invite(self.model, answer.invitation.id, {**invited, **terms, "expires_at": expires_at})
            while seconds == SOON_SECONDS and time.time() <= expires_at:
                time.sleep(0.01)

    def revoke_invitation(self, choice: Choice) -> None:
        """Revoke an invitation, mostly of the workspace it is to."""
        key = choice.one(*self.model.invitations, "invitation_unknown")
        found = self.model.invitations.get(key)
        place: PlaceKey = choice.workspace()
        if found is not None and choice.often(0.9):
            place = ("workspace", found["workspace_id"])
        actor = choice.actor(place, "invitation/revoke")
        request = pb.RevokeInvitationRequest(workspace_id=place[1], invitation_id=key, request_id=choice.request_id())
        reasons = joining.why_not_revoke(self.model, actor, place, key)
        lapsed = found is not None and found["status"] == "open" and not is_pending(found)
        if self.call(actor, "invitations.RevokeInvitation", request, reasons, is_vague=lapsed):
            self.model.invitations[key]["status"] = "dead"

    def accept_invitation(self, choice: Choice) -> None:
        """Accept an invitation, mostly one's own."""
        if not self.model.invitations:
            return
        pending = [each for each in self.model.invitations.values() if is_pending(each)]
        found = choice.one(*(pending if pending and choice.often(0.7) else self.model.invitations.values()))
        meant = [user for user, row in self.model.users.items() if row["email"] == found["email"]]
        actor = meant[0] if meant and choice.often(0.85) else choice.user()
        token = found["token"]
        if choice.often(0.03):
            found, token = None, secrets.token_hex(32)
        request = pb.AcceptInvitationRequest(token=token, request_id=choice.request_id())
        reasons = joining.why_not_accept(self.model, actor, found)
        if answer := self.call(actor, "invitations.AcceptInvitation", request, reasons, counts=True):
            assert answer.already_member == joining.accept(self.model, actor, found)

    def rotate_invite_code(self, choice: Choice) -> None:
        """Replace a code, or switch joining by code off."""
        place = choice.workspace()
        actor, disable = choice.actor(place, "invite_code/rotate"), choice.often(0.4)
        request = pb.RotateInviteCodeRequest(workspace_id=place[1], disable=disable, request_id=choice.request_id())
        reasons = refused(self.model, actor, "invite_code/rotate", place)
        if self.call(actor, "invitations.RotateInviteCode", request, reasons):
            before = self.model.codes[place[1]]
            self.dead_codes.append(before[0])
            if before[1] or not disable:
                self.learn_code(place[1])

    def join_by_code(self, choice: Choice) -> None:
        """Try a code of some form."""
        place, actor = choice.comer()
        code = self._code(choice, place)
        fresh = [user for user in (actor, choice.user(), choice.user()) if self.model.failures[user] < 9]
        actor = fresh[0] if fresh else actor
        request = pb.JoinByCodeRequest(code=code, request_id=choice.request_id())
        reasons = joining.why_not_join(self.model, actor, code)
        found = joining.led_to(self.model, code)
        maybe: set[str] = set()
        if len(found) == 1 and self.model.member(("workspace", found[0]), actor) is not None:
            # Whoever is in there already may be told so even while nobody gets in.
            reasons, maybe = reasons - CLOSED, reasons & CLOSED
        answer = self.call(actor, "invitations.JoinByCode", request, reasons, maybe=maybe, counts=True)
        if answer:
            if len(found) > 1:
                assert {each.id for each in answer.select_workspace.workspaces} == set(found)
            else:
                assert answer.joined.workspace.id == found[0]
                assert answer.joined.already_member == joining.join(self.model, actor, found[0])

    def guess(self, choice: Choice) -> None:
        """Have one user try more codes than it may, none of which leads anywhere."""
        actor = choice.user()
        for _ in range(joining.MOST_FAILURES + 1):
            code = f"guess-{choice.model.tick()}"
            reasons = joining.why_not_join(self.model, actor, code)
            self.call(actor, "invitations.JoinByCode", pb.JoinByCodeRequest(code=code), reasons, counts=True)

    def _code(self, choice: Choice, place: PlaceKey) -> str:
        row = self.model.workspaces.get(place[1])
        if row is None or choice.often(0.05):
            return str(choice.one("", " ", UNKNOWN, "north", *self.dead_codes))
        organization = row["organization_id"] or "none"
        slug = self.model.organizations.get(organization, {"slug": "none"})["slug"]
        code = self.model.codes[place[1]][0]
        ways = self.policy.catalog["joining"]["methods"]
        if code and choice.often(0.5 if len(ways) > 1 else 0.9):
            return str(choice.one(f" {code} ", code.lower(), f"{code[:4]}-{code[4:9]} {code[9:]}"))
        both = (f"{slug}/{row['slug']}", f"{organization}:{place[1]}", f" {slug} / {row['slug']} ")
        return str(choice.one(place[1], *both, slug, organization))
