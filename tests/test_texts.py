"""What text is: invisible and look-alike characters, addresses, and that a second look changes nothing."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsauthz.model import texts
from wsauthz.model.errors import InvalidArgument

HIDDEN = {
    "zero width space": "\u200b",
    "no-break space of zero width": "\ufeff",
    "word joiner": "\u2060",
    "soft hyphen": "\u00ad",
    "left-to-right mark": "\u200e",
    "right-to-left mark": "\u200f",
    "Arabic letter mark": "\u061c",
    **{f"direction {ord(each):X}": each for each in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"},
    "joiner": "\u200d",
    "non-joiner": "\u200c",
    "grapheme joiner": "\u034f",
    "Hangul filler": "\u3164",
    "Hangul filler, half width": "\uffa0",
    "choseong filler": "\u115f",
    "Braille blank": "\u2800",
    "Mongolian separator": "\u180e",
    "variation selector": "\ufe0f",
    "ideographic variation": "\U000e0100",
    "tag": "\U000e0041",
    "line separator": "\u2028",
    "private use": "\ue000",
    "no character": "\uffff",
    "no character, in a high plane": "\U0010ffff",
    "escape": "\x1b",
    "delete": "\x7f",
    "next line": "\x85",
    "NUL": "\0",
    "surrogate": "\ud800",
}
ODD = st.text(
    st.one_of(
        st.sampled_from(
            [*HIDDEN.values(), *"aA.@-_ \u00e9\u0130\u00df\u0430\u03bf\uff41\ufb01\u2167\u0301\u0627\u094d\U0001f469"]
        ),
        st.characters(),
    ),
    max_size=12,
)


def name(value: str) -> str:
    return texts.line("name", value, texts.NAME_MOST)


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_no_name_and_no_address_holds_an_invisible_character(hidden: str) -> None:
    for value in (f"A{hidden}nn", f"Ann{hidden}Lee"):
        with pytest.raises(InvalidArgument) as refused:
            name(value)
        assert refused.value.field == "name"
        assert f"U+{ord(hidden):04X}" in str(refused.value)
    for value in (f"a{hidden}nn@example.com", f"ann@exam{hidden}ple.com", f"ann@exam{hidden}ple.local"):
        with pytest.raises(InvalidArgument):
            texts.email(value)


@pytest.mark.parametrize(
    "value",
    [
        *("Ann Lee", "O'Hara & Söhne", "日本語", "Ⅷ", "\u2126hm", "-", "1"),
        "\U0001f469\u200d\U0001f4bb Team",  # a person with a computer
        "\u2764\ufe0f\u200d\U0001f525",  # a heart on fire
        "\U0001f469\U0001f3fd\u200d\U0001f680",  # with a colour of skin
        "1\ufe0f\u20e3",  # a key
        "\u0645\u0647\u062f\u06cc\u200c\u0632\u0627\u062f\u0647",  # a Persian name
        "\u0d15\u0d4d\u200d",  # Malayalam
        "\U0001fae8",  # newer than some Pythons
    ],
)
def test_names_of_all_scripts_are_names(value: str) -> None:
    assert name(value) == unicodedata.normalize("NFC", value)


def test_spaces_that_look_alike_are_one_and_accents_are_composed() -> None:
    assert name("\u00a0Ann\u2003Lee\u3000") == "Ann Lee"
    assert name("Jose\u0301") == "Jos\u00e9"
    assert texts.spaced("Jose\u0301\u00a0") == "Jos\u00e9 "


def test_a_name_is_visible() -> None:
    with pytest.raises(InvalidArgument, match="must not begin with U\\+0301"):
        name("\u0301")
    for blank in (" ", "\u3000", "\t\n", ""):
        with pytest.raises(InvalidArgument, match="must not be empty"):
            texts.line("name", blank, 10, required=True)


def test_running_text_has_lines_and_what_scripts_need_but_turns_nothing_around() -> None:
    kept = "a\tb\r\nc\u2028 so\u00adft ก\u200bข \u200fא\u200e \u200d"
    assert texts.prose("notes", kept, 100) == kept
    for hidden in ("\u202e", "\u2066", "\U000e0041", "\x1b", "\0", "\uffff", "\ud800", "\ue000"):
        with pytest.raises(InvalidArgument, match=f"U\\+{ord(hidden):04X}"):
            texts.prose("notes", f"a{hidden}b", 100)


@pytest.mark.parametrize(
    "value",
    [
        *("<a@b>", "mailto:a@b", "a@b;", "Ann <a@b>", "a@b,c@d", "a@b c", "a@b;c@d", '"a b"@c', "a@[127.0.0.1]"),
        *("a@", "@b", "a", "a@b@c", "a..b@c", ".a@b", "a.@b", "a@b..c", "a@-b", "a@b-", "a@b.", "a@.b", "a@.local"),
        *("a(b)@c", "a\\@b", "a@b/c", "a@b:25", "a@b?subject=c", "a@b#", "a@b'", "a@xn--a.c", "a\t@b", "a@\u2615.c"),
        *("\uff41nn@b.c", "\ufb01@b.c", "\u2167@b.c"),  # other forms of ASCII letters
        *("\u0430nn@b.c", "p\u0430ypal@b.c", "a@ex\u0430mple.com", "\u03bfk@b.c"),  # Cyrillic and Greek among Latin
        "x" * 250 + "@b.cd",
    ],
)
def test_what_is_not_an_address_alone_is_refused(value: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        texts.email(value)
    assert refused.value.field == "email"
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("  Ann.Lee+x@Example.COM ", "ann.lee+x@example.com"),
        ("Jose\u0301@Example.com", "jos\u00e9@example.com"),
        ("a@xn--bcher-kva.example", "a@b\u00fccher.example"),
        ("a@B\u00dcCHER.example", "a@b\u00fccher.example"),
        ("\u0438\u0432\u0430\u043d@\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444",) * 2,
        *((each, each) for each in ("a@b", "ann@localhost", "ann@corp.local", "ann@x.test", "o'hara@b", "*@b")),
    ],
)
def test_an_address_has_one_form(value: str, expected: str) -> None:
    assert texts.email(value) == expected == texts.email(expected)


@given(ODD)
def test_a_second_look_changes_nothing(value: str) -> None:
    for check in (name, lambda text: texts.prose("notes", text, 100), texts.email):
        try:
            once = check(value)
        except InvalidArgument:
            continue
        assert check(once) == once
        once.encode()
        assert not {"\u202e", "\uffff", "\0"} & {*once}


@given(ODD, st.sampled_from(["b", "exa-mple.com", "corp.local", "\u0436.\u0440\u0444"]))
def test_an_address_that_is_taken_shows_all_it_holds(local: str, domain: str) -> None:
    try:
        address = texts.email(f"{local}@{domain}")
    except InvalidArgument:
        return
    assert address.count("@") == 1
    assert not {*address} & {*HIDDEN.values(), *'<>;:," \\()[]'}
    assert unicodedata.normalize("NFKC", address) == address
    assert all(each.isprintable() for each in address)
