from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.bundle_files import CATALOG, CORE, FILES, MODEL, POLICY, bundle
from wsauthz.policy.bundle import BundleRefused, build_bundle, read_bundle
from wsauthz.policy.model_conf import check_model
from wsauthz.policy.sizes import MOST_BYTES


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a bundle's directory with model.conf beside it."""
    inside = tmp_path / "gallery"
    inside.mkdir()
    for name, text in FILES.items():
        (tmp_path if name == "model.conf" else inside).joinpath(name).write_text(text, encoding="utf-8")
    return inside


def refusals(directory: Path) -> list[str]:
    with pytest.raises(BundleRefused) as refused:
        read_bundle(directory, CORE)
    assert str(refused.value) == "\n".join(map(str, refused.value.problems))
    return [str(problem) for problem in refused.value.problems]


def test_a_directory_becomes_a_bundle(directory: Path) -> None:
    found = read_bundle(directory, CORE)
    assert found.catalog.name == "gallery"
    assert found.rules.catalog is found.catalog
    assert found.files == {name: text for name, text in FILES.items() if name != "model.conf"}
    assert found.version == bundle().version


def test_the_version_depends_on_every_byte_of_every_file() -> None:
    versions = {bundle().version}
    names = [name for name in FILES if name != "model.conf"]
    for name in names:
        versions.add(build_bundle({**FILES, name: FILES[name] + "# \n"}, CORE).version)
    versions.add(build_bundle({**FILES, "routes.yaml": ""}, CORE).version)
    assert len(versions) == len(names) + 2
    assert all(len(version) == 12 for version in versions)


def test_the_version_does_not_depend_on_the_order_of_the_files() -> None:
    assert build_bundle(dict(reversed(FILES.items())), CORE).version == bundle().version


def test_tests_and_routes_are_optional_the_rest_is_not() -> None:
    build_bundle({name: FILES[name] for name in ("catalog.toml", "policy.csv")}, CORE)
    with pytest.raises(BundleRefused) as refused:
        build_bundle({}, CORE)
    missing = [
        "catalog.toml: is missing",
        "policy.csv: is missing",
    ]
    assert [str(problem) for problem in refused.value.problems] == missing


@pytest.mark.req("REQ-149")
def test_problems_of_all_files_are_reported_at_once(directory: Path) -> None:
    (directory / "policy.csv").write_text(POLICY + "x\n")
    (directory.parent / "model.conf").write_text(MODEL.replace("r.act == p.act", "r.act != p.act"))
    (directory / "extra.csv").write_text("")
    assert [text.partition(":")[0] for text in refusals(directory)] == [
        "../model.conf",
        "../model.conf",
        "extra.csv",
        "policy.csv",
    ]


def test_rules_are_not_read_without_a_vocabulary() -> None:
    with pytest.raises(BundleRefused) as refused:
        build_bundle({**FILES, "catalog.toml": CATALOG.replace("rank = 90", "rank = 0")}, CORE)
    assert [problem.file for problem in refused.value.problems] == ["catalog.toml"]


@pytest.mark.parametrize("name", ["policy2.csv", "catalog.yml", "old.toml", "test.yaml", "extra.conf"])
def test_a_file_that_looks_like_policy_and_is_none_is_refused(directory: Path, name: str) -> None:
    (directory / name).write_text("")
    assert refusals(directory) == [f"{name}: is not a file of a policy bundle"]


@pytest.mark.parametrize("name", ["README.md", ".policy.csv.swp", "policy.csv~", ".#policy.csv", "..data"])
def test_notes_and_what_editors_leave_behind_are_ignored(directory: Path, name: str) -> None:
    (directory / name).write_text("")
    assert read_bundle(directory, CORE).version == bundle().version


@pytest.mark.parametrize("beside", [None, MODEL, "# ours\n" + MODEL])
@pytest.mark.parametrize("inside", [None, MODEL, MODEL.replace(", ", ",")])
def test_a_model_that_says_what_is_built_in_may_lie_inside_or_beside_or_nowhere(
    directory: Path, inside: str | None, beside: str | None
) -> None:
    (directory.parent / "model.conf").unlink()
    for text, folder in ((inside, directory), (beside, directory.parent)):
        if text is not None:
            (folder / "model.conf").write_text(text)
    found = read_bundle(directory, CORE)
    assert (found.version, "model.conf" in found.files) == (bundle().version, False)


@pytest.mark.parametrize(("place", "name"), [(".", "model.conf"), ("..", "../model.conf")])
def test_another_model_is_refused_wherever_it_lies(directory: Path, place: str, name: str) -> None:
    (directory / place / "model.conf").write_text(MODEL.replace("&& !some(where (p.eft == deny))", ""))
    found = refusals(directory)
    assert {text.partition(": ")[0].partition(":")[0] for text in found} == {name}
    (directory / place / "model.conf").write_bytes(b"\xff")
    assert refusals(directory) == [f"{name}: is not UTF-8"]


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    assert "nowhere: cannot be read: No such file or directory" in refusals(tmp_path / "nowhere")


def test_a_file_that_is_too_large_is_refused(directory: Path) -> None:
    (directory / "policy.csv").write_text("#" * MOST_BYTES + "\n")
    assert refusals(directory) == ["policy.csv: has more than 1,048,576 bytes"]


def test_a_file_that_is_not_utf_8_is_refused(directory: Path) -> None:
    (directory / "policy.csv").write_bytes(b"\xff\xfe")
    assert "policy.csv: is not UTF-8" in refusals(directory)


def test_a_directory_in_the_place_of_a_file_is_refused(directory: Path) -> None:
    (directory / "routes.yaml").mkdir()
    assert refusals(directory) == ["routes.yaml: is not a file"]


def test_carriage_returns_are_kept_until_they_are_refused(directory: Path) -> None:
    (directory / "policy.csv").write_bytes(POLICY.replace("\n", "\r\n").encode())
    assert all("U+000D is not allowed" in text for text in refusals(directory))


def test_unknown_names_of_files_that_a_caller_hands_in_are_refused() -> None:
    with pytest.raises(BundleRefused, match=r"notes\.txt: is not a file of a policy bundle"):
        build_bundle({**FILES, "notes.txt": ""}, CORE)


def test_comments_and_white_space_of_the_model_are_its_own() -> None:
    assert check_model(MODEL) == []
    assert check_model("; another comment\n\n" + MODEL.replace(", ", " ,").replace("==", " == ")) == []
    assert check_model(MODEL.replace("\\\n    ", "")) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("r = sub, dom, use, obj, act", "r = sub, dom, obj, act"),
        ("p = sub, dom, obj, act, state, eft", "p = sub, dom, obj, act, eft"),
        ("g = _, _, _", "g = _, _"),
        ("g4 = _, _\n", ""),
        ("!some(where (p.eft == deny))", "some(where (p.eft == deny))"),
        ('p.act == "*"', 'p.act == "* "'),
        ("keyMatch", "keyMatch2"),
        ("&& g3(r.dom, p.state) ", ""),
        ("[matchers]", "[matcher]"),
        ("[matchers]\n", "[matchers]\nm2 = true\n"),
    ],
)
def test_another_model_is_refused(old: str, new: str) -> None:
    assert MODEL.count(old) == 1
    problems = check_model(MODEL.replace(old, new))
    assert problems
    assert all(problem.file == "model.conf" for problem in problems)


def test_a_setting_of_the_model_that_occurs_twice_is_refused() -> None:
    assert check_model(MODEL.replace("g2 = _, _\n", "g2 = _, _\ng2 = _, _\n"))


@given(
    position=st.integers(0, len(MODEL) - 1),
    text=st.text(st.sampled_from('gm=_(), "*!&|\\\n#'), max_size=2),
    length=st.integers(0, 2),
)
def test_no_damage_to_the_model_is_more_than_a_refusal(position: int, text: str, length: int) -> None:
    check_model(MODEL[:position] + text + MODEL[position + length :])
