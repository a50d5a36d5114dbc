"""The cron schedule of a workspace, and the scheduler that is told of it."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from tests.databases import Databases
from tests.postgres import connect
from tests.rpc.filling import fill, state_of
from tests.rpc.tenants import STATE, Tenants
from tests.serving import BUNDLES, Refusal, Serving, refusal
from wsauthz.policy.bundle import read_bundle
from wsauthz.rpc.methods import core_vocabulary
from wsauthz.settings import Settings, SettingsRefused
from wsauthz.v1 import audit_pb2, organizations_pb2, users_pb2, workspaces_pb2
from wsauthz.v1 import settings_pb2 as pb

NEVER = "0 0 */31 * 1#5"
"""The first of a month, when that is its fifth Monday."""


@pytest.fixture
def workspace(oneglanse: Tenants) -> tuple[str, str]:
    """Return a new owner and its new workspace."""
    owner = oneglanse.user()
    return owner, oneglanse.workspace(owner).id


def get(tenants: Tenants, actor: str, workspace: str) -> pb.GetScheduleResponse:
    return tenants.client(actor).settings.GetSchedule(pb.GetScheduleRequest(workspace_id=workspace))


def set_schedule(tenants: Tenants, actor: str, workspace: str, schedule: str | None) -> pb.SetScheduleResponse:
    request = pb.SetScheduleRequest(workspace_id=workspace, schedule=schedule)
    return tenants.client(actor).settings.SetSchedule(request)


def setting(tenants: Tenants, actor: str, workspace: str, schedule: str) -> Refusal:
    request = pb.SetScheduleRequest(workspace_id=workspace, schedule=schedule)
    return refusal(tenants.client(actor).settings.SetSchedule, request)


def failures(tenants: Tenants) -> float | None:
    return tenants.server.server.metrics.registry.get_sample_value("wsauthz_schedule_failures_total")


# --- the value --------------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-041", "REQ-062")
def test_a_new_workspace_has_none(oneglanse: Tenants, workspace: tuple[str, str]) -> None:
    assert get(oneglanse, *workspace) == pb.GetScheduleResponse()


@pytest.mark.req("REQ-062")
def test_a_schedule_is_set_and_says_when_it_comes_round_next(oneglanse: Tenants, workspace: tuple[str, str]) -> None:
    began = datetime.now(UTC)
    written = set_schedule(oneglanse, *workspace, "*/5 * * * *")
    shown = get(oneglanse, *workspace)
    assert written.schedule == shown.schedule == "*/5 * * * *"
    for answer in (written, shown):
        at = answer.next_run_at.ToDatetime(tzinfo=UTC)
        assert began < at <= datetime.now(UTC) + timedelta(minutes=5)
        assert (at.minute % 5, at.second, at.microsecond) == (0, 0, 0)
    request = workspaces_pb2.GetWorkspaceRequest(workspace_id=workspace[1])
    found = oneglanse.client(workspace[0]).workspaces.GetWorkspace(request).workspace
    assert found.schedule == "*/5 * * * *"


@pytest.mark.req("REQ-062")
def test_times_are_in_utc(oneglanse: Tenants, workspace: tuple[str, str]) -> None:
    at = set_schedule(oneglanse, *workspace, "30 14 * * *").next_run_at.ToDatetime(tzinfo=UTC)
    assert (at.hour, at.minute) == (14, 30)


@pytest.mark.req("REQ-062")
@pytest.mark.parametrize("nothing", [None, "", "  ", "\t\n"])
def test_nothing_clears_it(oneglanse: Tenants, workspace: tuple[str, str], nothing: str | None) -> None:
    set_schedule(oneglanse, *workspace, "0 9 * * 1")
    cleared = set_schedule(oneglanse, *workspace, nothing)
    assert not cleared.HasField("schedule")
    assert not cleared.HasField("next_run_at")
    assert get(oneglanse, *workspace) == pb.GetScheduleResponse()


def test_white_space_is_no_part_of_it(oneglanse: Tenants, workspace: tuple[str, str]) -> None:
    given = "  0   9\t* *" + " " * 100 + "mon-FRI \n"
    assert set_schedule(oneglanse, *workspace, given).schedule == "0 9 * * mon-FRI"


@pytest.mark.parametrize("schedule", ["0 0 L * *", "0 9 * jan 1#2", "1-59/2 0,12 1,15 */2 5L", "*/1 " * 4 + "0" * 48])
def test_what_the_library_takes_is_taken(oneglanse: Tenants, workspace: tuple[str, str], schedule: str) -> None:
    assert set_schedule(oneglanse, *workspace, schedule).HasField("next_run_at")


@pytest.mark.req("REQ-062")
@pytest.mark.parametrize(
    "schedule",
    [
        "hello",
        "* * * *",
        "* * * * * *",
        "@daily",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "0 0 31 2 *",
        "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,2 * * * *",
        "* * * * * ; DROP TABLE workspaces",
        "0 0 * * \0",
        "0 0 * * 1\x1b",
        "0\x1c0 * * *",
        "0\n0 * * *",
        "0\u00a00 * * *",
        "0 0 * * \u017fun",
        "\u0660 * * * *",
        "* " * 5_000,
    ],
    ids=lambda schedule: repr(schedule[:20]),
)
def test_what_is_no_cron_expression(oneglanse: Tenants, workspace: tuple[str, str], schedule: str) -> None:
    set_schedule(oneglanse, *workspace, "0 9 * * 1")
    refused = setting(oneglanse, *workspace, schedule)
    assert (refused.code, refused.reason, refused.fields, refused.kind) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_CRON",
        ("schedule",),
        "ValidationError",
    )
    assert get(oneglanse, *workspace).schedule == "0 9 * * 1"


def test_64_characters_are_the_most(oneglanse: Tenants, workspace: tuple[str, str]) -> None:
    longest = "0" * 56 + " * * * *"
    assert set_schedule(oneglanse, *workspace, longest).schedule == longest
    assert setting(oneglanse, *workspace, "0" + longest).reason == "INVALID_CRON"


@pytest.mark.req("REQ-062")
def test_one_that_never_comes_round_has_no_next_time(oneglanse: Tenants, workspace: tuple[str, str]) -> None:
    written = set_schedule(oneglanse, *workspace, NEVER)
    assert written.schedule == NEVER
    assert not written.HasField("next_run_at")
    assert not get(oneglanse, *workspace).HasField("next_run_at")


def test_the_same_again_changes_no_revision(oneglanse: Tenants, workspace: tuple[str, str]) -> None:
    set_schedule(oneglanse, *workspace, "0 9 * * 1")
    before = oneglanse.revision
    assert set_schedule(oneglanse, *workspace, " 0  9 * * 1").schedule == "0 9 * * 1"
    assert oneglanse.revision == before
    set_schedule(oneglanse, *workspace, None)
    after = oneglanse.revision
    set_schedule(oneglanse, *workspace, "")
    assert before != after == oneglanse.revision


@pytest.mark.req("REQ-062")
def test_members_look_and_permitted_ones_set(oneglanse: Tenants, workspace: tuple[str, str]) -> None:
    owner, workspace_id = workspace
    member = oneglanse.member(owner, workspace_id)
    assert get(oneglanse, member, workspace_id) == pb.GetScheduleResponse()
    refused = setting(oneglanse, member, workspace_id, "0 9 * * 1")
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_INSUFFICIENT")
    permitted = oneglanse.member(owner, workspace_id, permissions=["can-configure-runs"])
    assert set_schedule(oneglanse, permitted, workspace_id, "0 9 * * 1").schedule == "0 9 * * 1"


def test_a_foreign_workspace_is_as_unknown_as_none(oneglanse: Tenants, workspace: tuple[str, str]) -> None:
    stranger = oneglanse.user()
    foreign = setting(oneglanse, stranger, workspace[1], "0 9 * * 1")
    assert foreign == setting(oneglanse, stranger, "workspace_unknown", "0 9 * * 1")
    assert (foreign.code, foreign.reason) == (grpc.StatusCode.NOT_FOUND, "WORKSPACE_NOT_FOUND")


@pytest.mark.req("REQ-062")
def test_an_imported_one_that_nobody_can_read_has_no_next_time(sqlite_url: str) -> None:
    state = {**STATE, "workspaces": [{"id": "w", "owner": "ann", "schedule": "whenever"}]}
    fill(sqlite_url, state_of(state), read_bundle(BUNDLES / "oneglanse", core_vocabulary()).catalog)
    with Serving(sqlite_url, BUNDLES / "oneglanse") as server:
        found = get(Tenants(server), "root", "w")
    assert (found.schedule, found.HasField("next_run_at")) == ("whenever", False)


# --- the scheduler ----------------------------------------------------------------------------------------------------


@pytest.mark.req("REQ-063")
def test_without_a_scheduler_nothing_is_synced_and_nothing_fails(
    oneglanse: Tenants, workspace: tuple[str, str]
) -> None:
    assert not set_schedule(oneglanse, *workspace, "0 9 * * 1").scheduler_synced
    assert not set_schedule(oneglanse, *workspace, None).scheduler_synced
    assert failures(oneglanse) == 0


def test_pg_cron_needs_postgresql() -> None:
    given = {"WSAUTHZ_SCHEDULER": "pg_cron", "WSAUTHZ_DATABASE_URL": "sqlite:///w.db"}
    with pytest.raises(SettingsRefused, match="WSAUTHZ_SCHEDULER: pg_cron needs a PostgreSQL database"):
        Settings.from_environment(given)
    with pytest.raises(SettingsRefused, match="WSAUTHZ_SCHEDULER: must be none or pg_cron"):
        Settings.from_environment({"WSAUTHZ_SCHEDULER": "cron"})


CRON = """
CREATE SCHEMA cron;
CREATE TABLE cron.job (
    jobid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schedule text NOT NULL,
    command text NOT NULL,
    username text NOT NULL DEFAULT current_user,
    jobname text,
    UNIQUE (jobname, username)
);
CREATE FUNCTION cron.schedule(job_name text, schedule text, command text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
BEGIN
    IF schedule !~ '^[0-9*/, -]+$' THEN
        RAISE EXCEPTION 'invalid schedule: %', schedule USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO cron.job AS old (jobname, schedule, command) VALUES (job_name, schedule, command)
    ON CONFLICT ON CONSTRAINT job_jobname_username_key
    DO UPDATE SET schedule = EXCLUDED.schedule, command = EXCLUDED.command RETURNING jobid INTO found;
    RETURN found;
END $$;
CREATE FUNCTION cron.unschedule(job_name text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM cron.job WHERE jobname = job_name AND username = current_user;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'could not find valid entry for job ''%''', job_name;
    END IF;
    RETURN true;
END $$;
"""
"""The part of pg_cron that is used: the same names, signatures and behaviour, in SQL. The extension is a C library that
the PostgreSQL of the tests does not have."""

RAISING = "BEGIN RAISE EXCEPTION 'the secret canary of %', job_name; END"
HANGING = "BEGIN PERFORM pg_sleep(60); RETURN 1; END"
DYING = "BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN 1; END"


@pytest.fixture(scope="module")
def with_scheduler(postgresql_databases: Databases) -> Iterator[Tenants]:
    """Return a server with pg_cron as its scheduler, on a database without it."""
    with postgresql_databases.lend() as url:
        fill(url, state_of(STATE), read_bundle(BUNDLES / "oneglanse", core_vocabulary()).catalog)
        with Serving(url, BUNDLES / "oneglanse", scheduler="pg_cron") as server:
            yield Tenants(server)


@pytest.fixture
def cron(with_scheduler: Tenants) -> Tenants:
    """Return the server with what ``CRON`` says, without a job and a failure."""
    sql(with_scheduler, f"DROP SCHEMA IF EXISTS cron CASCADE; {CRON}")
    with_scheduler.server.server.metrics.schedule_failures = 0
    return with_scheduler


def sql(tenants: Tenants, statement: str) -> list[Any]:
    """Run a statement beside the server and return its rows."""
    with connect(tenants.server.database_url, autocommit=True) as connection:
        found = connection.execute(statement.encode())
        return found.fetchall() if found.description else []


def jobs(tenants: Tenants) -> dict[str, tuple[str, str]]:
    """Return schedule and command by the name of the job."""
    return {name: rest for name, *rest in sql(tenants, "SELECT jobname, schedule, command FROM cron.job")}


def schedules_in(tenants: Tenants) -> dict[str, str]:
    return {name: schedule for name, (schedule, _command) in jobs(tenants).items()}


def replace_schedule(tenants: Tenants, body: str) -> None:
    """Have the scheduler do something else than it should."""
    signature = "cron.schedule(job_name text, schedule text, command text) RETURNS bigint"
    sql(tenants, f"CREATE OR REPLACE FUNCTION {signature} LANGUAGE plpgsql AS $$ {body} $$")


@pytest.mark.req("REQ-063")
def test_the_scheduler_has_one_job_for_each_workspace(cron: Tenants) -> None:
    owner = cron.user()
    one, other = cron.workspace(owner).id, cron.workspace(owner).id
    assert set_schedule(cron, owner, one, "0 9 * * 1").scheduler_synced
    assert set_schedule(cron, owner, other, "0 10 * * 1").scheduler_synced
    assert set_schedule(cron, owner, one, "0  11 * * 1").scheduler_synced
    assert schedules_in(cron) == {f"wsauthz_{one}": "0 11 * * 1", f"wsauthz_{other}": "0 10 * * 1"}
    assert set_schedule(cron, owner, one, None).scheduler_synced
    assert schedules_in(cron) == {f"wsauthz_{other}": "0 10 * * 1"}
    assert failures(cron) == 0


@pytest.mark.req("REQ-063")
def test_the_job_notifies_with_the_id_of_the_workspace(cron: Tenants) -> None:
    owner = cron.user()
    workspace = cron.workspace(owner).id
    set_schedule(cron, owner, workspace, "0 9 * * 1")
    ((_schedule, command),) = jobs(cron).values()
    assert command == f"SELECT pg_notify('wsauthz_schedule', '{workspace}')"
    with connect(cron.server.database_url, autocommit=True) as connection:
        connection.execute("LISTEN wsauthz_schedule")
        sql(cron, command)
        heard = next(connection.notifies(timeout=10))
    assert (heard.channel, heard.payload) == ("wsauthz_schedule", workspace)


@pytest.mark.req("REQ-063")
def test_clearing_what_the_scheduler_does_not_have_is_no_failure(cron: Tenants) -> None:
    owner = cron.user()
    workspace = cron.workspace(owner).id
    assert set_schedule(cron, owner, workspace, None).scheduler_synced
    set_schedule(cron, owner, workspace, "0 9 * * 1")
    sql(cron, "DELETE FROM cron.job")
    assert set_schedule(cron, owner, workspace, None).scheduler_synced
    assert failures(cron) == 0


def test_the_same_again_leaves_the_scheduler_alone(cron: Tenants) -> None:
    owner = cron.user()
    workspace = cron.workspace(owner).id
    set_schedule(cron, owner, workspace, "0 9 * * 1")
    before = cron.revision
    replace_schedule(cron, RAISING)
    assert set_schedule(cron, owner, workspace, "0 9 * * 1").scheduler_synced
    assert (cron.revision, failures(cron)) == (before, 0)


def test_jobs_of_other_users_of_the_scheduler_are_not_touched(cron: Tenants) -> None:
    owner = cron.user()
    workspace = cron.workspace(owner).id
    sql(
        cron, f"INSERT INTO cron.job (jobname, schedule, command, username) VALUES ('wsauthz_{workspace}', '', '', 'x')"
    )
    set_schedule(cron, owner, workspace, "0 9 * * 1")
    set_schedule(cron, owner, workspace, None)
    assert sql(cron, "SELECT username FROM cron.job") == [("x",)]


@pytest.mark.req("REQ-063")
def test_a_deleted_workspace_leaves_no_job_behind(cron: Tenants) -> None:
    owner = cron.user()
    going, staying = cron.workspace(owner).id, cron.workspace(owner).id
    for workspace in (going, staying):
        set_schedule(cron, owner, workspace, "0 9 * * 1")
    request = workspaces_pb2.DeleteWorkspaceRequest(workspace_id=going)
    cron.client(owner).workspaces.DeleteWorkspace(request)
    assert list(schedules_in(cron)) == [f"wsauthz_{staying}"]


@pytest.mark.req("REQ-063")
def test_a_deleted_organization_leaves_no_job_behind(cron: Tenants) -> None:
    owner = cron.user()
    organization = cron.organization(owner).id
    set_schedule(cron, owner, cron.workspace(owner, organization_id=organization).id, "0 9 * * 1")
    assert schedules_in(cron)
    request = organizations_pb2.DeleteOrganizationRequest(organization_id=organization)
    cron.client(owner).organizations.DeleteOrganization(request)
    assert schedules_in(cron) == {}


@pytest.mark.req("REQ-063")
def test_a_deleted_account_leaves_no_job_behind(cron: Tenants) -> None:
    owner = cron.user()
    organization = cron.organization(owner).id
    set_schedule(cron, owner, cron.workspace(owner, organization_id=organization).id, "0 9 * * 1")
    cron.client(owner).users.DeleteAccount(users_pb2.DeleteAccountRequest(user_id=owner))
    assert schedules_in(cron) == {}


# --- a scheduler that fails -------------------------------------------------------------------------------------------


def check_stored_but_not_synced(tenants: Tenants, caplog: pytest.LogCaptureFixture, problem: str) -> None:
    """Set a schedule: the value is stored and audited, the failure is a warning and counted."""
    owner = tenants.user()
    workspace = tenants.workspace(owner).id
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        answer = set_schedule(tenants, owner, workspace, "0 9 * * 1")
    assert (answer.schedule, answer.scheduler_synced, answer.HasField("next_run_at")) == ("0 9 * * 1", False, True)
    assert get(tenants, owner, workspace).schedule == "0 9 * * 1"
    assert failures(tenants) == 1
    (warning,) = [record for record in caplog.records if record.name.startswith("wsauthz")]
    assert (warning.levelname, getattr(warning, "problem", "")) == ("WARNING", problem)
    assert "canary" not in caplog.text
    assert "SELECT" not in str(vars(warning))
    assert sql(tenants, "SELECT after->>'is_scheduler_synced' FROM audit_entries ORDER BY number DESC LIMIT 1") == [
        ("false",)
    ]
    verified = tenants.operator.audit.VerifyAudit(audit_pb2.VerifyAuditRequest())
    assert verified.problem == ""


@pytest.mark.req("REQ-063", "REQ-150")
def test_a_database_without_the_extension(cron: Tenants, caplog: pytest.LogCaptureFixture) -> None:
    sql(cron, "DROP SCHEMA cron CASCADE")
    check_stored_but_not_synced(cron, caplog, "UndefinedTable")


@pytest.mark.req("REQ-063", "REQ-150")
def test_a_scheduler_that_raises(cron: Tenants, caplog: pytest.LogCaptureFixture) -> None:
    replace_schedule(cron, RAISING)
    check_stored_but_not_synced(cron, caplog, "RaiseException")
    assert schedules_in(cron) == {}


@pytest.mark.req("REQ-063", "REQ-150")
def test_a_scheduler_that_hangs(cron: Tenants, caplog: pytest.LogCaptureFixture) -> None:
    replace_schedule(cron, HANGING)
    check_stored_but_not_synced(cron, caplog, "QueryCanceled")


@pytest.mark.req("REQ-063")
def test_what_only_the_library_understands_is_stored_all_the_same(cron: Tenants) -> None:
    owner = cron.user()
    workspace = cron.workspace(owner).id
    set_schedule(cron, owner, workspace, "0 9 * * 1")
    answer = set_schedule(cron, owner, workspace, "0 9 * * 1#2")
    assert (answer.schedule, answer.scheduler_synced, answer.HasField("next_run_at")) == ("0 9 * * 1#2", False, True)
    assert list(schedules_in(cron).values()) == ["0 9 * * 1"]


@pytest.mark.req("REQ-063")
def test_setting_it_again_tells_a_scheduler_that_did_not_take_it(cron: Tenants) -> None:
    owner = cron.user()
    workspace = cron.workspace(owner).id
    sql(cron, "ALTER TABLE cron.job RENAME TO away")
    assert not set_schedule(cron, owner, workspace, "0 9 * * 1").scheduler_synced
    before = cron.revision
    assert not set_schedule(cron, owner, workspace, "0 9 * * 1").scheduler_synced
    assert cron.revision == before
    sql(cron, "ALTER TABLE cron.away RENAME TO job")
    assert set_schedule(cron, owner, workspace, "0 9 * * 1").scheduler_synced
    assert schedules_in(cron) == {f"wsauthz_{workspace}": "0 9 * * 1"}


@pytest.mark.req("REQ-063")
def test_a_workspace_is_deleted_though_the_scheduler_fails(cron: Tenants) -> None:
    owner = cron.user()
    workspace = cron.workspace(owner).id
    set_schedule(cron, owner, workspace, "0 9 * * 1")
    sql(cron, "DROP SCHEMA cron CASCADE")
    request = workspaces_pb2.DeleteWorkspaceRequest(workspace_id=workspace)
    assert cron.client(owner).workspaces.DeleteWorkspace(request).deleted_workspaces == 1
    assert failures(cron) == 1


def test_a_connection_that_breaks_is_trouble_with_the_storage(cron: Tenants) -> None:
    owner = cron.user()
    workspace = cron.workspace(owner).id
    replace_schedule(cron, DYING)
    refused = setting(cron, owner, workspace, "0 9 * * 1")
    assert refused.code == grpc.StatusCode.UNAVAILABLE
    assert get(cron, owner, workspace) == pb.GetScheduleResponse()
    assert (failures(cron), cron.workspace(owner).name) == (0, "North")


def test_a_write_that_fails_after_all_leaves_no_job(cron: Tenants) -> None:
    owner = cron.user()
    workspace = cron.workspace(owner).id
    sql(cron, "ALTER TABLE audit_entries ADD CONSTRAINT no_more CHECK (number < 0) NOT VALID")
    try:
        assert setting(cron, owner, workspace, "0 9 * * 1").code == grpc.StatusCode.INTERNAL
    finally:
        sql(cron, "ALTER TABLE audit_entries DROP CONSTRAINT no_more")
    assert schedules_in(cron) == {}
