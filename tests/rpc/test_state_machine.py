"""Every writing RPC in any order, against dictionaries that say what each of them should do (product.md 1 to 4)."""

import re
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from tests.oracle.plain_state import PLATFORM
from tests.oracle.tenancy_places import upsert
from tests.oracle.tenancy_rights import is_deactivated, refused
from tests.rpc.bundles import copy_bundle
from tests.rpc.conftest import MakeDatabase, sqlite_database
from tests.rpc.walk.agreeing import disagreements
from tests.rpc.walk.choosing import USERS, Choice
from tests.rpc.walk.joining_rules import JoiningRules
from tests.rpc.walk.member_rules import MemberRules, UserRules
from tests.rpc.walk.place_rules import OrganizationRules, SettingRules, WorkspaceRules
from tests.serving import BUNDLES, Refusal
from wsauthz.policy.catalog import AddById
from wsauthz.rpc.methods import methods
from wsauthz.v1.policy_pb2 import ReloadPolicyRequest
from wsauthz.v1.users_pb2 import UpsertUserRequest

ALWAYS: Final = settings(database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
PICKS: Final = st.integers(0, (1 << 24) - 1)
"""A seed from which a rule chooses everything else."""
WRITES: Final = sorted(method.name for method in methods().values() if method.writes)
SHARE: Final = {
    "AcceptInvitation": 4,
    "AddMember": 4,
    "CreateInvitation": 3,
    "JoinByCode": 4,
    "UpdateMember": 4,
    "DeactivateWorkspace": 1,
    "DeleteOrganization": 1,
    "ReloadPolicy": 1,
    "SetProviders": 1,
    "SetSchedule": 1,
    "SuspendOrganization": 1,
    "SuspendWorkspace": 1,
    "TransferOwnership": 3,
}
"""How often a method is called in comparison with others; 2: all that are not here."""
STEPS: Final = [name for name in WRITES for _ in range(SHARE.get(name, 2))]
STEPS.extend(["Deepen", "Guess", "LetAMembershipExpire", "LetAnInvitationExpire", "Repeat", "Repeat", "Repeat"])
COMING_AND_GOING: Final = [
    *(["AddMember"] * 6),
    *("AddMemberByEmail", "JoinByCode", "Leave", "RemoveMember", "UpdateMember"),
    *("CreateWorkspace", "CreateChildWorkspace", "DeleteAccount", "UpsertUser"),
]
NOBODY_MAY: Final = {"dam": {"SetProviders", "SetSchedule"}, "oneglanse": set[str]()}
"""What a bundle lets nobody do."""


class Everything(JoiningRules, MemberRules, UserRules, WorkspaceRules, OrganizationRules, SettingRules):
    """All that can be done; what is done is drawn by a single rule.

    Of several rules hypothesis leaves out about half in each walk, and we take few walks.
    """

    @initialize(pick=PICKS)
    def begin(self, pick: int) -> None:
        """Begin with users, an organization, and workspaces with members; or with as deep a tree as there may be."""
        for user in USERS[:6]:
            values: dict[str, Any] = {"email": f"{user}@example.com", "email_verified": True}
            self.call("", "users.UpsertUser", UpsertUserRequest(user_id=user, **values), set())
            upsert(self.model, user, values)
            self.everything_is_as_it_should_be()
        adding = "AddMember" if self.shipped.catalog.add_by_id is AddById.ANYBODY else "AddMemberByEmail"
        made = ["CreateOrganization", *["CreateWorkspace"] * 3, "CreateChildWorkspace", *[adding] * 5]
        if pick % 4 == 1:
            made = [*made[:2], *["Deepen"] * 17]
        for number, name in enumerate(made):
            self.take(name, pick + number)
            self.everything_is_as_it_should_be()

    @rule(name=st.sampled_from(STEPS), pick=PICKS)
    def take(self, name: str, pick: int) -> None:
        """Do one thing."""
        method = re.sub("(?<!^)(?=[A-Z])", "_", name).lower()
        getattr(self, method)(Choice(self.model, pick))

    def reload_policy(self, choice: Choice) -> None:
        """Read the bundle again; nothing changes."""
        actor = choice.actor(PLATFORM, "policy/reload")
        reasons = refused(self.model, actor, "policy/reload", PLATFORM)
        self.call(actor, "policy.ReloadPolicy", ReloadPolicyRequest(), reasons)

    def repeat(self, choice: Choice) -> None:
        """Make a call again that had an effect; it has no other one, and the same answer, without secrets."""
        if not self.done:
            return
        actor, method, request, before = choice.one(*self.done)
        found = self.send(actor, method, request)
        note(f"{actor or 'nobody'}: {method} {request.request_id} again")
        if is_deactivated(self.model, actor):
            assert isinstance(found, Refusal)
            assert found.reason == "USER_INACTIVE"
        else:
            assert found == (first := without_secrets(before)), f"{found}\nfirst it was\n{first}"

    def teardown(self) -> None:
        """Ask everything about everybody, if all went well so far; stop serving in any case."""
        try:
            if self.is_sound:
                assert not (wrong := list(disagreements(self))), "\n".join(wrong)
        finally:
            super().teardown()


def without_secrets(answer: Message) -> Message:
    """Return an answer as it is given the second time."""
    again = type(answer)()
    again.CopyFrom(answer)
    for field in answer.DESCRIPTOR.fields:
        if field.GetOptions().debug_redact:
            again.ClearField(field.name)
    return again


def walk(
    make_database: MakeDatabase, bundle: Path, walks: int, steps: int, machine: type[Everything] = Everything
) -> None:
    """Take that many walks of that many steps each, after one in which the same is tried all the time."""
    run_state_machine_as_test(
        partial(machine, make_database, bundle),  # type: ignore[arg-type]  # anything that returns a machine
        settings=settings(ALWAYS, max_examples=1 + walks, stateful_step_count=steps),
    )


@pytest.mark.parametrize(
    ("make_database", "bundle"),
    [("sqlite", "dam"), ("sqlite", "oneglanse"), ("postgresql", "oneglanse")],
    indirect=["make_database"],
)
def test_calls_in_any_order_do_what_the_documents_say(make_database: MakeDatabase, bundle: str) -> None:
    walk(make_database, BUNDLES / bundle, 1, 25)


class Adding(Everything):
    """People come and go, and mostly somebody tries to add one of them by an id."""

    @rule(name=st.sampled_from(COMING_AND_GOING), pick=PICKS)
    def take(self, name: str, pick: int) -> None:
        """Do one thing."""
        super().take(name, pick)


def test_calls_in_any_order_where_only_visible_users_are_added(sqlite_template: Path, tmp_path: Path) -> None:
    bundle = copy_bundle("oneglanse", tmp_path)
    catalog = bundle / "catalog.toml"
    catalog.write_text(catalog.read_text().replace("[joining]\n", '[joining]\nadd_by_id = "visible"\n'), "utf-8")
    Everything.outcomes.clear()
    walk(lambda: sqlite_database(sqlite_template), bundle, 1, 60, Adding)
    added = {outcome for method, outcome in Everything.outcomes if method == "AddMember"}
    assert {"OK", "USER_NOT_FOUND"} <= added


@pytest.mark.soak
@pytest.mark.parametrize("bundle", ["dam", "oneglanse"])
def test_two_thousand_calls_in_any_order_do_what_the_documents_say(
    make_database: MakeDatabase, bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Everything.outcomes.clear()
    walk(make_database, BUNDLES / bundle, 10, 200)
    done = {method for method, outcome in Everything.outcomes if outcome == "OK"}
    with capsys.disabled():
        sys.stdout.write(f"\n{bundle}: {Everything.outcomes.total()} calls\n")
    assert set(WRITES) - done == NOBODY_MAY[bundle]
