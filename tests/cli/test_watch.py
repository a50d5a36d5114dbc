import json
from pathlib import Path

from tests.cli.running import Run
from tests.serving import BUNDLES, ServerProcess
from wsauthz.v1 import users_pb2


def test_changes_are_printed_as_json_a_line_each(sqlite_url: str) -> None:
    with ServerProcess(sqlite_url, BUNDLES / "dam") as process:
        client = process.client()
        first = client.users.UpsertUser(users_pb2.UpsertUserRequest(user_id="ann")).revision
        bob, cleo = (
            client.users.UpsertUser(users_pb2.UpsertUserRequest(user_id=user, name="Canary")).revision
            for user in ("bob", "cleo")
        )
        told = Run("")("watch", "--from", first, "--limit", "2", "--user", "cleo", "--server", process.address)
    policy, *lines = [json.loads(line) for line in told.out.splitlines()]
    assert policy == {"event": "WATCH_EVENT_POLICY", "revision": first, "policy_version": policy["policy_version"]}
    assert lines == [
        {"event": "WATCH_EVENT_STARTED", "revision": first},
        {"event": "WATCH_EVENT_REVISION", "revision": bob},
        {
            "event": "WATCH_EVENT_REVISION",
            "revision": cleo,
            "changes": [{"user": {"user_id": "cleo", "is_active": True}}],
        },
    ]


def test_what_a_server_refuses_or_that_there_is_none_is_a_sentence(sqlite_url: str, tmp_path: Path) -> None:
    with ServerProcess(sqlite_url, BUNDLES / "dam") as process:
        refused = Run("")("watch", "--from", "000000000000.1.00000000", "--server", process.address)
    assert (refused.status, refused.out, refused.err) == (2, "", "This revision is not one of this database\n")
    nobody = Run("")("watch", "--server", f"unix:{tmp_path / 'nothing'}")
    assert (nobody.status, nobody.out) == (2, "")
    assert nobody.err.startswith("No server answers at")
