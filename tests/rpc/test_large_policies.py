"""Policies that would take too long are refused wherever they come from, and their work ends with the call."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import psutil
import pytest

from tests.audited import until
from tests.policy.test_judging import HEAVY, judges
from tests.policy.test_sizes import catalog, rules
from tests.rpc.filling import fill, state_of
from tests.rpc.tenants import STATE, Tenants
from tests.rpc.test_policy import TEST, Editable
from tests.serving import BUNDLES, Serving
from wsauthz.policy.bundle import BundleRefused, read_bundle
from wsauthz.policy.current import CurrentPolicy
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.server import Server
from wsauthz.v1 import policy_pb2 as pb

TOO_LARGE = {"catalog.toml": catalog(roles=900, types=300, actions=10), "policy.csv": rules(900)}
WHY = "policy.csv: actions that rules are about, each counted for every rule: 2,712,124, at most 100,000"
VALID = {**HEAVY, "tests.yaml": TEST}
del VALID["model.conf"]
SLOW = {name: text for name, text in HEAVY.items() if name != "model.conf"}
"""Some seconds of work, within every limit of size."""


@pytest.fixture
def editable(sqlite_url: str, tmp_path: Path) -> Iterator[Editable]:
    directory = tmp_path / "policies" / "dam"
    directory.mkdir(parents=True)
    for path in (*(BUNDLES / "dam").iterdir(), BUNDLES / "model.conf"):
        (directory.parent / path.name if path.name == "model.conf" else directory / path.name).write_text(
            path.read_text()
        )
    (directory / "tests.yaml").write_text(TEST)
    fill(sqlite_url, state_of(STATE), read_bundle(directory, core_vocabulary()).catalog)
    with Serving(sqlite_url, directory) as server:
        yield Editable(Tenants(server), directory)


def write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (directory / name).write_text(text)


def test_what_would_take_minutes_to_compile_is_refused_wherever_it_comes_from(
    editable: Editable, sqlite_url: str
) -> None:
    version = editable.info().version
    asked = pb.ValidatePolicyRequest(files=TOO_LARGE)
    validate = editable.tenants.operator.policy.ValidatePolicy
    assert validate(asked, timeout=60) == pb.ValidatePolicyResponse(problems=[WHY])
    write(editable.directory, TOO_LARGE)
    answer = editable.tenants.operator.policy.ReloadPolicy(pb.ReloadPolicyRequest(), timeout=60)
    assert answer == pb.ReloadPolicyResponse(version=version, problems=[WHY])
    with pytest.raises(BundleRefused, match="at most 100,000"):
        CurrentPolicy(editable.directory, core_vocabulary())
    with pytest.raises(BundleRefused, match="at most 100,000"):
        Server(editable.tenants.server.settings)


def test_a_large_bundle_that_is_allowed_is_put_in_force(editable: Editable) -> None:
    version = editable.info().version
    valid = editable.tenants.operator.policy.ValidatePolicy(pb.ValidatePolicyRequest(files=VALID), timeout=100)
    assert (bool(valid.version), list(valid.problems), editable.info().version) == (True, [], version)
    write(editable.directory, VALID)
    answer = editable.tenants.operator.policy.ReloadPolicy(pb.ReloadPolicyRequest(), timeout=100)
    assert (answer.version, answer.changed) == (valid.version, True)
    until(judges, lambda found: not found)


def hold(count: int = 1) -> None:
    """Wait until so many processes judge, and have them stand still: only killing them ends them now."""
    for process in until(judges, lambda found: len(found) == count):
        psutil.Process(process).suspend()


def test_the_work_ends_when_its_caller_is_gone(editable: Editable) -> None:
    call = editable.tenants.operator.policy.ValidatePolicy.future(pb.ValidatePolicyRequest(files=SLOW), timeout=600)
    hold()
    call.cancel()
    until(judges, lambda found: not found)


def test_the_work_ends_when_the_server_stops(editable: Editable) -> None:
    write(editable.directory, SLOW)  # read by itself, in a thread that would be waited for
    hold()
    call = editable.tenants.operator.policy.ValidatePolicy.future(pb.ValidatePolicyRequest(files=SLOW), timeout=600)
    hold(2)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(editable.tenants.server.run, editable.tenants.server.server.stop()).result()
    until(judges, lambda found: not found)
    assert call.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
