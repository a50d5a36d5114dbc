"""The policy in force: what is shown of it, reading it again, and trying another one."""

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.rpc.bundles import copy_bundle
from tests.rpc.conftest import sqlite_database
from tests.rpc.filling import fill, state_of
from tests.rpc.tenants import OPERATOR, STATE, Tenants
from tests.serving import Refusal, Serving, attempt, refusal
from wsauthz.policy.bundle import read_bundle
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.v1 import authorization_pb2
from wsauthz.v1 import policy_pb2 as pb

WORLD: dict[str, Any] = {
    "users": [{"id": "zoe"}],
    "workspaces": [{"id": "w", "owner": "owen"}],
    "memberships": [*STATE["memberships"], {"workspace": "w", "user": "vic", "role": "viewer"}],
}
BROKEN = "p, role:viewer, *, dam:asset/*, read, active, dney"

TEST = """\
- name: a viewer deletes nothing
  given:
    users: [{id: ann}]
    workspaces: [{id: w, owner: bob}]
    memberships: [{workspace: w, user: ann, role: viewer}]
  expect:
    - {subject: ann, workspace: w, check: "dam:asset delete", reason: ROLE_INSUFFICIENT}
"""


class Editable:
    """A server on a copy of a bundle that a test may change."""

    def __init__(self, tenants: Tenants, directory: Path) -> None:
        self.tenants = tenants
        self.directory = directory
        self.rules = directory / "policy.csv"
        self.original = self.rules.read_text()

    def info(self) -> pb.GetPolicyInfoResponse:
        return self.tenants.client().policy.GetPolicyInfo(pb.GetPolicyInfoRequest())

    def reload(self) -> pb.ReloadPolicyResponse:
        return self.tenants.operator.policy.ReloadPolicy(pb.ReloadPolicyRequest())

    def validate(self, **files: str) -> pb.ValidatePolicyResponse:
        request = pb.ValidatePolicyRequest(files={name.replace("_", "."): text for name, text in files.items()})
        return self.tenants.operator.policy.ValidatePolicy(request)

    def write(self, text: str) -> None:
        """Write the rules as an editor does: beside, then in place in one step."""
        beside = self.directory.parent / "policy.csv.new"
        beside.write_text(text)
        beside.replace(self.rules)

    def until(self, version_is_not: str) -> pb.GetPolicyInfoResponse:
        """Wait until another version is in force."""
        deadline = time.monotonic() + 10
        while (info := self.info()).version == version_is_not:
            assert time.monotonic() < deadline, info.problems
            time.sleep(0.02)
        return info


@pytest.fixture
def editable(sqlite_template: Path) -> Iterator[Editable]:
    """Return a server whose bundle may be changed; it has one test, because all of them take their time."""
    with tempfile.TemporaryDirectory(prefix="wsauthz-policy-") as folder, sqlite_database(sqlite_template) as url:
        directory = copy_bundle("dam", Path(folder), tests=False)
        (directory / "tests.yaml").write_text(TEST)
        fill(url, state_of(WORLD), read_bundle(directory, core_vocabulary()).catalog)
        with Serving(url, directory) as server:
            yield Editable(Tenants(server), directory)


# --- GetPolicyInfo ----------------------------------------------------------------------------------------------------


def test_the_whole_catalog_is_shown(sqlite_dam: Tenants) -> None:
    info = sqlite_dam.client().policy.GetPolicyInfo(pb.GetPolicyInfoRequest())
    assert (info.name, len(info.version) > 8, list(info.problems)) == ("dam", True, [])
    assert abs(info.loaded_at.ToSeconds() - time.time()) < 600
    assert not info.HasField("refused_at")
    catalog = info.catalog
    roles = {role.name: role for role in catalog.roles}
    assert set(roles) == {"operator", "organization-owner", "owner", "admin", "member", "viewer"}
    assert (roles["admin"].rank, roles["admin"].title, roles["admin"].assignable) == (40, "Admin", True)
    assert (roles["owner"].assignable, roles["owner"].owner_like) == (False, True)
    assert list(roles["member"].places) == ["organization", "workspace"]
    assert dict(catalog.modules) == {"dam": "Assets", "analytics": "Analytics", "collaboration": "Collaboration"}
    assert set(catalog.permissions) == {"can-manage-workspace", "can-manage-users"}
    resources = {resource.type: resource for resource in catalog.resources}
    assert list(resources["dam:asset"].actions) == ["read", "download", "create", "update", "delete"]
    assert resources["dam:brand"].requires_feature == "branding"
    plans = {plan.name: plan for plan in catalog.plans}
    assert (plans["free"].limits_modules, list(plans["free"].modules)) == (True, ["dam"])
    assert (plans["professional"].limits_modules, plans["professional"].type) == (False, "paid")
    assert "can-create-childWorkspace" in catalog.guards
    assert (catalog.default_workspace_role, catalog.creator_role) == ("member", "admin")
    assert list(catalog.join_methods) == ["invite_code"]


def test_every_answer_names_the_version_in_force(editable: Editable) -> None:
    version = editable.info().version
    assert editable.tenants.check("vic", "w", "dam:asset read").policy_version == version


# --- ReloadPolicy -----------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-149")
def test_reading_the_same_again_changes_nothing(editable: Editable) -> None:
    version = editable.info().version
    assert editable.reload() == pb.ReloadPolicyResponse(version=version, changed=False)


@pytest.mark.req("REQ-149")
def test_a_changed_rule_counts_after_a_reload(editable: Editable) -> None:
    assert editable.tenants.reason("vic", "w", "dam:asset update") == "ROLE_INSUFFICIENT"
    version = editable.info().version
    editable.write(editable.original + "p, role:viewer, *, dam:asset/*, update, active, allow\n")
    answer = editable.reload()
    assert (answer.version != version, list(answer.problems)) == (True, [])
    assert editable.tenants.reason("vic", "w", "dam:asset update") == ""
    assert editable.tenants.check("vic", "w", "dam:asset update").policy_version == answer.version


@pytest.mark.req("REQ-149")
def test_a_changed_file_counts_without_being_asked_to(editable: Editable) -> None:
    version = editable.info().version
    editable.write(editable.original + "p, role:viewer, *, dam:asset/*, update, active, allow\n")
    editable.until(version)
    assert editable.tenants.reason("vic", "w", "dam:asset update") == ""


@pytest.mark.req("REQ-149")
def test_a_broken_file_keeps_the_last_good_one_and_says_so(editable: Editable) -> None:
    version = editable.info().version
    editable.write(editable.original + BROKEN + "\n")
    answer = editable.reload()
    line = len(editable.original.splitlines()) + 1
    assert (answer.version, answer.changed) == (version, False)
    assert [problem for problem in answer.problems if f"policy.csv:{line}" in problem and "dney" in problem]
    info = editable.info()
    assert (info.version, list(info.problems)) == (version, list(answer.problems))
    assert abs(info.refused_at.ToSeconds() - time.time()) < 60
    assert editable.tenants.reason("vic", "w", "dam:asset read") == ""
    editable.write(editable.original)
    assert list(editable.reload().problems) == []
    assert list(editable.info().problems) == []


@pytest.mark.req("REQ-149")
@pytest.mark.parametrize("harm", ["empty", "gone", "half", "binary", "no catalog", "another model", "no directory"])
def test_whatever_is_wrong_decisions_go_on(editable: Editable, harm: str) -> None:
    version = editable.info().version
    if harm == "empty":
        editable.write("")
    elif harm == "gone":
        editable.rules.unlink()
    elif harm == "half":
        editable.write(editable.original[: len(editable.original) // 2])
    elif harm == "binary":
        editable.rules.write_bytes(b"\xff\xfe\x00p, role:admin\n")
    elif harm == "no catalog":
        (editable.directory / "catalog.toml").unlink()
    elif harm == "another model":
        model = editable.directory.parent / "model.conf"
        model.write_text(model.read_text().replace("allow", "deny"))
    else:
        shutil.rmtree(editable.directory)
    answer = editable.reload()
    assert answer.problems
    assert answer.version == version
    assert editable.tenants.check("vic", "w", "dam:asset read").policy_version == version
    assert editable.tenants.reason("vic", "w", "dam:asset read") == ""
    assert editable.tenants.reason("vic", "w", "dam:asset update") == "ROLE_INSUFFICIENT"


@pytest.mark.req("REQ-149")
def test_a_bundle_whose_own_tests_fail_is_refused(editable: Editable) -> None:
    version = editable.info().version
    failing = """\
- name: a viewer reads nothing
  given:
    users: [{id: ann}]
    workspaces: [{id: w, owner: bob}]
    memberships: [{workspace: w, user: ann, role: viewer}]
  expect:
    - {subject: ann, workspace: w, check: "dam:asset read", reason: ROLE_INSUFFICIENT}
"""
    (editable.directory / "tests.yaml").write_text(failing)
    answer = editable.reload()
    assert (answer.version, answer.changed) == (version, False)
    assert any("a viewer reads nothing" in problem for problem in answer.problems)


def test_only_operators_reload_and_validate(sqlite_dam: Tenants) -> None:
    user = sqlite_dam.user()
    for method, request in (("ReloadPolicy", pb.ReloadPolicyRequest()), ("ValidatePolicy", pb.ValidatePolicyRequest())):
        refused = refusal(getattr(sqlite_dam.client(user).policy, method), request)
        assert (refused.code, refused.reason, refused.kind) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "ROLE_INSUFFICIENT",
            "AuthError",
        )
        refused = refusal(getattr(sqlite_dam.client().policy, method), request)
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "ACTOR_REQUIRED")


# --- ValidatePolicy ---------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-149")
def test_the_files_in_force_are_valid_and_have_the_version_in_force(editable: Editable) -> None:
    assert editable.validate() == pb.ValidatePolicyResponse(version=editable.info().version)


@pytest.mark.req("REQ-149")
def test_trying_files_changes_nothing(editable: Editable) -> None:
    version = editable.info().version
    good = editable.validate(policy_csv=editable.original + "p, role:viewer, *, dam:asset/*, update, active, allow\n")
    assert list(good.problems) == []
    assert good.version not in {"", version}
    bad = editable.validate(policy_csv=editable.original + BROKEN + "\n")
    assert bad.version == ""
    assert any("dney" in problem for problem in bad.problems)
    assert editable.info().version == version
    assert list(editable.info().problems) == []
    assert editable.tenants.reason("vic", "w", "dam:asset update") == "ROLE_INSUFFICIENT"


def test_a_version_that_was_tried_is_the_version_that_comes(editable: Editable) -> None:
    text = editable.original + "p, role:viewer, *, dam:asset/*, update, active, allow\n"
    tried = editable.validate(policy_csv=text).version
    editable.write(text)
    editable.reload()
    assert editable.info().version == tried


@pytest.mark.parametrize("name", ["other.csv", "../policy.csv", "policy.csv/x", ""])
def test_a_file_that_is_none_of_a_bundle_is_refused(sqlite_dam: Tenants, name: str) -> None:
    request = pb.ValidatePolicyRequest(files={name: "x"})
    found = attempt(sqlite_dam.client(OPERATOR).policy.ValidatePolicy, request)
    if isinstance(found, Refusal):
        assert found.code == grpc.StatusCode.INVALID_ARGUMENT
    else:
        assert found.problems
        assert not found.version


# --- under load -------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-149")
def test_while_bundles_come_and_go_every_answer_is_of_one_of_them(editable: Editable) -> None:
    """One bundle lets viewers update and not download, the other the reverse; a mixture would show."""
    both = {
        "update": editable.original + "p, role:viewer, *, dam:asset/*, update, active, allow\n",
        "download": editable.original + "p, role:viewer, *, dam:asset/*, download, active, allow\n",
    }
    versions: dict[str, str] = {}
    for allowed, text in both.items():
        editable.write(text)
        versions[editable.reload().version] = allowed
    item = authorization_pb2.BatchCheckItem(
        subject="vic", workspace_id="w", resource="dam:asset", actions=["update", "download"]
    )
    request = authorization_pb2.BatchCheckRequest(items=[item] * 20)
    stop = threading.Event()
    wrong: list[Any] = []
    seen: set[str] = set()

    def ask() -> None:
        client = editable.tenants.client().authorization
        while not stop.is_set():
            answer = client.BatchCheck(request)
            allowed = {
                action
                for number, one in enumerate(answer.answers)
                for action in (item.actions[number % 2],)
                if one.decision == authorization_pb2.DECISION_ALLOW
            }
            seen.add(answer.policy_version)
            if allowed != {versions.get(answer.policy_version)}:
                wrong.append((answer.policy_version, allowed))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(20):
        editable.write(list(both.values())[turn % 2])
        assert not editable.reload().problems
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert seen == set(versions)


# --- tests.yaml is lost -----------------------------------------------------------------------------------------------

UNSAFE = "p, role:viewer, *, dam:asset/*, delete, active, allow\n"


@pytest.mark.req("REQ-149")
@pytest.mark.parametrize("left", [None, "", "# later\n", "[]\n", "---\n", "null\n"])
def test_a_bundle_with_tests_is_not_replaced_by_one_without(editable: Editable, left: str | None) -> None:
    """The tests would have rejected the new rules."""
    version = editable.info().version
    tests = editable.directory / "tests.yaml"
    if left is None:
        tests.unlink()
    else:
        tests.write_text(left)
    editable.write(editable.original + UNSAFE)
    answer = editable.reload()
    assert (answer.version, answer.changed) == (version, False)
    assert [problem.partition(":")[0] for problem in answer.problems] == ["tests.yaml"]
    assert list(editable.info().problems) == list(answer.problems)
    assert editable.tenants.reason("vic", "w", "dam:asset delete") == "ROLE_INSUFFICIENT"
    tests.write_text(TEST)
    assert any("a viewer deletes nothing" in problem for problem in editable.reload().problems)


@pytest.mark.req("REQ-149")
def test_files_that_would_lose_the_tests_are_not_valid(editable: Editable) -> None:
    tried = editable.validate(tests_yaml="")
    assert (tried.version, [problem.partition(":")[0] for problem in tried.problems]) == ("", ["tests.yaml"])
