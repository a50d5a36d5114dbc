from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.tenancy.world import World
from wsauthz.metrics import Metrics
from wsauthz.model.errors import MemberNotFound
from wsauthz.model.invitations import Invitation
from wsauthz.model.memberships import Membership
from wsauthz.model.organizations import Organization
from wsauthz.model.places import PLATFORM
from wsauthz.model.subscriptions import Subscription, SubscriptionStatus
from wsauthz.model.users import User
from wsauthz.model.workspaces import Workspace
from wsauthz.policy.problems import StateRefused
from wsauthz.policy.state_file import read_state
from wsauthz.replica.replica import Replica
from wsauthz.replica.writing import write
from wsauthz.store import (
    invitations,
    invite_codes,
    memberships,
    organizations,
    revisions,
    subscriptions,
    users,
    workspaces,
)
from wsauthz.tenancy import platform
from wsauthz.tenancy import workspaces as tenancy_workspaces
from wsauthz.tenancy.imports import Counts, import_state
from wsauthz.tenancy.transaction import Caller


def imported(world: World, text: str, **options: Any) -> Mapping[str, Counts]:
    """Import a state file in YAML."""
    state = read_state(text, "yaml", file="state.yaml")
    return world.write("", import_state, state, **{"allow_unknown_users": True, **options}).counts


def refused(world: World, text: str, **options: Any) -> list[str]:
    """Import a state file that must be refused, and return what is wrong with it; nothing may have been written."""
    before = world.revision
    with pytest.raises(StateRefused) as caught:
        imported(world, text, **options)
    world.replica.catch_up()
    assert world.revision == before
    return str(caught.value).splitlines()


def workspace(world: World, identifier: str) -> Workspace:
    found = world.row(workspaces.find, identifier)
    assert found is not None
    return found


def organization(world: World, identifier: str) -> Organization:
    found = world.row(organizations.find, identifier)
    assert found is not None
    return found


def user(world: World, identifier: str) -> User:
    found = world.row(users.find, identifier)
    assert found is not None
    return found


def subscription(world: World, identifier: str) -> Subscription:
    found = world.row(subscriptions.find, identifier)
    assert found is not None
    return found


def invitation(world: World, identifier: str) -> Invitation:
    found = world.row(invitations.find, identifier)
    assert found is not None
    return found


def member(world: World, workspace_id: str, user_id: str) -> Membership:
    found = world.row(memberships.find, ("workspace", workspace_id), user_id)
    assert found is not None
    return found


TREE = """
memberships:
  - {workspace: south, user: bob, role: viewer, modules: [dam], permissions: [can-manage-users]}
  - {organization: acme, user: ann, role: organization-owner}
workspaces:
  - {id: south, parent: north, owner: ann, modules: [dam]}
  - {id: north, organization: acme, owner: ann, name: Far North, settings: {features: {child_workspaces: false}}}
subscriptions:
  - {workspace: north, plan: trial, status: expired}
users:
  - {id: ann, email: " Ann@Example.com", email_verified: true, default_workspace: north}
  - {id: bob, kind: service, is_active: false}
organizations:
  - {id: acme, name: Acme Inc., is_suspended: true}
invitations:
  - {id: i, workspace: north, email: cleo@example.com, role: viewer, invited_by: ann}
"""


def test_records_in_any_order_become_nouns(dam: World) -> None:
    counts = imported(dam, TREE)
    north, south = workspace(dam, "north"), workspace(dam, "south")
    assert (north.organization_id, north.slug, north.settings.features) == (
        "acme",
        "far-north",
        {"child_workspaces": False},
    )
    assert north.modules == ("dam", "analytics", "collaboration")
    assert (south.organization_id, south.parent_workspace_id, south.name, south.modules) == (
        "acme",
        "north",
        "south",
        ("dam",),
    )
    assert organization(dam, "acme").slug == "acme-inc"
    assert (user(dam, "ann").email, user(dam, "bob").is_active) == ("ann@example.com", False)
    bob = member(dam, "south", "bob")
    assert (bob.role, bob.modules, bob.permissions, bob.is_active) == ("viewer", ("dam",), ("can-manage-users",), True)
    found = subscription(dam, "north")
    assert (found.plan, found.plan_type, found.status) == ("trial", "trial", SubscriptionStatus.EXPIRED)
    assert (invitation(dam, "i").expires_at - invitation(dam, "i").created_at).days == 7
    assert counts["workspace"] == Counts(added=2, changed=0, unchanged=0)


def test_an_import_is_one_revision_one_change_and_one_audit_entry_with_counts(dam: World) -> None:
    before, audited = dam.revision, len(dam.audited())
    imported(dam, TREE)
    assert dam.revision == before + 1
    changes = dam.row(revisions.changes_after, before, 100)
    assert [(change.kind, change.values) for change in changes] == [("reload", {})]
    entry = dam.audited()[audited:]
    assert [row["target_kind"] for row in entry] == ["state"]
    assert '"user": {"added": 2, "changed": 0, "unchanged": 0}' in str(entry[0]["after"]).replace("'", '"')


def test_importing_the_same_file_again_changes_nothing(dam: World) -> None:
    imported(dam, TREE)
    before, audited = dam.revision, len(dam.audited())
    counts = imported(dam, TREE)
    assert all(count.added == count.changed == 0 for count in counts.values())
    assert (dam.revision, len(dam.audited())) == (before, audited)


def test_only_listed_fields_change_and_nothing_is_deleted(dam: World) -> None:
    imported(dam, TREE)
    old = workspace(dam, "north")
    counts = imported(dam, "workspaces: [{id: north, name: Nearer North, settings: {branding: {logo: a.png}}}]")
    new = workspace(dam, "north")
    assert (new.name, new.settings.branding.logo, new.settings.features) == (
        "Nearer North",
        "a.png",
        {"child_workspaces": False},
    )
    assert (new.slug, new.owner_user_id, new.modules, new.created_at) == (
        old.slug,
        old.owner_user_id,
        old.modules,
        old.created_at,
    )
    assert new.updated_at > old.updated_at
    assert new.analysis_epoch == old.analysis_epoch + 1
    assert counts == {"workspace": Counts(added=0, changed=1, unchanged=0)}
    assert workspace(dam, "south").deleted_at is None
    assert member(dam, "south", "bob").role == "viewer"


def test_a_membership_is_found_by_place_and_user(dam: World) -> None:
    imported(dam, TREE)
    old = member(dam, "south", "bob")
    imported(dam, "memberships: [{workspace: south, user: bob, role: member, expires_at: 2099-01-01T00:00:00+01:00}]")
    new = member(dam, "south", "bob")
    assert (new.id, new.role, new.modules, new.permissions) == (old.id, "member", ("dam",), ("can-manage-users",))
    assert new.expires_at == datetime(2098, 12, 31, 23, tzinfo=UTC)
    imported(dam, "memberships: [{workspace: south, user: bob, role: member, modules: null, expires_at: null}]")
    assert (member(dam, "south", "bob").modules, member(dam, "south", "bob").expires_at) == (None, None)


def test_what_was_imported_is_decided_on(dam: World) -> None:
    imported(dam, "users: [{id: ann}]\nworkspaces: [{id: w, owner: ann}, {id: c, parent: w, owner: ann}]")
    assert dam.may("ann", workspace(dam, "c"), "dam:asset", "delete")
    imported(dam, "workspaces: [{id: w, is_suspended: true}]")
    assert not dam.may("ann", workspace(dam, "c"), "dam:asset", "delete")


def test_whoever_is_new_in_a_workspace_of_an_organization_becomes_a_member_of_that(dam: World) -> None:
    imported(dam, TREE)
    joined = dam.row(memberships.find, ("organization", "acme"), "bob")
    assert joined is not None
    assert (joined.role, joined.modules, joined.permissions, joined.is_active) == ("member", ("dam",), (), True)
    imported(dam, "memberships: [{workspace: south, user: ann, role: member}]")
    ann = dam.row(memberships.find, ("organization", "acme"), "ann")
    assert ann is not None
    assert ann.role == "organization-owner"


def test_every_mistake_is_reported_at_once_with_its_line(dam: World) -> None:
    problems = refused(
        dam,
        """
users:
  - {id: ann, default_workspace: nowhere}
  - {id: bob, email_verified: true}
workspaces:
  - {id: north, organization: nothing, owner: ann}
  - {id: south, parent: nowhere, owner: ann}
  - {id: west}
memberships:
  - {workspace: nowhere, user: ann, role: member}
  - {organization: nothing, user: ann, role: member}
  - {workspace: north, user: ann, role: wizard}
  - {workspace: north, user: bob, role: owner}
  - {platform: true, user: ann, role: operator}
  - {workspace: north, user: dan, role: member, modules: [nope], permissions: [nope]}
invitations:
  - {id: i, workspace: nowhere, email: x@example.com, role: owner}
subscriptions:
  - {workspace: nowhere, plan: trial}
  - {workspace: north, plan: gold}
""",
    )
    assert problems == [
        "state.yaml:3: user: default_workspace: there is no workspace 'nowhere'",
        "state.yaml:4: user: email_verified: needs an email",
        "state.yaml:6: workspace: organization: there is no organization 'nothing'",
        "state.yaml:7: workspace: parent: there is no workspace 'nowhere'",
        "state.yaml:8: workspace: owner is missing",
        "state.yaml:10: membership: workspace: there is no workspace 'nowhere'",
        "state.yaml:11: membership: organization: there is no organization 'nothing'",
        "state.yaml:12: membership: role: the catalog has no 'wizard'",
        "state.yaml:13: membership: role: 'owner' is given to nobody",
        "state.yaml:14: membership: platform: roles at the platform are imported only on demand (--allow-platform)",
        "state.yaml:15: membership: modules: the catalog has no 'nope'",
        "state.yaml:15: membership: permissions: the catalog has no 'nope'",
        "state.yaml:17: invitation: invited_by is missing",
        "state.yaml:17: invitation: role: 'owner' is given to nobody",
        "state.yaml:17: invitation: workspace: there is no workspace 'nowhere'",
        "state.yaml:19: subscription: workspace: there is no workspace 'nowhere'",
        "state.yaml:20: subscription: plan: the catalog has no 'gold'",
    ]
    assert dam.row(users.find, "ann") is None


def test_nothing_is_given_to_a_user_that_nobody_is(dam: World) -> None:
    dam.user("ann")
    text = """
users: [{id: bob}]
organizations: [{id: acme}]
workspaces:
  - {id: north, organization: acme, owner: ann}
  - {id: south, owner: nobody}
memberships:
  - {workspace: north, user: ann, role: admin}
  - {workspace: north, user: bob, role: viewer}
  - {workspace: north, user: "auth0|5f7c", role: viewer, is_active: false}
  - {organization: acme, user: nobody, role: member}
removals:
  - {workspace: north, user: gone, role: viewer, removed_at: 2026-01-01T00:00:00Z}
invitations:
  - {id: i, workspace: north, email: x@example.com, invited_by: gone}
"""
    unknown = "(--allow-unknown-users imports it anyway)"
    assert refused(dam, text, allow_unknown_users=False) == [
        f"state.yaml:6: workspace: owner: there is no user 'nobody' {unknown}",
        f"state.yaml:10: membership: user: there is no user 'auth0|5f7c' {unknown}",
        f"state.yaml:11: membership: user: there is no user 'nobody' {unknown}",
    ]
    imported(dam, text, allow_unknown_users=True)
    assert dam.owner(workspace(dam, "south")) == "nobody"
    assert refused(dam, "workspaces: [{id: north, owner: nobody}]", allow_unknown_users=False)
    imported(dam, "workspaces: [{id: north, owner: bob}]", allow_unknown_users=False)


def test_a_circle_is_refused(dam: World) -> None:
    problems = refused(dam, "workspaces: [{id: a, parent: b, owner: x}, {id: b, parent: a, owner: x}]")
    assert problems == ["state.yaml:1: workspace: parent: is the workspace itself, or below it"] * len(problems)


def test_a_tree_is_at_most_sixteen_deep_across_file_and_database(dam: World) -> None:
    chain = "workspaces:\n  - {id: w1, owner: x}\n"
    imported(dam, chain + "".join(f"  - {{id: w{n}, parent: w{n - 1}, owner: x}}\n" for n in range(2, 16)))
    imported(dam, "workspaces: [{id: w16, parent: w15, owner: x}]")
    problems = refused(dam, "workspaces: [{id: w17, parent: w16, owner: x}]")
    assert problems == ["state.yaml:1: workspace: parent: lies deeper than 16 workspaces"]


def test_parent_and_organization_are_fixed_when_a_workspace_is_made(dam: World) -> None:
    imported(dam, TREE)
    imported(dam, "organizations: [{id: other}]\nworkspaces: [{id: alone, owner: ann}]")
    assert refused(dam, "workspaces: [{id: south, parent: alone}]") == [
        "state.yaml:1: workspace: parent: is fixed when a workspace is made, and is north"
    ]
    assert refused(dam, "workspaces: [{id: alone, organization: other}]") == [
        "state.yaml:1: workspace: organization: is fixed when a workspace is made, and is none"
    ]
    assert refused(dam, "workspaces: [{id: new, organization: other, parent: south, owner: ann}]") == [
        "state.yaml:1: workspace: organization: a child has its parent's"
    ]
    imported(dam, "workspaces: [{id: south, parent: north, organization: acme}]")


def test_slugs_are_made_from_names_and_are_unique_within_an_organization(dam: World) -> None:
    imported(
        dam,
        """
organizations: [{id: o}, {id: p, name: O}]
workspaces:
  - {id: a, organization: o, owner: x, name: Press}
  - {id: b, organization: o, owner: x, name: Press}
  - {id: c, organization: o, owner: x, slug: press-2}
  - {id: d, organization: p, owner: x, name: Press}
  - {id: e, owner: x, name: Press}
  - {id: f, owner: x, name: Press}
""",
    )
    assert [workspace(dam, each).slug for each in "abcdef"] == [
        "press",
        "press-3",
        "press-2",
        "press",
        "press",
        "press",
    ]
    assert [organization(dam, each).slug for each in "op"] == ["o", "o-2"]
    assert refused(dam, "workspaces: [{id: g, organization: o, owner: x, slug: press}]") == [
        "state.yaml:1: workspace: slug: is taken by the workspace 'a'"
    ]
    assert refused(dam, "organizations: [{id: q, slug: new}, {id: r, slug: new}]") == [
        "state.yaml:1: organization: slug: line 1 has the same"
    ]


def test_records_may_exchange_what_is_unique(dam: World) -> None:
    imported(
        dam,
        """
users: [{id: ann, email: ann@example.com, email_verified: true}, {id: bob, email: bob@example.com}]
organizations: [{id: o, slug: one}, {id: p, slug: two}]
workspaces:
  - {id: a, organization: o, owner: x, slug: one, invite_code: code-one}
  - {id: b, organization: o, owner: x, slug: two, invite_code: code-two}
""",
    )
    imported(
        dam,
        """
users: [{id: ann, email: bob@example.com}, {id: bob, email: ann@example.com}]
organizations: [{id: o, slug: two}, {id: p, slug: one}]
workspaces: [{id: a, slug: two, invite_code: code-two}, {id: b, slug: one, invite_code: code-one}]
""",
    )
    assert (user(dam, "ann").email, user(dam, "bob").email) == ("bob@example.com", "ann@example.com")
    assert not user(dam, "ann").email_verified, "a new address is unverified"
    assert (organization(dam, "o").slug, organization(dam, "p").slug) == ("two", "one")
    assert (workspace(dam, "a").slug, workspace(dam, "b").slug) == ("two", "one")
    assert dam.row(invite_codes.find_workspace, "code-one") == "b"
    assert dam.row(invite_codes.find_workspace, "code-two") == "a"


def test_an_address_that_one_user_gives_up_may_be_another_ones(dam: World) -> None:
    imported(dam, "users: [{id: ann, email: a@example.com}]")
    assert refused(dam, "users: [{id: bob, email: a@example.com}]") == [
        "state.yaml:1: user: email: is taken by the user 'ann'"
    ]
    imported(dam, "users: [{id: bob, email: a@example.com}, {id: ann, email: null}]")
    assert (user(dam, "ann").email, user(dam, "bob").email) == (None, "a@example.com")


def test_a_workspace_without_an_invite_code_gets_one_and_a_known_one_keeps_it(dam: World) -> None:
    imported(dam, "workspaces: [{id: a, owner: x}, {id: b, owner: x, invite_code: known-code}]")
    made = dam.row(invite_codes.find, "a")
    assert made is not None
    assert (len(made[0]), made[1]) == (20, True)
    imported(dam, "workspaces: [{id: a, name: Another}, {id: b, name: Another}]")
    assert dam.row(invite_codes.find, "a") == made
    assert dam.row(invite_codes.find, "b") == ("known-code", True)
    assert refused(dam, "workspaces: [{id: c, owner: x, invite_code: known-code}]") == [
        "state.yaml:1: workspace: invite_code: another workspace has it"
    ]
    imported(dam, "workspaces: [{id: a, invite_code: newer-code}]")
    assert dam.row(invite_codes.find, "a") == ("newer-code", True)


def test_what_is_said_of_a_suspension_goes_with_it(dam: World) -> None:
    imported(dam, "workspaces: [{id: w, owner: x}]")
    imported(dam, "workspaces: [{id: w, is_suspended: true, suspended_reason: Unpaid, suspended_by: ann}]")
    suspended = workspace(dam, "w")
    assert suspended.suspended_at == suspended.updated_at
    assert (suspended.suspended_reason, suspended.suspended_by) == ("Unpaid", "ann")
    imported(dam, "workspaces: [{id: w, is_suspended: false}]")
    reinstated = workspace(dam, "w")
    assert (reinstated.suspended_reason, reinstated.suspended_at, reinstated.suspended_by) == ("", None, None)


def test_platform_memberships_are_imported_on_demand_only(dam: World) -> None:
    text = "memberships: [{platform: true, user: olga, role: operator}]"
    assert len(refused(dam, text)) == 1
    imported(dam, text, allow_platform=True)
    assert [each.user_id for each in dam.row(platform.members)] == ["olga", "op"]
    assert dam.row(memberships.find, PLATFORM, "olga")


def test_an_owner_like_role_does_not_keep_an_expiry_or_a_module_list(oneglanse: World) -> None:
    imported(
        oneglanse,
        """
workspaces: [{id: w, owner: ann}]
memberships: [{workspace: w, user: bob, role: member, modules: [analysis], expires_at: 2099-01-01T00:00:00Z}]
""",
    )
    assert refused(oneglanse, "memberships: [{workspace: w, user: bob, role: owner}]") == [
        "state.yaml:1: membership: expires_at: the role 'owner' is owner-like and takes none",
        "state.yaml:1: membership: modules: the role 'owner' is owner-like and takes none",
    ]
    invited = "id: i, workspace: w, email: x@example.com, invited_by: ann, role: owner, modules: [analysis]"
    until = "membership_expires_at: 2099-01-01T00:00:00Z"
    assert refused(oneglanse, f"invitations: [{{{invited}, {until}}}]") == [
        "state.yaml:1: invitation: membership_expires_at: the role 'owner' is owner-like and takes none",
        "state.yaml:1: invitation: modules: the role 'owner' is owner-like and takes none",
    ]
    imported(oneglanse, "memberships: [{workspace: w, user: bob, role: owner, modules: null, expires_at: null}]")
    assert member(oneglanse, "w", "bob").role == "owner"


def test_another_plan_changes_no_module_and_is_noted(dam: World) -> None:
    imported(dam, "workspaces: [{id: w, owner: x}]\nsubscriptions: [{workspace: w, plan: professional}]")
    old = subscription(dam, "w")
    imported(dam, "subscriptions: [{workspace: w, plan: professional, status: past_due}]")
    assert subscription(dam, "w").plan_changed_at == old.plan_changed_at
    imported(dam, "subscriptions: [{workspace: w, plan: free}]")
    new = subscription(dam, "w")
    assert (new.plan, new.plan_type, new.status) == ("free", "free", SubscriptionStatus.PAST_DUE)
    assert new.plan_changed_at > old.plan_changed_at
    assert workspace(dam, "w").modules == ("dam", "analytics", "collaboration")


def test_the_id_of_something_deleted_is_refused(dam: World) -> None:
    imported(dam, "workspaces: [{id: w, owner: x}]")
    dam.write("x", tenancy_workspaces.delete, workspace_id="w")
    assert refused(dam, "workspaces: [{id: w, owner: x}]") == ["state.yaml:1: workspace: id: is that of a deleted one"]


def test_an_invitation_stays_with_its_workspace(dam: World) -> None:
    imported(dam, TREE)
    assert refused(dam, "invitations: [{id: i, workspace: south, email: cleo@example.com}]") == [
        "state.yaml:1: invitation: workspace: is fixed when an invitation is made, and is north"
    ]


def test_an_import_counts_on_what_another_process_imported_meanwhile(dam: World) -> None:
    other = Replica(dam.database, dam.replica.policy, Metrics())
    other.load()
    imported(dam, "users: [{id: ann, email: a@example.com}]\nworkspaces: [{id: w, owner: ann}]")
    state = read_state("workspaces: [{id: c, parent: w, owner: ann}]\nusers: [{id: ann, name: Ann}]", "yaml")
    by = Caller(caller="cli", actor="", method="import")
    counts = write(other, by, lambda tx: import_state(tx, state, allow_unknown_users=True)).answer.counts
    assert counts["user"] == Counts(added=0, changed=1, unchanged=0)
    assert other.facts.places["workspace", "c"].owner == "ann"
    dam.replica.catch_up()
    assert user(dam, "ann").email == "a@example.com"


def test_a_role_at_the_platform_is_granted_changed_and_revoked(dam: World) -> None:
    dam.write("", platform.grant, user_id="olga", role="operator")
    before = dam.revision
    dam.write("", platform.grant, user_id="olga", role="operator")
    assert dam.revision == before
    assert dam.write("", platform.revoke, user_id="olga").role == "operator"
    with pytest.raises(MemberNotFound):
        dam.write("", platform.revoke, user_id="olga")
    dam.write("", platform.grant, user_id="olga", role="operator")
    with pytest.raises(MemberNotFound):
        dam.write("", platform.revoke, user_id="olga", role="watcher")


def test_an_import_neither_lowers_the_version_of_a_user_nor_brings_an_older_one(dam: World) -> None:
    file = "users: [{id: ann, name: Ann, source_version: 5}]"
    assert imported(dam, file)["source version"] == Counts(added=1, changed=0, unchanged=0)
    before = dam.revision
    imported(dam, file)
    assert dam.revision == before
    older = "users: [{id: ann, name: Old, source_version: 4}]\ndeleted_users: [{id: bob, source_version: 3}]"
    assert refused(dam, older) == [
        "state.yaml:1: user: source_version: is older than 5, the one in the database",
    ]
    assert imported(dam, "users: [{id: ann, source_version: 6}]")["source version"].changed == 1
    imported(dam, "users: [{id: ann, name: Listed, source_version: null}]")
    assert dam.row(users.source_versions, ["ann"]) == {"ann": 6}
    assert user(dam, "ann").name == "Listed"


def test_an_import_deletes_no_account_and_keeps_the_higher_version_of_a_deleted_one(dam: World) -> None:
    imported(dam, "users: [{id: ann}]\ndeleted_users: [{id: gone, source_version: 7}]")
    assert refused(
        dam, "users: [{id: bob}]\ndeleted_users: [{id: ann, source_version: 9}, {id: bob, source_version: 1}]"
    ) == [
        "state.yaml:2: deleted_user: id: the user 'ann' exists; only DeleteAccount deletes it",
        "state.yaml:2: deleted_user: id: the user 'bob' exists; only DeleteAccount deletes it",
    ]
    imported(dam, "deleted_users: [{id: gone, source_version: 6}]")
    assert dam.row(users.source_versions, ["gone"]) == {"gone": 7}
    imported(dam, "deleted_users: [{id: gone, source_version: 8}]")
    assert dam.row(users.source_versions, ["gone"]) == {"gone": 8}


@pytest.mark.parametrize("version", ["-1", "1.5", "x", str(2**63), "true"])
def test_a_version_that_is_no_number_from_0_is_refused(dam: World, version: str) -> None:
    with pytest.raises(StateRefused, match="source_version: must be a whole number"):
        imported(dam, f"users: [{{id: ann, source_version: {version}}}]")
