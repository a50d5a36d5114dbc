"""Settings that are secrets: they can come from a file, and are printed nowhere."""

from pathlib import Path

import pytest

from wsauthz.settings import Settings, SettingsRefused

KEY = "canary" * 6


def test_a_secret_comes_from_the_environment_or_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY},{KEY}2\n")
    assert Settings.from_environment({}).audit_keys == ()
    assert Settings.from_environment({"WSAUTHZ_AUDIT_KEY": KEY}).audit_keys == (KEY,)
    found = Settings.from_environment({"WSAUTHZ_AUDIT_KEY_FILE": str(file)})
    assert found.audit_keys == (KEY, f"{KEY}2")
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"WSAUTHZ_AUDIT_KEY": "canary"}, "at least 32 characters"),
        ({"WSAUTHZ_AUDIT_KEY": f"{KEY},"}, "at least 32 characters"),
        ({"WSAUTHZ_AUDIT_KEY": KEY + " x"}, "without spaces"),
        ({"WSAUTHZ_AUDIT_KEY": KEY, "WSAUTHZ_AUDIT_KEY_FILE": "x"}, "either this or WSAUTHZ_AUDIT_KEY_FILE"),
        ({"WSAUTHZ_AUDIT_KEY_FILE": "/nowhere/key"}, "cannot read /nowhere/key: No such file or directory"),
        ({"WSAUTHZ_LISTEN_FILE": "x"}, "is not a setting"),
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_it(environment: dict[str, str], problem: str) -> None:
    with pytest.raises(SettingsRefused) as caught:
        Settings.from_environment(environment)
    assert problem in str(caught.value)
    assert "canary" not in str(caught.value)
