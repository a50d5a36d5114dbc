import pytest
from casbin.persist.adapter import _extract_tokens
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.bundle_files import CATALOG as CATALOG_TEXT
from tests.policy.bundle_files import POLICY, catalog
from wsauthz.model.places import State
from wsauthz.policy.rules_reader import read_rules

CATALOG = catalog()
GOOD = "p, role:guest, *, note/*, read, any, allow\n"


def refusals(text: str) -> list[str]:
    table, problems = read_rules(text, CATALOG)
    assert (table is None) == bool(problems)
    return [str(problem) for problem in problems]


def test_rows_become_rules_with_their_lines() -> None:
    table, _ = read_rules(POLICY, CATALOG)
    assert table is not None
    rule = table.rules[1]
    assert (rule.line, rule.node, rule.place) == (3, "role:guest", None)
    assert (rule.resource, rule.action, rule.states, rule.allows) == ("art:picture/*", "see", (State.ACTIVE,), True)
    assert table.rules[3].states == (State.ACTIVE, State.SUSPENDED, State.INACTIVE)
    assert not table.rules[3].allows
    assert table.rules[-1].place == ("platform", "")
    assert table.inherits == (("role:editor", "role:guest"), ("role:owner", "role:editor"))
    assert table.flows == (("role:owner", "role:editor"), ("role:editor", "role:editor"))


def test_white_space_comments_and_blank_lines_change_nothing() -> None:
    table, problems = read_rules("\n  # note: viewers\n\tp,role:guest,*,note/*,read,any,allow  \n\n", CATALOG)
    assert not problems
    assert table is not None
    assert len(table.rules) == 1


@pytest.mark.parametrize("place", ["*", "platform", "workspace:w", "organization:acme.com"])
def test_a_rule_holds_everywhere_or_in_a_place(place: str) -> None:
    assert refusals(f"p, role:guest, {place}, note/*, read, any, allow\n") == []


@pytest.mark.parametrize("resource", ["*", "art:*", "core:*", "art:picture/*", "art:picture/7", "workspace/w"])
def test_a_resource_is_everything_a_module_a_type_or_one_object(resource: str) -> None:
    assert refusals(f"p, role:guest, *, {resource}, *, any, allow\n") == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("q, role:guest, *, note/*, read, any, allow", "'q' is not a row type: use p, g or g4"),
        ("g2, platform, platform", "'g2' is not a row type"),
        ("P, role:guest, *, note/*, read, any, allow", "'P' is not a row type"),
        ("p, role:guest, *, note/*, read, any", "a row p has 7 columns: p, subject, place, resource, action, state,"),
        ("p, role:guest, *, note/*, read, any, allow,", "a row p has 7 columns"),
        ("g, role:editor, role:guest", "a row g has 4 columns: g, role, what it inherits, *"),
        ("g4, role:editor, role:guest, *", "a row g4 has 3 columns: g4, role above, role below"),
        ("p, role:guest, *, note/*, read, any, allow # why", "a comment must stand on a line of its own"),
        ('p, "role:guest", *, note/*, read, any, allow', "quotes are not allowed"),
        ("p, role:guest, *, note/*, read, any, 'allow'", "quotes are not allowed"),
        (
            "p, role:guest, *, note/*, read, any, alow",
            "'alow' is not an effect (did you mean allow?)",
        ),
        (
            "p, role:guest, *, note/*, read, any, dney",
            "'dney' is not an effect (did you mean deny?)",
        ),
        ("p, role:guest, *, note/*, read, active, deny", "a deny must hold in any state, not 'active'"),
        (
            "p, role:guest, *, note/*, read, activ, allow",
            "'activ' is not a state (did you mean active?)",
        ),
        ("p, role:guest, *, note/*, read, deleted, allow", "'deleted' is not a state"),
        (
            "p, role:gest, *, note/*, read, any, allow",
            "'role:gest' is neither a role nor a permission of catalog.toml (d",
        ),
        ("p, guest, *, note/*, read, any, allow", "'guest' lacks its prefix (did you mean role:guest?)"),
        ("p, can-hang, *, note/*, read, any, allow", "'can-hang' lacks its prefix (did you mean perm:can-hang?)"),
        (
            "p, everyone, platform, note/*, read, any, allow",
            "'everyone' lacks its prefix (did you mean role:everyone?)",
        ),
        ("p, user:ann, *, note/*, read, any, allow", "user:ann is a user: memberships live in the store"),
        ("p, , *, note/*, read, any, allow", "'' is neither a role nor a permission"),
        ("p, role:everyone, *, note/*, read, any, allow", "its place must be platform, not '*'"),
        ("p, role:everyone, workspace:w, note/*, read, any, allow", "its place must be platform, not 'workspace:w'"),
        ("p, role:guest, workspace, note/*, read, any, allow", "'workspace' is not a place: use *, platform, organiz"),
        ("p, role:guest, workspace:*, note/*, read, any, allow", "'workspace:*' is not a place"),
        ("p, role:guest, workspace:-w, note/*, read, any, allow", "'workspace:-w' is not a place"),
        ("p, role:guest, *, art:picture*, see, any, allow", "'art:picture*' is not a resource pattern (did you mean a"),
        ("p, role:guest, *, art:picture, see, any, allow", "(did you mean art:picture/*?)"),
        ("p, role:guest, *, art:picture/, see, any, allow", "(did you mean art:picture/*?)"),
        ("p, role:guest, *, art:picture/a*, see, any, allow", "(did you mean art:picture/*?)"),
        (
            "p, role:guest, *, art:pict*/7, see, any, allow",
            "'art:pict' is not a resource of catalog.toml (did you mean",
        ),
        ("p, role:guest, *, art*, see, any, allow", "(did you mean art:*?)"),
        ("p, role:guest, *, *:picture/*, see, any, allow", "is not a resource pattern"),
        ("p, role:guest, *, **, see, any, allow", "is not a resource pattern"),
        ("p, role:guest, *, atr:*, see, any, allow", "'atr' is not a module of catalog.toml (did you mean art?)"),
        ("p, role:guest, *, workspace, view, any, allow", "(did you mean workspace/*?)"),
        ("p, role:guest, *, core:workspace/*, view, any, allow", "(did you mean workspace/*?)"),
        ("p, role:guest, *, painting/*, see, any, allow", "'painting' is not a resource of catalog.toml"),
        ("p, role:guest, *, art:picture/(7, see, any, allow", "'(7' cannot be the id of a resource in a rule"),
        (
            "p, role:guest, *, art:picture/*, se, any, allow",
            "'se' is not an action of art:picture/* (did you mean see?)",
        ),
        ("p, role:guest, *, art:*, sell, any, allow", "'sell' is not an action of art:*"),
        ("p, role:guest, *, *, view, any, allow", "'view' is not an action of *"),
        ("g, user:ann, role:guest, *", "user:ann is a user: memberships live in the store"),
        ("g, perm:can-hang, role:guest, *", "perm:can-hang is not a role: permissions inherit nothing"),
        ("g, role:editor, role:guest, workspace:w", "the third column is 'workspace:w': inheritance holds everywhere"),
        ("g, role:editor, role:everyone, *", "role:everyone can be the subject of a row p only"),
        ("g, role:everyone, role:guest, *", "role:everyone can be the subject of a row p only"),
        ("g4, role:everyone, role:guest", "role:everyone can be the subject of a row p only"),
        ("g4, role:owner, role:onwer", "'role:onwer' is neither a role nor a permission of catalog.toml (did you mean"),
        ("g, role:guest, role:guest, *", "closes a circle: role:guest -> role:guest"),
        ("p, role:g\u00fcest, *, note/*, read, any, allow", "the character U+00FC is not allowed"),
        ("p, role:guest, *, note/*, read, any, allow\r", "the character U+000D is not allowed"),
        ("p, role:guest, *, note/*,\u00a0read, any, allow", "the character U+00A0 is not allowed"),
        ("# caf\u00e9", "the character U+00E9 is not allowed"),
    ],
)
def test_a_row_that_casbin_would_misread_is_refused_with_a_correction(row: str, message: str) -> None:
    found = refusals(f"{GOOD}{row}\n")
    assert len(found) == 1
    assert found[0].startswith(f"policy.csv:2: {message}") or (
        found[0].startswith("policy.csv:2:") and message in found[0]
    )


def test_a_circle_of_roles_is_refused_in_the_row_that_closes_it() -> None:
    rows = "g, role:owner, role:editor, *\ng, role:editor, role:guest, *\ng, role:guest, role:owner, *\n"
    assert refusals(GOOD + rows) == [
        "policy.csv:4: closes a circle: role:guest -> role:owner -> role:editor -> role:guest"
    ]


def test_roles_may_flow_in_circles_and_to_themselves() -> None:
    rows = "g4, role:owner, role:editor\ng4, role:editor, role:owner\ng4, perm:can-hang, perm:can-hang\n"
    assert refusals(GOOD + rows) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("p, role:guest, *, art:*, see, any, allow", "p,role:guest,*,art:*,see,any,allow"),
        ("p, role:guest, *, art:frame/*, gild, any, allow", "p, role:guest, *, art:frame/*, *, any, allow"),
        ("p, role:guest, *, shop:ticket/*, *, any, allow", "p, role:guest, *, shop:*, sell, any, allow"),
        ("p, role:guest, *, note/*, *, active, allow", "p, role:guest, *, core:*, *, active, allow"),
        ("g, role:editor, role:guest, *", "g, role:editor,  role:guest, *"),
        ("g4, role:editor, role:guest", "g4,role:editor,role:guest"),
    ],
)
def test_saying_the_same_twice_is_refused_however_it_is_written(first: str, second: str) -> None:
    assert refusals(f"{GOOD}{first}\n{second}\n") == ["policy.csv:3: says the same as line 2"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("p, role:guest, *, note/1, read, active, allow", "p, role:guest, *, note/2, read, active, allow"),
        ("p, role:guest, *, note/1, read, any, allow", "p, role:guest, *, note/1, read, any, deny"),
        ("p, role:guest, *, note/1, read, any, allow", "p, role:guest, *, note/1, read, active, allow"),
        ("p, role:guest, *, note/1, read, any, allow", "p, role:guest, platform, note/1, read, any, allow"),
        ("p, role:guest, *, note/1, read, any, allow", "p, role:owner, *, note/1, read, any, allow"),
    ],
)
def test_rows_that_only_overlap_are_no_duplicates(first: str, second: str) -> None:
    assert refusals(f"{GOOD}{first}\n{second}\n") == []


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "g, role:editor, role:guest, *\n"])
def test_a_file_without_a_rule_is_refused(text: str) -> None:
    assert refusals(text) == ["policy.csv: holds no rule"]


def test_a_file_without_a_final_newline_is_refused() -> None:
    assert refusals(GOOD.rstrip()) == ["policy.csv:1: the last line has no newline: the file may be cut off"]


@pytest.mark.parametrize("effect", ["active, allow", "any, deny"])
@pytest.mark.parametrize("pattern", ["*", "core:*", "shop:*"])
def test_a_pattern_that_covers_nothing_is_refused(pattern: str, effect: str) -> None:
    """It looks like a rule, and never applies."""
    found = catalog(without_resources(keep="art:picture" if pattern != "*" else None))
    _, problems = read_rules(f"p, role:guest, *, {pattern}, *, {effect}\n", found)
    assert [problem.text for problem in problems] == [
        f"{pattern} covers no resource of catalog.toml; core resources are named one by one, as workspace/*"
    ]


def without_resources(keep: str | None) -> str:
    """Return the catalog with one of its resources, or with none."""
    sections = CATALOG_TEXT.split("\n\n")
    return "\n\n".join(
        section
        for section in sections
        if not section.startswith("[resources") or (keep is not None and section.startswith(f'[resources."{keep}"]'))
    )


@pytest.mark.parametrize("state", ["suspended", "inactive"])
def test_everyone_is_held_where_no_state_but_active_ever_is(state: str) -> None:
    row = f"p, role:everyone, platform, workspace/*, create, {state}, allow\n"
    assert refusals(GOOD + row) == [f"policy.csv:2: role:everyone is held at the platform only, which is never {state}"]
    assert refusals(GOOD + row.replace(state, "active")) == refusals(GOOD + row.replace(state, "any")) == []


def test_all_problems_of_a_row_and_of_a_file_are_reported_at_once() -> None:
    found = refusals("p, gest, here, note, read, some, dney\nx\n")
    assert [text.partition(": ")[0] for text in found] == ["policy.csv:1"] * 5 + ["policy.csv:2"]


@given(
    position=st.integers(0, len(POLICY) - 1),
    text=st.text(st.sampled_from("pg4,:*/# \t\n'\"([)]ae1\x0b\x1c\u00a0\u2028"), max_size=3),
    length=st.integers(0, 3),
)
def test_casbin_reads_the_same_rows_from_every_file_that_is_accepted(position: int, text: str, length: int) -> None:
    changed = POLICY[:position] + text + POLICY[position + length :]
    table, problems = read_rules(changed, CATALOG)
    if table is None:
        assert problems
        return
    rows = [tokens for line in changed.splitlines() if (tokens := _extract_tokens(line.strip()))]
    assert [row[1:] for row in rows if row[0] == "p"] == [
        [column.strip() for column in rule.text.split(",")][1:] for rule in table.rules
    ]
    assert [tuple(row[1:3]) for row in rows if row[0] == "g"] == list(table.inherits)
    assert [tuple(row[1:]) for row in rows if row[0] == "g4"] == list(table.flows)
    assert {row[0] for row in rows} <= {"p", "g", "g4"}
