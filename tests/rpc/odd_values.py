"""Odd values for every field of every request: which of them it refuses, and which it may well hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from wsauthz.v1 import workspaces_pb2

Values = Mapping[str, Any]
"""Name of a case -> value."""

HUGE: Final = 900_000
"""Characters that still fit into a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What fields of one kind refuse, and what they take; ``reason``: with which reason they refuse, if it matters."""

    refused: Values = field(default_factory=dict)
    legal: Values = field(default_factory=dict)
    reason: str = ""

    def but(self, refused: Values | None = None, legal: Values | None = None) -> "Kind":
        """Return the kind with these values among the refused or the legal ones, wherever they were before."""
        refused, legal = refused or {}, legal or {}
        return Kind(
            refused={**{name: value for name, value in self.refused.items() if name not in legal}, **refused},
            legal={**{name: value for name, value in self.legal.items() if name not in refused}, **legal},
            reason=self.reason,
        )


# --- texts ------------------------------------------------------------------------------------------------------------

EMPTY: Final = {"empty": ""}
_BLANK: Final = {"blank": " \t "}
_HUGE: Final = {"huge": "x" * HUGE}
_CONTROLS: Final = {"escape": "\x1b[31m", "NUL": "a\x00b", "C1": "a\x85b"}
_BREAKS: Final = {"line break": "a\nb", "tab": "a\tb"}
_ODD: Final = {
    "SQL": "\"O'Hara'); DROP TABLE users; -- %_",
    "star": "*",
    "markup": "<script>alert(1)</script>",
    "astral": "\U0001f600 e\u0301 \u0130",
    "joined": "\U0001f469\u200d\U0001f4bb",
}
"""Odd, and still texts."""
_TURNED: Final = {"right to left": "\u202eabc", "no character": "\uffff"}
"""What even running text does not hold."""
_HIDDEN: Final = {
    "zero width": "a\u200bb",
    "byte order mark": "\ufeffab",
    "word joiner": "a\u2060b",
    "soft hyphen": "a\u00adb",
    "filler": "a\u3164b",
}
_NO_NAME: Final = {
    "unknown": "nonesuch",
    "upper case": "MEMBER",
    "padded": " member",
    "star": "*",
    "accent": "\u00e9",
    "NUL": "a\x00b",
    "line break": "a\nb",
    **_HUGE,
}
"""Names of nothing in a catalog."""


def _line(most: int) -> Kind:
    longest = {"longest": "x" * most, "longest, wide": "\U0001f600" * most, "padded": f" {'x' * most}\n"}
    return Kind(
        refused={"too long": "x" * (most + 1), **_HUGE, **_CONTROLS, **_BREAKS, **_HIDDEN, **_TURNED},
        legal={**EMPTY, **_BLANK, **_ODD, **longest},
    )


def _prose(most: int) -> Kind:
    soft = {name: _HIDDEN[name] for name in ("zero width", "soft hyphen")}
    return _line(most).but(legal={**_BREAKS, **soft})


def _names(*legal: str) -> Kind:
    one_bad = {name: [value] for name, value in {**EMPTY, **_NO_NAME}.items()}
    twice = {"twice": [legal[0]] * 2, "very often": [legal[0]] * 40_000, "one unknown": [*legal, "nonesuch"]}
    return Kind(refused={**one_bad, **twice}, legal={"none": [], "all": [*legal]})


_NAME: Final = _line(255).but(refused={**EMPTY, **_BLANK})
_ANY: Final = Kind(
    refused=_HUGE,
    legal={**EMPTY, **_BLANK, **_ODD, **_TURNED, **_HIDDEN, **_CONTROLS, **_BREAKS, "longest": "\U0001f600" * 16_384},
)
_ANY_MODULE: Final = _ANY.but(refused={"too long": "x" * 129, "longest": "x" * 16_384}, legal={"id": "x" * 128})
_SEARCH: Final = Kind(
    refused={"too long": "x" * 256, **_HUGE, "NUL": "a\x00b"},
    legal={**EMPTY, **_BLANK, **_ODD, **_TURNED, **_HIDDEN, **_BREAKS, "longest": "x" * 255},
)
_SLUG: Final = Kind(
    refused={"nothing left": "---", "too long": "x" * 101, **_HUGE, **_CONTROLS, **_BREAKS, **_HIDDEN},
    legal={**EMPTY, "SQL": "'); DROP TABLE users", "upper case": "ACME Corp", "longest": "s" * 100},
)
_NO_ADDRESS: Final = {
    name: name
    for name in (
        *("no address", "@", "a@", "@b", "a@b@c", "a b@c", "a@b c", "<a@b>", "mailto:a@b", "a@b;", "Ann <a@b>"),
        *("\u0430nn@b.example", "\uff41nn@b.example", 'o"hara@b.example'),
    )
}
_EMAIL: Final = Kind(
    refused={
        **_NO_ADDRESS,
        "too long": f"{'x' * 253}@b",
        "too long in lower case": f"{chr(0x130) * 200}@b",
        "huge": f"{'x' * HUGE}@b",
        **{name: f"{value}@b" for name, value in {**_CONTROLS, **_BREAKS, **_HIDDEN, **_TURNED}.items()},
    },
    legal={"quote": "o'hara@b.example", "star": "*@b", "accent": "J\u00d6RG@b.example", "padded": " a@b.example "},
)
_MAYBE_EMAIL: Final = _EMAIL.but(legal=EMPTY)
_NO_COLORS: Final = ("#12345", "#1234567", "123456", "#12345g", "#123456\n", "#\uff11\uff11\uff11\uff11\uff11\uff11")
_COLOR: Final = Kind(
    refused={**_NO_NAME, **{name: name for name in _NO_COLORS}}, legal={**EMPTY, "mixed case": "#aB09Ff"}
)
_NO_CRON: Final = ("* * * *", "* * * * * *", "60 * * * *", "a b c d e", "@daily", "0 0 0 * *", "* * *\n* *")
_CRON: Final = Kind(
    refused={**_NO_NAME, **{name: name for name in _NO_CRON}},
    legal={**EMPTY, **_BLANK, "padded": " 0  6 * * 1 "},
)
_TOKEN: Final = Kind(
    refused={**EMPTY, **_BLANK, "accent": "\u00e9", "NUL": "\x00", "space": "a b", "too long": "x" * 65, **_HUGE},
    legal={"unknown": "x" * 64, "SQL": "'--", "star": "*"},
)
_CODE: Final = Kind(
    refused={**EMPTY, **_BLANK, **_CONTROLS, **_BREAKS, **_HIDDEN, **_TURNED, "too long": "x" * 301, **_HUGE},
    legal={**_ODD, "separators": "/:/:", "parts": "a/b/c", "workspace": "workspace_", "longest": "x" * 300},
)

# --- ids --------------------------------------------------------------------------------------------------------------

_NO_ID: Final = {
    "space": "a b",
    "line break after": "a\n",
    "quote": "a'b",
    "star": "*",
    "hash": "a#b",
    "leading dash": "-x",
    "dots": "...",
    "accent": "\u00e9",
    "NUL": "\x00",
    "too long": "x" * 129,
    **_HUGE,
}
_ID: Final = Kind(refused={**EMPTY, **_NO_ID, "path": "../x", "pipe": "a|b"})
_MAYBE_ID: Final = _ID.but(legal=EMPTY)
_USER_ID: Final = Kind(refused={**EMPTY, **_NO_ID}, legal={"odd": "a.@+_-9|:/=~", "longest": "x" * 128})
_NO_RESOURCE_IDS: Final = ("a b", "*", "#", "a,b", "'", '"', "\\", "\u00e9", "\x00", "\n", "x" * 257, "x" * HUGE)
_RESOURCE: Final = Kind(
    refused={
        **EMPTY,
        **_NO_NAME,
        "unknown type": "dam:nonesuch",
        "only an id": "/42",
        "no id": "dam:asset/",
        **{f"id {each[:8]!r}": f"dam:asset/{each}" for each in _NO_RESOURCE_IDS},
    },
    legal={"odd id": "dam:asset/a/b:c|d~[]{}!$%&();<=>?@^", "longest id": f"dam:asset/{'x' * 256}"},
)
_REVISION: Final = Kind(
    refused={"no number": "x.y", "negative": "x.-1", "no epoch": "5", "far": f"x.{'9' * 5000}"}, legal=EMPTY
).but(refused={name: value for name, value in _NO_NAME.items() if name not in _HUGE})
_PAGE_TOKEN: Final = Kind(
    refused={**_NO_NAME, "base64": "AAAA", "padding": "====", "signature": "A" * 24, "too short": "AA=="}, legal=EMPTY
)
_REQUEST_ID: Final = Kind(
    refused={"too long": "x" * 129, **_HUGE, **_CONTROLS, **_BREAKS},
    legal={**EMPTY, "quotes": "O'Hara", "star": "*", "accent": "\u00e9 \U0001f600", "longest": "x" * 128},
)

# --- everything else --------------------------------------------------------------------------------------------------

_SWITCH: Final = Kind()
_PAGE_SIZE: Final = Kind(refused={"-1": -1, "least": -(2**31)}, legal={"0": 0, "most": 2**31 - 1})
_FEATURES: Final = Kind(
    refused={
        **{name: {_NO_ID[name]: True} for name in ("space", "quote", "star", "accent", "NUL", "huge")},
        "empty": {"": True},
        "too long": {"x" * 65: True},
        "too many": {f"flag{number}": True for number in range(101)},
    },
    legal={"none": {}, "odd": {"a.B-9_": False}, "most": {f"flag{number}": True for number in range(100)}},
)
_FILES: Final = Kind(
    legal={
        "no name": {"": ""},
        "path": {"../../etc/passwd": "x"},
        "NUL": {"catalog.toml": "\x00"},
        "text": {"catalog.toml": "*", "policy.csv": "a\x85b", "tests.yaml": "\U0001f600: ["},
        "unknown": {"*": "x"},
        "huge": {"policy.csv": "x" * HUGE},
    }
)


def _times(*seconds: int) -> Values:
    return {f"{each} s": Timestamp(seconds=each) for each in seconds}


_NO_TIMES: Final = {
    **_times(10**15, -(10**15), 2**63 - 1, -(2**63), 253_402_300_800, -62_135_596_801),
    "negative nanos": Timestamp(seconds=2_000_000_000, nanos=-1),
    "too many nanos": Timestamp(seconds=2_000_000_000, nanos=10**9),
    "huge nanos": Timestamp(seconds=2_000_000_000, nanos=2**31 - 1),
}
_LATER: Final = Kind(
    refused={**_NO_TIMES, **_times(0, 1, -1, -62_135_596_800)},
    legal={"unset": None, "last": Timestamp(seconds=253_402_300_799, nanos=999_999_999)},
)
_SOON: Final = _LATER.but(refused={"last": Timestamp(seconds=253_402_300_799, nanos=999_999_999)})


def _mask(legal: tuple[str, ...], *others: str) -> Kind:
    paths = ("", " ", "*", "nonesuch", "a.b", "\x00", "x" * HUGE, legal[0].upper(), *others)
    one_bad = {f"path {path[:20]!r}": FieldMask(paths=[legal[0], path]) for path in paths}
    return Kind(
        refused={"unset": None, "empty": FieldMask(), **one_bad},
        legal={"very often": FieldMask(paths=[legal[0]] * 10_000)},
    )


_SITES: Final = ("x", "facebook", "linkedin", "instagram", "github")
CHANGEABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "UpdateMember": ("role", "permissions", "modules", "is_active", "expires_at"),
    "UpdateWorkspace": (
        *("notes", "name", "domain", "description", "image_url", "website", "phone"),
        *(f"social_{site}" for site in _SITES),
        *("settings.branding", "settings.features"),
    ),
}
"""What masks may name, by method."""
_FIXED: Final = sorted({*workspaces_pb2.Workspace.DESCRIPTOR.fields_by_name} - {*CHANGEABLE["UpdateWorkspace"]})
"""Fields of a workspace that UpdateWorkspace does not change; what stands in them is passed over."""


def _struct(**values: Any) -> Struct:
    found = Struct()
    found.update(values)
    return found


def _deep(levels: int) -> Any:
    found: Any = "x"
    for level in range(levels):
        found = [found] if level % 2 else {"x": found}
    return found


_STRUCT: Final = Kind(
    refused={
        "unset": None,
        "no kind": Struct(fields={"x": Value()}),
        **{f"{number}": _struct(x=number) for number in (float("inf"), float("-inf"), float("nan"))},
        "NUL": _struct(x="a\x00b"),
        "NUL in a key": _struct(**{"a\x00b": 1}),
        "deep": _struct(x=_deep(32)),
        "huge": _struct(x="x" * HUGE),
    },
    legal={
        "empty": Struct(),
        "odd": _struct(**{"": None, "-": 1e308, "'": -0.5, "\u202e": ["\U0001f600", {}]}),
        "deepest": _struct(x=_deep(31)),
    },
)

# --- which field is of which kind -------------------------------------------------------------------------------------

KINDS: Final[Mapping[str, Kind]] = {
    **dict.fromkeys(("workspace_id", "organization_id", "parent_workspace_id", "invitation_id"), _ID),
    **dict.fromkeys(("current_workspace_id", "default_workspace_id", "UpdateOrganizationName.workspace_id"), _MAYBE_ID),
    **{
        f"{name}.{kind}_id": _MAYBE_ID for name in ("Check", "LookupSubjects") for kind in ("workspace", "organization")
    },
    **{f"{within}.{kind}_id": _MAYBE_ID for within in ("check", "items") for kind in ("workspace", "organization")},
    **dict.fromkeys(("user_id", "subject"), _USER_ID),
    "DeleteAccount.user_id": _USER_ID.but(legal=EMPTY),
    "name": _NAME,
    "new_organization.name": _line(255).but(refused=_BLANK),
    **dict.fromkeys(("UpsertUser.name", "users.name"), _line(255)),
    "slug": _SLUG,
    "organization": _MAYBE_ID,
    "ResolveWorkspace.slug": Kind(
        refused={**EMPTY, **_NO_ID, "upper": "A", "dash": "a-", "dashes": "a--b", "id": "a_b"}
    ),
    "domain": _line(256),
    **dict.fromkeys(("description", "notes"), _prose(10_000)),
    "reason": _prose(1_000),
    **dict.fromkeys(("image_url", "logo"), _line(2_048)),
    **dict.fromkeys(("website", *(f"social_{site}" for site in _SITES)), _line(255)),
    "phone": _line(50),
    "plan_type": _line(64),
    **dict.fromkeys(("route", "store", "local_storage"), _line(256)),
    **dict.fromkeys(("query", "ListMembers.role"), _SEARCH),
    "email": _EMAIL.but(refused={**EMPTY, **_BLANK}),
    **dict.fromkeys(("UpsertUser.email", "users.email", "ListInvitations.email"), _MAYBE_EMAIL),
    "primary_color": _COLOR,
    "features": _FEATURES,
    "role": Kind(refused={**_NO_NAME, "not assignable": "owner", "of the platform": "operator"}, legal=EMPTY),
    "modules": _names("dam", "analytics"),
    "permissions": _names("can-manage-users", "can-manage-workspace"),
    "providers": _names("chatgpt", "claude").but(refused={"none": []}),
    **dict.fromkeys(("module", "plan"), Kind(refused={**EMPTY, **_NO_NAME})),
    "schedule": _CRON,
    "UpdateModuleSettings.settings": _STRUCT,
    "status": Kind(refused={"0": 0, "99": 99, "-1": -1, "most": 2**31 - 1}),
    "kind": Kind(refused={"99": 99, "-1": -1, "most": 2**31 - 1}, legal={"0": 0}),
    **dict.fromkeys(("expires_at", "membership_expires_at"), _LATER),
    "CreateInvitation.expires_at": _SOON,
    "token": _TOKEN,
    "code": _CODE,
    "resource": _RESOURCE,
    "action": Kind(refused={**EMPTY, **_NO_NAME}),
    "actions": Kind(refused={name: [value] for name, value in {**EMPTY, **_NO_NAME}.items()}, legal={"none": []}),
    "guards": Kind(refused={**{name: [value] for name, value in {**EMPTY, **_NO_NAME}.items()}, "many": ["x"] * 101}),
    "required_module": _ANY_MODULE,
    "if_none_match": _ANY,
    **dict.fromkeys(("CheckRoute.workspace_id", "CheckRoute.parent_workspace_id"), _ANY),
    **dict.fromkeys(("at_least_revision", "from_revision"), _REVISION),
    **dict.fromkeys(("filter.workspace_ids", "filter.organization_ids"), _ID),
    "filter.user_ids": _USER_ID,
    "filter.kinds": Kind(refused={"0": 0, "99": 99, "-1": -1, "most": 2**31 - 1}, legal={"none": []}),
    "files": _FILES,
    "published_heads": Kind(
        refused={**{f"head {name}": [value] for name, value in {**EMPTY, **_NO_NAME}.items()}, "many": ["0."] * 101},
        legal={"none": [], "most": ["0."] * 100},
    ),
    "source_version": Kind(refused={"-1": -1, "least": -(2**63)}, legal={"0": 0, "most": 2**63 - 1}),
    # Once the user has one, the items of the other tests would fail without one.
    "users.source_version": Kind(refused={"-1": -1, "least": -(2**63)}),
    "page_size": _PAGE_SIZE,
    "page_token": _PAGE_TOKEN,
    "request_id": _REQUEST_ID,
    "UpdateMember.update_mask": _mask(CHANGEABLE["UpdateMember"], "user_id"),
    "UpdateWorkspace.update_mask": _mask(CHANGEABLE["UpdateWorkspace"], *_FIXED),
    **{f"workspace.{name}": _ANY for name in ("id", "slug", "owner_user_id", "suspended_reason", "schedule")},
    **{f"workspace.{name}": _ANY for name in ("organization_id", "parent_workspace_id", "suspended_by")},
    **{f"workspace.{name}": Kind(legal={"odd": ["", "*"]}) for name in ("modules", "enabled_providers.providers")},
    **{f"workspace.{name}_at": Kind(legal=_NO_TIMES) for name in ("suspended", "created", "updated")},
    "workspace.analysis_epoch": Kind(legal={"least": -(2**63), "most": 2**63 - 1}),
    **dict.fromkeys(("platform", "include_trace", "include_remedy", "include_closed", "include_inherited"), _SWITCH),
    "include_without_access": _SWITCH,
    **dict.fromkeys(("is_active", "is_suspended", "email_verified", "manageable_only", "disable"), _SWITCH),
}
"""By method and field, by path, or by the last name of it; a field that is not here fails the tests."""
