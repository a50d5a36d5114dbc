import json
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.bundle_files import catalog
from wsauthz.model.places import State as Effective
from wsauthz.model.subscriptions import SubscriptionStatus
from wsauthz.model.users import UserKind
from wsauthz.policy.facts import Facts
from wsauthz.policy.nodes import Node, read_yaml
from wsauthz.policy.problems import Problem, StateRefused
from wsauthz.policy.state_check import check
from wsauthz.policy.state_file import State, read_lines, read_state

CATALOG = catalog()
EVERYTHING = """\
users:
  - {id: "auth0|5f7c", kind: service, is_active: false, email: " Ann@Example.COM ", email_verified: true,
     name: Ann, image_url: https://example.com/a.png, default_workspace: w}
organizations:
  - {id: o, name: Acme, slug: acme, is_suspended: true}
workspaces:
  - id: w
    organization: o
    owner: auth0|5f7c
    name: Marketing
    slug: marketing-team
    domain: acme.com
    description: |
      Two
      lines
    phone: +49 30 1234
    social_x: https://x.com/acme
    notes: ""
    is_active: true
    is_suspended: true
    suspended_reason: unpaid
    suspended_at: 2030-01-31T12:00:00+02:00
    suspended_by: root
    modules: [art]
    settings: {branding: {logo: "", primary_color: "#0044FF"}, features: {child_workspaces: false, custom: true}}
    enabled_providers: [post]
    schedule: "0 3 * * *"
    analysis_epoch: 7
    invite_code: 0123456789ABCDEFGHJK
  - {id: 123, parent: w, owner: ann, schedule: null, enabled_providers: ~}
memberships:
  - {workspace: w, user: ann, role: guest, permissions: [can-hang], modules: [art], is_active: false,
     expires_at: 2030-01-31T12:00:00Z, joined_at: 2020-01-31T12:00:00Z}
  - {organization: o, user: ann, role: editor, modules: null}
  - {platform: true, user: root, role: operator}
invitations:
  - {id: i, workspace: w, email: bob@example.com, role: guest, modules: [], invited_by: ann,
     expires_at: 2030-01-31T12:00:00Z}
subscriptions:
  - {workspace: w, plan: large, plan_type: paid, status: past_due}
"""
NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


def refusals(text: str, form: Any = "yaml") -> list[str]:
    with pytest.raises(StateRefused) as refused:
        read_state(text, form, file="state.yaml")
    assert str(refused.value) == "\n".join(map(str, refused.value.problems))
    return [str(problem) for problem in refused.value.problems]


def given_by(state: State, kind: str) -> list[dict[str, Any]]:
    return [dict(record.given) for record in state.records[kind]]


def checked(text: str, *, is_complete: bool = True) -> list[str]:
    return [str(problem) for problem in check(read_state(text, "yaml"), CATALOG, is_complete=is_complete)]


def test_every_field_is_read_with_the_type_of_its_noun() -> None:
    state = read_state(EVERYTHING, "yaml")
    assert given_by(state, "user") == [
        {
            "id": "auth0|5f7c",
            "kind": UserKind.SERVICE,
            "is_active": False,
            "email": "ann@example.com",
            "email_verified": True,
            "name": "Ann",
            "image_url": "https://example.com/a.png",
            "default_workspace_id": "w",
        }
    ]
    assert given_by(state, "organization") == [{"id": "o", "name": "Acme", "slug": "acme", "is_suspended": True}]
    workspace = given_by(state, "workspace")[0]
    assert workspace["description"] == "Two\nlines"
    assert workspace["suspended_at"] == datetime(2030, 1, 31, 10, tzinfo=UTC)
    assert (workspace["owner_user_id"], workspace["organization_id"]) == ("auth0|5f7c", "o")
    assert (workspace["modules"], workspace["enabled_providers"]) == (("art",), ("post",))
    assert workspace["settings"] == {
        "branding": {"logo": "", "primary_color": "#0044FF"},
        "features": {"child_workspaces": False, "custom": True},
    }
    assert (workspace["analysis_epoch"], workspace["invite_code"]) == (7, "0123456789ABCDEFGHJK")
    assert given_by(state, "subscription")[0]["status"] is SubscriptionStatus.PAST_DUE
    assert given_by(state, "invitation")[0]["modules"] == ()
    assert check(state, CATALOG, is_complete=True) == []


def test_only_the_fields_of_the_file_are_given() -> None:
    state = read_state(EVERYTHING, "yaml")
    assert given_by(state, "workspace")[1] == {
        "id": "123",
        "parent_workspace_id": "w",
        "owner_user_id": "ann",
        "schedule": None,
        "enabled_providers": None,
    }


def test_a_membership_always_says_where_it_is() -> None:
    memberships = given_by(read_state(EVERYTHING, "yaml"), "membership")
    assert [(given["workspace_id"], given["organization_id"]) for given in memberships] == [
        ("w", None),
        (None, "o"),
        (None, None),
    ]
    assert memberships[0]["expires_at"] == NOON
    assert memberships[1]["modules"] is None


def test_records_know_their_line() -> None:
    state = read_state(EVERYTHING, "yaml")
    assert [record.line for record in state.records["workspace"]] == [7, 30]
    assert [record.line for record in state.records["membership"]] == [32, 34, 35]


def test_ids_are_texts_however_they_look() -> None:
    state = read_state("users: [{id: 0123}, {id: true}, {id: 1e3}, {id: 2020-01-01}]", "yaml")
    assert [record.given["id"] for record in state.records["user"]] == ["0123", "true", "1e3", "2020-01-01"]


def test_an_empty_file_is_an_empty_state() -> None:
    assert all(not records for records in read_state("", "yaml").records.values())
    assert all(not records for records in read_state("\n\n", "jsonl").records.values())


def test_json_lines_say_the_same_as_yaml() -> None:
    lines = [
        {
            "kind": "membership",
            "platform": True,
            "user": "ann",
            "role": "operator",
            "expires_at": "2030-01-31T12:00:00Z",
        },
        {
            "kind": "workspace",
            "id": 123,
            "settings": {"features": {"custom": True}},
            "analysis_epoch": 3,
            "parent": None,
        },
    ]
    state = read_state("\n\n".join(map(json.dumps, lines)), "jsonl")
    assert given_by(state, "membership") == [
        {"workspace_id": None, "organization_id": None, "user_id": "ann", "role": "operator", "expires_at": NOON}
    ]
    assert given_by(state, "workspace") == [
        {
            "id": "123",
            "settings": {"features": {"custom": True}},
            "analysis_epoch": 3,
            "parent_workspace_id": None,
        }
    ]
    assert state.records["workspace"][0].line == 3


def test_json_lines_are_read_one_by_one() -> None:
    problems: list[Problem] = []
    endless = ('{"kind": "user", "id": "ann"}' for _ in count())
    records = read_lines(endless, problems)
    assert [next(records).line for _ in range(3)] == [1, 2, 3]
    assert problems == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is no JSON: Expecting property name enclosed in double quotes"),
        ("[]", "must be an object"),
        ('{"id": "a"}', "the kind None is unknown: use user, organization, workspace, membership"),
        ('{"kind": "users", "id": "a"}', "the kind 'users' is unknown"),
        ('{"kind": "role", "id": "a"}', "the kind 'role' is not supported by this version"),
        ('{"kind": "rule", "id": "a"}', "the kind 'rule' is not supported by this version"),
        ('{"kind": "user", "id": "a", "id": "b"}', "the key 'id' occurs twice"),
        ('{"kind": "user", "id": true}', "user: id: must be a text"),
        ('{"kind": "user", "id": 1.5}', "user: id: must be a text"),
        ('{"kind": "user", "id": "a", "is_active": "true"}', "user: is_active: must be true or false"),
        ('{"kind": "user", "id": "a", "name": "\\ud800"}', "user: name: has half a character"),
        ('{"kind": "workspace", "id": "a", "analysis_epoch": -1}', "workspace: analysis_epoch: must be a whole number"),
        ("[" * 100_000, "is no JSON: it is nested too deep or a number is too long"),
    ],
)
def test_a_wrong_line_of_json_is_refused(line: str, message: str) -> None:
    assert any(
        text.startswith(f"state.yaml:2: {message}") for text in refusals(f'{{"kind":"user","id":"x"}}\n{line}', "jsonl")
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("users: [{id: a}", "is no YAML: did not find expected ',' or ']'"),
        ("a: \x07", "state.yaml: is no YAML: control characters are not allowed"),
        ("- id: a", "state.yaml:1: must be a mapping of users, organizations, workspaces"),
        ("people: []", "state.yaml:1: 'people' is unknown: use user"),
        ("roles: []", "state.yaml:1: 'roles' is not supported by this version"),
        ("rules: []", "state.yaml:1: 'rules' is not supported by this version"),
        ("users: {id: a}", "state.yaml:1: users: must be a list"),
        ("users:\n- a", "state.yaml:2: user: must be a mapping"),
        ("users: []\nusers: []", "state.yaml:2: the key 'users' occurs twice"),
        ("users:\n- id: a\n  id: b", "state.yaml:3: the key 'id' occurs twice"),
        ("users:\n- id: a\n  nmae: b", "state.yaml:3: user: 'nmae' is not a key here (did you mean name?)"),
        ("users: &x []\norganizations: *x", "state.yaml:1: anchors and aliases are not allowed"),
        ("users: [*x]", "state.yaml:1: anchors and aliases are not allowed"),
        ("users: !!python/object:x []", "state.yaml:1: tags are not allowed"),
        ("users: []\n---\nusers: []", "state.yaml:2: there must be one document only"),
        ("users: " + "[" * 1000, "state.yaml:1: is nested deeper than 40"),
        ("? [a]\n: b", "state.yaml:1: a key must be a text"),
        ("users: [{}]", "state.yaml:1: user: id is missing"),
        ("users: [{id: null}]", "state.yaml:1: user: id: must not be null"),
        ("users: [{id: }]", "state.yaml:1: user: id: must not be null"),
        ("users: [{id: ''}]", "state.yaml:1: user: id: '' is no user id: 1 to 128"),
        ("users: [{id: 'a b'}]", "state.yaml:1: user: id: 'a b' is no user id"),
        ("users: [{id: [a]}]", "state.yaml:1: user: id: must be a text"),
        ("users: [{id: a, kind: robot}]", "user: kind: 'robot' is not one of human, service"),
        ("users: [{id: a, is_active: yes}]", "user: is_active: must be true or false"),
        ("users: [{id: a, is_active: 'true'}]", "user: is_active: must be true or false"),
        ("users: [{id: a, email: ann}]", "user: email: must be an email address. "),
        ("users: [{id: a, default_workspace: 'a|b'}]", "user: default_workspace: 'a|b' is no id"),
        ("organizations: [{id: 'a|b'}]", "organization: id: 'a|b' is no id: 1 to 128"),
        ("organizations: [{id: a, name: ' '}]", "organization: name: must not be empty"),
        ("organizations: [{id: a, slug: Acme}]", "organization: slug: 'Acme' is not a slug"),
        ("workspaces: [{id: a, name: null}]", "workspace: name: must not be null"),
        (f"workspaces: [{{id: a, name: {'x' * 256}}}]", "workspace: name: must be at most 255 characters long"),
        (f"workspaces: [{{id: a, phone: '{'1' * 51}'}}]", "workspace: phone: must be at most 50 characters long"),
        ('workspaces: [{id: a, name: "a\\nb"}]', "workspace: name: must not hold the character U+000A"),
        ('workspaces: [{id: a, notes: "a\\0b"}]', "workspace: notes: must not hold the character U+0000"),
        ("workspaces: [{id: a, modules: art}]", "workspace: modules: must be a list"),
        ("workspaces: [{id: a, modules: [art, art]}]", "workspace: modules: 'art' is listed twice"),
        ("workspaces: [{id: a, settings: []}]", "workspace: settings: must be a mapping"),
        (
            "workspaces: [{id: a, settings: {brand: {}}}]",
            "settings: 'brand' is not a key here (did you mean branding?)",
        ),
        ("workspaces: [{id: a, settings: {branding: {primary_color: red}}}]", "'red' is not a colour such as #0044FF"),
        (
            "workspaces: [{id: a, settings: {features: {a b: true}}}]",
            "features: names of features must be 1 to 64 characters",
        ),
        ("workspaces: [{id: a, settings: {features: {a: 1}}}]", "settings: features: a: must be true or false"),
        ("workspaces: [{id: a, analysis_epoch: 9223372036854775808}]", "analysis_epoch: must be a whole number"),
        ("workspaces: [{id: a, invite_code: short}]", "invite_code: 'short' is not 8 to 64 characters"),
        ("memberships: [{user: a, role: b}]", "membership: needs one of workspace, organization and platform: true"),
        ("memberships: [{user: a, role: b, workspace: w, platform: true}]", "membership: needs one of workspace"),
        ("memberships: [{user: a, role: b, platform: false}]", "platform: must be true, or be left out"),
        ("memberships: [{workspace: w, role: b}]", "membership: user is missing"),
        ("memberships: [{workspace: w, user: a}]", "membership: role is missing"),
        ("memberships: [{workspace: w, user: a, role: b, expires_at: 2030-01-31}]", "lacks its offset from UTC: write"),
        ("memberships: [{workspace: w, user: a, role: b, expires_at: soon}]", "'soon' is no time: write 2030-01-31T12"),
        ("memberships: [{workspace: w, user: a, role: b, expires_at: 0001-01-01T00:00:00+14:00}]", "is out of range"),
        ("removals: [{workspace: w, user: a}]", "removal: removed_at is missing"),
        ("removals: [{user: a, removed_at: 2030-01-31T12:00:00Z}]", "removal: needs one of workspace and organization"),
        ("removals: [{platform: true, user: a}]", "removal: 'platform' is not a key here"),
        ("visits: [{workspace: w, user: a}]", "visit: entered_at is missing"),
        ("workspaces: [{id: a, module_settings: {dam: 1}}]", "module_settings: dam: must be a mapping"),
        ("subscriptions: [{workspace: w}]", "subscription: plan is missing"),
        (
            "subscriptions: [{workspace: w, plan: p, status: paused}]",
            "'paused' is not one of active, trialing, past_due",
        ),
        ("invitations: [{id: i, workspace: w}]", "invitation: email is missing"),
    ],
)
def test_a_mistake_in_yaml_is_refused_with_its_line(text: str, message: str) -> None:
    assert any(message in refusal for refusal in refusals(text)), refusals(text)


def test_all_mistakes_are_reported_at_once() -> None:
    assert len(refusals("users: [{id: ''}, {nmae: x}]\nroles: []\n")) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("memberships: [{platform: true, user: a, role: operatr}]", "role: the catalog has no 'operatr' (did you mean"),
        ("memberships: [{platform: true, user: a, role: guest}]", "the places of 'guest' are workspace, not platform"),
        ("memberships: [{organization: o, user: a, role: guest}]", "'guest' are workspace, not organization"),
        ("memberships: [{workspace: w, user: a, role: guest, permissions: [hang]}]", "permissions: the catalog has no"),
        (
            "memberships: [{workspace: w, user: a, role: guest, modules: [arts]}]",
            "modules: the catalog has no 'arts' (did",
        ),
        ("memberships: [{workspace: w, user: a, role: owner, modules: []}]", "modules: the role 'owner' is owner-like"),
        (
            "memberships: [{workspace: w, user: a, role: owner, expires_at: 2030-01-01T00:00:00Z}]",
            "expires_at: the role 'owner' is owner-like and takes none",
        ),
        ("invitations: [{id: i, workspace: w, email: a@b, role: operator}]", "'operator' are platform, not workspace"),
        ("subscriptions: [{workspace: w, plan: huge}]", "plan: the catalog has no 'huge'"),
        ("workspaces: [{id: a, module_settings: {arts: {}}}]", "module_settings: the catalog has no 'arts'"),
        (
            "memberships: [{workspace: w, user: a, role: guest, is_derived: true}]",
            "is for memberships of organizations",
        ),
        (
            """memberships: [{id: m, platform: true, user: a, role: operator}]
removals: [{id: m, workspace: w, user: a, removed_at: 2030-01-31T12:00:00Z}]""",
            "removal: id: line 2 has the same",
        ),
        ("users: [{id: a}, {id: a}]", "state:2: user: was there already, in line 2"),
        ("workspaces: [{id: a, modules: [arts]}]", "workspace: modules: the catalog has no 'arts'"),
        ("workspaces: [{id: a, enabled_providers: [pots]}]", "enabled_providers: the catalog has no 'pots'"),
        ("workspaces: [{id: a, parent: a}]", "parent: is the workspace itself, or below it"),
        ("workspaces: [{id: a, parent: b}, {id: b, parent: a}]", "parent: is the workspace itself, or below it"),
        ("workspaces: [{id: a, organization: o}, {id: b, parent: a, organization: p}]", "a child has its parent's"),
        ("users: [{id: a, default_workspace: v}]", "user: there is no workspace 'v'"),
        ("workspaces: [{id: a, parent: b}]", "workspace: there is no workspace 'b'"),
        ("workspaces: [{id: a, organization: b}]", "workspace: there is no organization 'b'"),
        ("memberships: [{workspace: v, user: a, role: guest}]", "membership: there is no workspace 'v'"),
    ],
)
def test_what_the_catalog_or_the_state_lacks_is_found(text: str, message: str) -> None:
    found = checked("#\n" + text)
    assert any(message in problem for problem in found), found


def test_a_partial_state_may_speak_of_what_a_database_has() -> None:
    assert (
        checked("workspaces: [{id: a, parent: b}]\nsubscriptions: [{workspace: c, plan: small}]", is_complete=False)
        == []
    )


def test_a_child_may_leave_its_organization_out() -> None:
    children = "{id: b, parent: a}, {id: c, parent: b, organization: o}"
    text = f"organizations: [{{id: o}}]\nworkspaces: [{children}, {{id: a, organization: o}}]"
    assert checked(text) == []


def test_a_tree_has_at_most_sixteen_levels() -> None:
    lines = ["workspaces:", "- {id: w1}", *(f"- {{id: w{n}, parent: w{n - 1}}}" for n in range(2, 18))]
    assert checked("\n".join(lines)) == ["state:18: workspace: parent: lies deeper than 16 workspaces"]


def test_a_state_is_applied_whatever_its_order() -> None:
    text = """
memberships: [{workspace: c, user: ann, role: guest}, {platform: true, user: root, role: operator}]
subscriptions: [{workspace: p, plan: large}]
workspaces: [{id: c, parent: p, modules: [art]}, {id: p, organization: o, owner: ann, is_suspended: true}]
organizations: [{id: o}]
users: [{id: ann}, {id: bob, is_active: false}]
"""
    facts = Facts()
    read_state(text, "yaml").apply_to(facts, CATALOG, NOON.timestamp())
    child = facts.places["workspace", "c"]
    assert [place.key[1] for place in child.chain] == ["c", "p", "o", ""]
    assert (child.state, child.modules) == (Effective.SUSPENDED, frozenset({"art"}))
    assert child.subscription == ("large", SubscriptionStatus.ACTIVE)
    assert facts.places["workspace", "p"].modules == frozenset({"art", "shop"})
    assert child.members == ["ann"]
    assert dict(facts.users) == {"ann": True, "bob": False}


def test_the_switch_for_child_workspaces_reaches_the_facts() -> None:
    facts = Facts()
    text = "workspaces: [{id: a, settings: {features: {child_workspaces: false}}}, {id: b}]"
    read_state(text, "yaml").apply_to(facts, CATALOG, NOON.timestamp())
    assert facts.places["workspace", "a"].child_workspaces is False
    assert facts.places["workspace", "b"].child_workspaces is None


def plain(node: Node) -> Any:
    if isinstance(node.value, list):
        return [plain(entry) for entry in node.value]
    if isinstance(node.value, dict):
        return {key: plain(entry) for key, entry in node.value.items()}
    return node.value


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1)
TREES = st.recursive(TEXTS, lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXTS, inside, max_size=3))


@given(tree=TREES, in_one_line=st.booleans())
def test_yaml_is_read_as_its_own_library_would_with_every_word_a_text(tree: Any, in_one_line: bool) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True, default_flow_style=in_one_line)
    node, problems = read_yaml("tree.yaml", text)
    assert problems == []
    assert node is not None
    assert plain(node) == tree


@given(
    position=st.integers(0, len(EVERYTHING) - 1),
    text=st.text(st.sampled_from("&*!?:-[]{},'\"#|>%@` \n\tx1~\x00\ud800"), max_size=3),
    length=st.integers(0, 4),
)
def test_no_damage_to_a_file_is_more_than_a_refusal(position: int, text: str, length: int) -> None:
    try:
        state = read_state(EVERYTHING[:position] + text + EVERYTHING[position + length :], "yaml")
    except StateRefused:
        return
    check(state, CATALOG, is_complete=True)


_TEXTS = [
    *(f"users: [{{id: a, {field}: {{}}}}]" for field in ("name", "image_url")),
    "users: [{id: a, email: {}a@b.example}]",
    "organizations: [{id: a, name: {}}]",
    *(
        f"workspaces: [{{id: a, {field}: {{}}}}]"
        for field in ("name", "domain", "image_url", "website", "phone", "social_x", "social_github", "schedule")
    ),
    "workspaces: [{id: a, settings: {branding: {logo: {}}}}]",
    "memberships: [{user: a, workspace: w, role: {}}]",
    "invitations: [{id: i, workspace: w, email: {}a@b.example}]",
    *(f"subscriptions: [{{workspace: w, {rest}}}]" for rest in ("plan: {}", "plan: a, plan_type: {}")),
]


@pytest.mark.parametrize("hidden", ["\u200b", "\u2060", "\u00ad", "\u202e", "\u2066", "\u3164"])
@pytest.mark.parametrize("text", _TEXTS)
def test_no_line_of_text_holds_an_invisible_character(text: str, hidden: str) -> None:
    (refused,) = refusals(text.replace("{}", f"a{hidden}b"))
    assert f"must not hold the character U+{ord(hidden):04X}" in refused


def test_what_a_request_may_write_can_be_imported() -> None:
    text = (
        r"""
workspaces:
  - {id: a, description: "one\r\ntwo", notes: "so\u00adft", settings: {features: {1a: true, a.b: false}}}
subscriptions: [{workspace: a, plan: """
        + "p" * 100
        + ", plan_type: "
        + "t" * 64
        + "}]"
    )
    state = read_state(text, "yaml")
    (workspace,) = given_by(state, "workspace")
    assert (workspace["description"], workspace["notes"]) == ("one\r\ntwo", "so\u00adft")
    assert workspace["settings"]["features"] == {"1a": True, "a.b": False}
