import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from tests.tenancy.world import POLICIES, World, policy
from wsauthz.cli.invention import invent
from wsauthz.cli.state_text import Form, write_state
from wsauthz.metrics import Metrics
from wsauthz.model.errors import Removed, WorkspaceNotFound
from wsauthz.model.places import PLATFORM
from wsauthz.model.subscriptions import SubscriptionStatus
from wsauthz.policy.state_file import read_state
from wsauthz.replica.replica import Replica
from wsauthz.replica.writing import write
from wsauthz.store import invitations, invite_codes
from wsauthz.store import users as users_rows
from wsauthz.store.database import Database
from wsauthz.tenancy import accounts, joining, module_settings, subscriptions, switching, workspaces
from wsauthz.tenancy import invite_codes as invite_code_service
from wsauthz.tenancy.exports import export_state
from wsauthz.tenancy.imports import import_state
from wsauthz.tenancy.mirroring import UserEvent, upsert
from wsauthz.tenancy.transaction import Caller, Transaction

EXAMPLES = POLICIES.parent / "examples"


@contextmanager
def replica_of(url: str, bundle: str) -> Iterator[Replica]:
    """Give a replica of a database under a shipped bundle."""
    with closing(Database(url, wait_seconds=30)) as database:
        replica = Replica(database, policy(bundle), Metrics())
        replica.load()
        yield replica


def put(replica: Replica, text: str, form: Form) -> None:
    """Import a state file."""
    state = read_state(text, form.value)
    by = Caller(caller="cli", actor="", method="import")
    write(replica, by, lambda tx: import_state(tx, state, allow_platform=True, allow_unknown_users=True))


def exported(replica: Replica, form: Form) -> str:
    """Return what an export writes."""
    output = io.StringIO()
    with replica.database.read() as connection:
        write_state(output, form, export_state(connection))
    return output.getvalue()


def invented(bundle: str, **size: int) -> str:
    """Return an invented state for a bundle in JSON Lines."""
    output = io.StringIO()
    write_state(output, Form.JSONL, invent(policy(bundle).bundle.catalog, **size))
    return output.getvalue()


def _add_token(tx: Transaction, invitation_id: str, token_hash: str) -> None:
    tx.connection.exec_driver_sql(f"INSERT INTO invitation_tokens VALUES ('{invitation_id}', '{token_hash}')")
    tx.audit("invitation", invitation_id, PLATFORM)


def _revoke(tx: Transaction, invitation_id: str) -> None:
    invitations.revoke(tx.connection, invitation_id, now=tx.now)
    tx.audit("invitation", invitation_id, PLATFORM)


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("bundle", ["dam", "eventpalour", "oneglanse"])
def test_an_example_exported_imported_and_exported_again_is_the_same_file_on_either_database(
    sqlite_url: str, postgresql_url: str, bundle: str, form: Form
) -> None:
    with replica_of(sqlite_url, bundle) as first, replica_of(postgresql_url, bundle) as second:
        put(first, (EXAMPLES / f"{bundle}.yaml").read_text(), Form.YAML)
        file = exported(first, form)
        put(second, file, form)
        assert exported(second, form) == file


@pytest.mark.parametrize("bundle", ["dam", "default", "eventpalour", "oneglanse"])
def test_an_invented_state_survives_the_round_trip_and_a_second_import_changes_nothing(
    database_url: str, tmp_path: Path, sqlite_template: Path, bundle: str
) -> None:
    with replica_of(database_url, bundle) as first:
        put(first, invented(bundle, workspaces=40, users=60, seed=7), Form.JSONL)
        file = exported(first, Form.JSONL)
        revision = first.revision
        put(first, file, Form.JSONL)
        assert first.revision == revision
    copy = tmp_path / "copy.db"
    copy.write_bytes(sqlite_template.read_bytes())
    with replica_of(f"sqlite:///{copy}", bundle) as second:
        put(second, file, Form.JSONL)
        assert exported(second, Form.JSONL) == file


def test_no_secret_is_exported(dam: World) -> None:
    text = """
workspaces: [{id: w, owner: ann, invite_code: canary-code}]
invitations: [{id: i, workspace: w, email: x@example.com, invited_by: ann}]
"""
    dam.write("", import_state, read_state(text, "yaml"), allow_unknown_users=True)
    dam.write("ann", _add_token, "i", "canary-hash")
    assert dam.row(invite_codes.find, "w") == ("canary-code", True)
    assert dam.row(invitations.find_by_token, "canary-hash")
    for form in Form:
        assert "canary" not in exported(dam.replica, form)


def test_the_expiry_of_an_invited_member_survives_the_round_trip(
    dam: World, tmp_path: Path, sqlite_template: Path
) -> None:
    until = "2040-01-02T03:04:05Z"
    record = f"{{id: i, workspace: w, email: x@example.com, invited_by: ann, membership_expires_at: {until}}}"
    text = f"workspaces: [{{id: w, owner: ann}}]\ninvitations: [{record}]\n"
    dam.write("", import_state, read_state(text, "yaml"), allow_unknown_users=True)
    for form in Form:
        file = exported(dam.replica, form)
        copy = tmp_path / f"{form}.db"
        copy.write_bytes(sqlite_template.read_bytes())
        with replica_of(f"sqlite:///{copy}", "dam") as second:
            put(second, file, form)
            with second.database.read() as connection:
                found = invitations.find(connection, "i")
        assert found is not None
        assert found.membership_expires_at == datetime.fromisoformat(until)


def _versions(world: World, *ids: str) -> dict[str, int]:
    return world.row(users_rows.source_versions, ids)


def test_versions_of_users_survive_the_round_trip_those_of_deleted_accounts_too(
    dam: World, tmp_path: Path, sqlite_template: Path
) -> None:
    for user, version in (("ann", 2**63 - 1), ("bob", 0), ("gone", 7), ("none", None)):
        dam.write("", upsert, UserEvent(user_id=user, source_version=version))
    dam.write("gone", accounts.delete, user_id="gone")
    ids = ("ann", "bob", "gone", "none")
    expected = {"ann": 2**63 - 1, "bob": 0, "gone": 7}
    assert _versions(dam, *ids) == expected
    for form in Form:
        file = exported(dam.replica, form)
        copy = tmp_path / f"{form}.db"
        copy.write_bytes(sqlite_template.read_bytes())
        with replica_of(f"sqlite:///{copy}", "dam") as second:
            put(second, file, form)
            assert exported(second, form) == file
            with second.database.read() as connection:
                assert users_rows.source_versions(connection, ids) == expected
                assert users_rows.find(connection, "gone") is None
            revision = second.revision
            put(second, file, form)
            assert second.revision == revision


def test_what_is_deleted_or_over_is_not_exported(dam: World) -> None:
    text = """
workspaces: [{id: w, owner: ann}, {id: gone, owner: ann}]
subscriptions: [{workspace: w, plan: trial}, {workspace: gone, plan: trial}]
memberships: [{workspace: w, user: ann, role: admin}, {workspace: gone, user: ann, role: admin}]
invitations:
  - {id: open, workspace: w, email: x@example.com, invited_by: ann}
  - {id: revoked, workspace: w, email: y@example.com, invited_by: ann}
"""
    dam.write("", import_state, read_state(text, "yaml"), allow_unknown_users=True)
    dam.write("ann", workspaces.delete, workspace_id="gone")
    dam.write("ann", _revoke, "revoked")
    file = exported(dam.replica, Form.YAML)
    assert "gone" not in file
    assert "revoked" not in file
    assert "open" in file


def test_hostile_texts_survive_both_forms(sqlite_url: str, postgresql_url: str) -> None:
    text = r"""
users:
  - {id: "null", name: "true"}
  - {id: "0123", name: "- {a: b} # c\u00e9\"'"}
  - {id: "auth0|5f7c/a:b=c~d", name: "null"}
workspaces:
  - {id: "1e3", owner: "null", name: "yes", notes: "two\r\nlines: \t \u2028 and 日本語 😀", description: "'"}
  - {id: "+", owner: "null"}
"""
    with replica_of(sqlite_url, "dam") as first, replica_of(postgresql_url, "dam") as second:
        put(first, text, Form.YAML)
        for form in Form:
            put(second, exported(first, form), form)
            assert exported(second, form) == exported(first, form)


def test_rules_that_look_at_the_past_answer_the_same_after_a_round_trip(
    dam: World, tmp_path: Path, sqlite_template: Path
) -> None:
    for user in ("ann", "dan"):
        dam.user(user)
    studio = dam.workspace("ann")
    plan = {"plan": "professional", "plan_type": "yearly", "status": SubscriptionStatus.ACTIVE}
    dam.write("op", subscriptions.set_, workspace_id=studio.id, **plan)
    dam.write("ann", switching.switch, workspace_id=studio.id)
    dam.add("ann", studio, "dan", "member", modules=("dam",))
    dam.remove("ann", studio, "dan")
    dam.write("ann", invite_code_service.rotate, workspace_id=studio.id, disable=True)
    dam.write("ann", module_settings.update, workspace_id=studio.id, module="dam", settings={"size": 1.0})
    file = exported(dam.replica, Form.YAML)
    copy = tmp_path / "copy.db"
    copy.write_bytes(sqlite_template.read_bytes())
    with replica_of(f"sqlite:///{copy}", "dam") as second:
        put(second, file, Form.YAML)
        world = World.__new__(World)
        world.database, world.replica = second.database, second
        with pytest.raises(WorkspaceNotFound):
            world.write("dan", lambda tx: joining.follow(tx, code=_code(world, studio.id)))
        world.write("ann", invite_code_service.rotate, workspace_id=studio.id, disable=False)
        with pytest.raises(Removed):
            world.write("dan", lambda tx: joining.enter(tx, joining.follow(tx, code=_code(world, studio.id))))
        assert not world.read("ann", subscriptions.get, workspace_id=studio.id).plan_changed
        settings = world.read("ann", module_settings.get, workspace_id=studio.id, module="dam")
        assert settings is not None
        assert settings.settings == {"size": 1.0}


def _code(world: World, workspace_id: str) -> str:
    found = world.row(invite_codes.find, workspace_id)
    assert found is not None
    return found[0]
