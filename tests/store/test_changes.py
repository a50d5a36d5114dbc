import json
from dataclasses import replace

from tests.store import samples
from wsauthz.model.workspaces import WorkspaceSettings
from wsauthz.policy.facts import Facts
from wsauthz.store import changes

ORGANIZATION = samples.organization("o")
WORKSPACE = samples.workspace("w", organization_id="o", modules=("dam",))
MEMBERSHIP = samples.membership("m", "ann", workspace_id="w", expires_at=samples.NOW)


def test_changes_are_json_and_feed_facts() -> None:
    facts = Facts()
    for kind, values in (
        changes.user(samples.user("ann")),
        changes.organization(ORGANIZATION),
        changes.workspace(WORKSPACE),
        changes.analysis_reset(WORKSPACE),
        changes.membership(MEMBERSHIP),
        changes.subscription(samples.subscription("w")),
    ):
        assert json.loads(json.dumps(values)) == values
        facts.apply(kind, values)
    place = facts.places["workspace", "w"]
    assert place.members == ["ann"]
    assert place.subscription == ("professional", 1)
    assert facts.grants["ann"][place].expires_at == samples.NOW.timestamp()


def test_deleted_nouns_leave_the_facts() -> None:
    facts = Facts()
    for kind, values in (
        changes.user(samples.user("ann")),
        changes.organization(ORGANIZATION),
        changes.workspace(WORKSPACE),
        changes.membership(MEMBERSHIP),
        changes.subscription(samples.subscription("w")),
        changes.subscription_deleted("w"),
        changes.membership(replace(MEMBERSHIP, deleted_at=samples.NOW)),
    ):
        facts.apply(kind, values)
    assert facts.grants == {}
    assert facts.places["workspace", "w"].subscription is None
    for kind, values in (
        changes.workspace(replace(WORKSPACE, deleted_at=samples.NOW)),
        changes.organization(replace(ORGANIZATION, deleted_at=samples.NOW)),
        changes.user_deleted("ann"),
    ):
        facts.apply(kind, values)
    assert set(facts.places) == {("platform", "")}
    assert not facts.users


def test_no_text_that_people_write_is_told() -> None:
    told = (
        changes.user(samples.user("u", email="canary@example.com", name="canary")),
        changes.organization(samples.organization("o", name="canary", slug="canary")),
        changes.workspace(samples.workspace("w", name="canary", notes="canary", slug="canary", phone="canary")),
    )
    assert "canary" not in json.dumps(told)


def test_the_flag_about_children_is_told_as_it_is_set() -> None:
    for features, told in (({}, None), ({"child_workspaces": True}, True), ({"child_workspaces": False}, False)):
        workspace = replace(WORKSPACE, settings=WorkspaceSettings(features=features))
        assert changes.workspace(workspace)[1]["child_workspaces"] is told
