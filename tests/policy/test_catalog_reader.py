import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.bundle_files import CATALOG, CORE, catalog
from wsauthz.policy.catalog import AddById, Answer, Reason
from wsauthz.policy.catalog_reader import read_catalog


def refusals(text: str) -> list[str]:
    found, problems = read_catalog(text, CORE)
    assert (found is None) == bool(problems)
    return [str(problem) for problem in problems]


def changed(old: str, new: str) -> list[str]:
    assert CATALOG.count(old) >= 1, old
    return refusals(CATALOG.replace(old, new, 1))


def without(section: str) -> str:
    start = CATALOG.index(section)
    end = CATALOG.find("\n\n", start)
    return CATALOG[:start] + CATALOG[end + 2 :]


def test_everything_in_the_file_is_in_the_catalog() -> None:
    found = catalog()
    assert (found.name, found.operator_role) == ("gallery", "operator")
    assert list(found.roles) == ["operator", "owner", "editor", "guest"]
    assert found.roles["owner"].places == {"workspace", "organization"}
    assert (found.roles["owner"].assignable, found.roles["guest"].assignable) == (False, True)
    assert (found.default_workspace_role, found.default_organization_role) == ("guest", "editor")
    assert (found.creator_role, found.former_owner_role) == ("editor", "editor")
    assert (found.ownership_role, found.ownership_multiple, found.on_account_deletion) == ("owner", False, "delete")
    assert found.permissions == {"can-hang": "Hang pictures"}
    assert found.modules == {"art": "Art", "shop": "Shop"}
    assert found.plans["small"].modules == ("art",)
    assert found.plans["large"].modules is None
    assert found.plans["large"].features == ("gold", "branding")
    assert found.providers == {"post": "Post"}
    assert found.join_methods == ("invite_code", "organization")
    assert found.invitation_lifetime_days == 3
    assert found.subject_types == ("user", "service")


def test_the_core_vocabulary_comes_first_and_no_star_will_cover_it() -> None:
    resources = catalog().resources
    assert list(resources)[: len(CORE)] == list(CORE)
    assert resources["workspace"].is_core
    assert resources["workspace"].actions["customize_branding"] == "branding"


def test_resources_know_their_module_and_the_feature_they_require() -> None:
    resources = catalog().resources
    assert (resources["art:frame"].module, resources["art:frame"].actions) == ("art", {"gild": "gold"})
    assert (resources["note"].module, resources["note"].is_core) == ("core", False)


@pytest.mark.req("REQ-109", "REQ-120")
def test_guards_keep_the_order_of_their_reasons() -> None:
    guards = catalog().guards
    assert list(guards["checkWorkspace"]) == [Reason.WORKSPACE_ID_MISSING, Reason.NOT_A_MEMBER]
    assert guards["checkWorkspace"][Reason.WORKSPACE_ID_MISSING] == Answer(status=302, message="", redirect="/")


def test_answers_replace_the_default_ones() -> None:
    found = catalog()
    assert found.answer(Reason.WORKSPACE_SUSPENDED).redirect == "/{id}/suspended"
    assert found.answer(Reason.WORKSPACE_NOT_FOUND).status == 404


def test_what_may_be_left_out_has_a_default() -> None:
    text = CATALOG
    for section in ("[joining]", "[invitations]", "[limits]", "[providers]", "[permissions]"):
        start = text.index(section)
        text = text[:start] + text[text.index("\n\n", start) + 2 :]
    text = text[: text.index("[authzen]")]
    found = catalog(text)
    assert found.join_methods == ("invite_code",)
    assert found.add_by_id is AddById.ANYBODY
    assert found.invitation_lifetime_days == 7
    assert (found.workspaces_per_owner, found.children_per_parent, found.members_per_place) == (100, 1000, 100_000)
    assert found.providers is None
    assert found.permissions == {}
    assert (found.by_slug, found.public_profile) == (False, False)
    assert found.subject_types == ("user",)


@pytest.mark.parametrize("key", ["by_slug", "public_profile"])
def test_a_lookup_is_switched_on_alone(key: str) -> None:
    start = CATALOG.index("[joining]")
    found = catalog(f"{CATALOG[:start]}[lookups]\n{key} = true\n\n{CATALOG[start:]}")
    assert (found.by_slug, found.public_profile) == (key == "by_slug", key == "public_profile")


@pytest.mark.parametrize("by_id", AddById)
def test_whom_one_may_add_by_an_id_may_be_said_without_the_codes(by_id: AddById) -> None:
    start = CATALOG.index("[joining]")
    end = CATALOG.index("\n\n", start)
    found = catalog(f'{CATALOG[:start]}[joining]\nadd_by_id = "{by_id}"{CATALOG[end:]}')
    assert (found.add_by_id, found.join_methods) == (by_id, ("invite_code",))


def test_one_limit_may_be_given_alone() -> None:
    found = catalog()
    assert (found.workspaces_per_owner, found.children_per_parent) == (5, 1000)


def test_a_bundle_without_roles_for_organizations_needs_no_default_for_them() -> None:
    text = CATALOG.replace(', "organization"]', "]").replace('organization = "editor"\n', "")
    text = text.replace('methods = ["invite_code"]', 'methods = ["invite_code"]')
    assert catalog(text).default_organization_role == ""


def test_a_feature_that_no_plan_grants_is_required_in_vain() -> None:
    """Without plans nothing is gated: the resource would be open to everybody."""
    text = CATALOG[: CATALOG.index("[plans.small]")] + CATALOG[CATALOG.index("[providers]") :]
    refused = """resources."art:frame".requires_feature: 'gold' is a feature of no plan"""
    assert [each for each in refusals(text) if refused in each] == refusals(text)
    assert refused in refusals(CATALOG.replace('"gold", "branding"', '"branding"'))[0]


def test_the_core_may_require_a_feature_in_a_bundle_without_plans() -> None:
    """It is the same for every bundle (docs/decisions/0003)."""
    text = CATALOG[: CATALOG.index("[plans.small]")] + CATALOG[CATALOG.index("[providers]") :]
    text = text.replace('requires_feature = "gold"\n', "")
    assert catalog(text).resources["workspace"].actions["customize_branding"] == "branding"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "gallery"\n', "", "catalog.toml: the file: name is missing"),
        ('name = "gallery"', 'name = "Gallery"', "catalog.toml:1: name: 'Gallery' is no name: a name is 1 to 64"),
        ('operator_role = "operator"', 'operator_role = "editr"', "catalog.toml:2: operator_role: 'editr' is not a"),
        (
            'operator_role = "operator"',
            'operator_role = "guest"',
            "the places of the role 'guest' are workspace, not platform",
        ),
        ("rank = 90", "rank = 0", "catalog.toml:5: roles.operator.rank: must be from 1 to 1,000,000"),
        ("rank = 90", 'rank = "high"', "catalog.toml:5: roles.operator.rank: must be a whole number"),
        ("rank = 90", "rank = true", "catalog.toml:5: roles.operator.rank: must be a whole number"),
        ("rank = 90\n", "", "catalog.toml:4: roles.operator: rank is missing"),
        ('title = "Operator"', 'title = " "', "catalog.toml:6: roles.operator.title: must not be empty"),
        ('places = ["platform"]', "places = []", "catalog.toml:7: roles.operator.places: must name a place"),
        ('["platform"]', '["platfrom"]', "'platfrom' is unknown (did you mean platform?)"),
        ('["platform"]', '["platform", "platform"]', "'platform' is listed twice"),
        ("assignable = false", "asignable = false", "roles.owner.asignable: is not a key of this table (did you mean"),
        ("assignable = false", 'assignable = "no"', "roles.owner.assignable: must be true or false"),
        ("[roles.guest]", "[roles.everyone]", "roles.everyone: is the role of every active user"),
        ("[roles.guest]", '[roles."gu est"]', "'gu est' is no name"),
        ("rank = 20", "rank = 50", "ownership.role: must rank above every other role; 'editor' has rank 50"),
        ('workspace = "guest"', 'workspace = "gust"', "defaults.workspace: 'gust' is not a role (did you mean guest?)"),
        (
            'organization = "editor"',
            'organization = "guest"',
            "the places of the role 'guest' are workspace, not organization",
        ),
        ('organization = "editor"\n', "", "defaults: organization is missing"),
        (
            'workspace = "guest"',
            'workspace = "owner"',
            "defaults.workspace: the role 'owner' is owner_like, so it cannot be what joining gives",
        ),
        (
            'organization = "editor"',
            'organization = "owner"',
            "defaults.organization: the role 'owner' is not assignable, so it cannot be what joining gives",
        ),
        ('creator = "editor"', 'creator = ""', "defaults.creator: must name a role"),
        (
            'former_owner = "editor"',
            'former_owner = "operator"',
            "the places of the role 'operator' are platform, not workspace",
        ),
        ("former_owner =", "formr_owner =", "defaults.formr_owner: is not a key of this table"),
        ('role = "owner"', 'role = "ownr"', "ownership.role: 'ownr' is not a role (did you mean owner?)"),
        ("multiple = false", "multiple = true", "ownership.role: must be assignable when there may be several owners"),
        ("assignable = false\n", "", "ownership.role: must have assignable = false when there is one owner"),
        ("assignable = false", "assignable = true", "ownership.role: must have assignable = false when there is one"),
        ('role = "owner"\nmultiple = false', "multiple = true", "ownership.role: is missing: with several owners"),
        ('"delete"', '"destroy"', "ownership.on_account_deletion: must be one of delete, transfer"),
        ('on_account_deletion = "delete"\n', "", "ownership: on_account_deletion is missing"),
        ('"can-hang" = "Hang pictures"', '"can-hang" = 1', "permissions.can-hang: must be a text"),
        ('"can-hang"', '"Can Hang"', "permissions: 'Can Hang' is no name"),
        ("[modules.art]", "[modules.core]", "modules.core: is the module everybody has"),
        ('title = "Art"', 'titel = "Art"', "modules.art.titel: is not a key of this table (did you mean title?)"),
        ('"art:picture"', '"atr:picture"', "'atr' is not a module (did you mean art?)"),
        ('"art:picture"', '"core:picture"', "is written without the module core (did you mean picture?)"),
        ('"art:picture"', '"workspace"', "resources.workspace: is a core resource and cannot be declared"),
        ('"art:picture"', '"art:pic*"', "'pic*' is no name"),
        ('["see", "hang"]', "[]", 'resources."art:picture".actions: must name an action'),
        ('["see", "hang"]', '["see", "*"]', "'*' is no name"),
        ('["see", "hang"]', '["see", 1]', "must be a list of texts"),
        (
            'requires_feature = "gold"',
            'requires_feature = "golt"',
            "'golt' is a feature of no plan (did you mean gold?)",
        ),
        ('modules = ["art"]', 'modules = ["arts"]', "plans.small.modules: 'arts' is unknown (did you mean art?)"),
        ('type = "free"\n', "", "plans.small: type is missing"),
        ('post = "Post"', '"Post" = "Post"', "providers.Post: is not 1 to 64 characters"),
        ('"organization"]\n\n[inv', '"code"]\n\n[inv', "joining.methods: 'code' is unknown"),
        (
            "[joining]",
            '[joining]\nadd_by_id = "visble"',
            "joining.add_by_id: 'visble' is unknown (did you mean visible?)",
        ),
        ("[joining]", "[joining]\nadd_by_id = true", "joining.add_by_id: must be a text"),
        ("[invitations]", "[lookups]\nby_slugs = true\n[invitations]", "lookups.by_slugs: is not a key of this table"),
        ("[invitations]", '[lookups]\nby_slug = "yes"\n[invitations]', "lookups.by_slug: must be true or false"),
        (
            "[invitations]",
            "[lookups]\npublic_profile = 1\n[invitations]",
            "lookups.public_profile: must be true or false",
        ),
        ("lifetime_days = 3", "lifetime_days = 0", "invitations.lifetime_days: must be at least 1"),
        ("lifetime_days = 3", "lifetime_days = 91", "invitations.lifetime_days: must be at most 90"),
        ("lifetime_days = 3", "lifetime_days = 700", "invitations.lifetime_days: must be at most 90"),
        ("workspaces_per_owner = 5", "workspaces_per_owner = -5", "limits.workspaces_per_owner: must be at least 1"),
        ("workspaces_per_owner = 5", "workspace_per_owner = 5", "(did you mean workspaces_per_owner?)"),
        ('fails = "NOT_A_MEMBER"', 'fails = "NOT_MEMBER"', "guards.checkWorkspace[2].fails: 'NOT_MEMBER' is not a"),
        ('fails = "NOT_A_MEMBER"', 'fails = "WORKSPACE_ID_MISSING"', "WORKSPACE_ID_MISSING is answered twice"),
        ("status = 302", "status = 200", "guards.checkWorkspace[1].status: must be from 300 to 599"),
        ('redirect = "/"\n', "", "guards.checkWorkspace[1].redirect: is missing: a status 3xx needs one"),
        ('redirect = "/{id}/suspended"', 'redirect = "/{name}/x"', "the one placeholder is {id}"),
        ('redirect = "/{id}/suspended"', 'redirect = "//elsewhere"', "must be a path or a URL"),
        ("[answers.WORKSPACE_SUSPENDED]", "[answers.SUSPENDED]", "answers.SUSPENDED: 'SUSPENDED' is not a reason"),
        ('message = "Closed"', 'mesage = "Closed"', "(did you mean message?)"),
        (
            'subject_types = ["user", "service"]',
            "subject_types = []",
            "authzen.subject_types: must name a subject type",
        ),
        ("[authzen]", "[authsen]", "authsen: is not a key of this table (did you mean authzen?)"),
        ("[modules.art]", "[modules.art", "catalog.toml:40: is no TOML"),
    ],
)
def test_a_mistake_is_refused_with_its_place_and_a_correction(old: str, new: str, message: str) -> None:
    assert any(message in text for text in changed(old, new)), changed(old, new)


def test_an_owner_role_of_several_owners_must_be_owner_like() -> None:
    text = CATALOG.replace("multiple = false", "multiple = true").replace("assignable = false\nowner_like = true\n", "")
    assert refusals(text) == [
        "catalog.toml:31: ownership.role: must be owner_like when there may be several owners",
    ]


def test_a_role_of_the_platform_alone_may_rank_above_the_owners() -> None:
    assert catalog().roles["operator"].rank > catalog().roles["owner"].rank


@pytest.mark.parametrize("section", ["[defaults]", "[ownership]"])
def test_a_section_that_decides_something_must_be_there(section: str) -> None:
    name = section.strip("[]")
    assert refusals(without(section)) == [f"catalog.toml: the file: {name} is missing"]


def test_all_problems_are_reported_at_once() -> None:
    text = CATALOG.replace("rank = 90", "rank = 0").replace('"can-hang"', '"Can"').replace('["see", "hang"]', "[]")
    assert len(refusals(text)) == 3


def test_an_empty_file_says_what_is_missing() -> None:
    assert "catalog.toml: the file: name is missing" in refusals("")


@pytest.mark.parametrize(
    "text",
    [
        "roles = 1",
        "roles.admin = 1",
        "guards = []",
        "guards.check = 1",
        "guards.check = [1]",
        "answers = 5",
        "limits = 1",
    ],
)
def test_a_value_where_a_table_belongs_is_refused(text: str) -> None:
    assert any("must be a" in refusal for refusal in refusals(text))


@given(
    position=st.integers(0, len(CATALOG) - 1), character=st.sampled_from("\"'[]{}=.,#\n x1-"), length=st.integers(0, 3)
)
def test_no_damage_to_the_file_is_more_than_a_refusal(position: int, character: str, length: int) -> None:
    refusals(CATALOG[:position] + character + CATALOG[position + length :])


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('title = "Operator"', 'title = "Oper\u200bator"', "roles.operator.title"),
        ('title = "Art"', 'title = "A\u202ert"', "modules.art.title"),
        ('"Hang pictures"', '"Hang\u2060pictures"', "permissions.can-hang"),
        ('post = "Post"', 'post = "Po\ufeffst"', "providers.post"),
    ],
)
def test_no_title_holds_an_invisible_character(old: str, new: str, where: str) -> None:
    (problem,) = changed(old, new)
    assert f"{where}: must not hold the character U+" in problem
