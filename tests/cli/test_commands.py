import re
from collections.abc import Iterator

import pytest
import typer

from tests.cli.running import Run
from wsauthz.cli import app, commands

run = Run("")


def every_command() -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, and of every group of commands."""
    yield ()
    top = typer.main.get_command(app)
    for name in commands._MODULES:
        yield (name,)
        command = top.get_command(None, name)  # type: ignore[attr-defined]  # a group
        for below in getattr(command, "commands", {}):
            yield (name, below)


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_every_help_has_an_example_that_begins_like_the_command(words: tuple[str, ...]) -> None:
    text = run(*words, "--help").out
    examples = re.findall(r"^    (wsauthz .*)$", text.partition("Example:\n")[2], re.MULTILINE)
    assert any(example.split("| ")[-1].startswith(" ".join(("wsauthz", *words))) for example in examples), text


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_what_a_list_of_commands_says_of_each_is_not_cut_off(words: tuple[str, ...]) -> None:
    assert "..." not in run(*words, "--help").out.partition("Commands:\n")[2]


def test_without_a_command_there_is_help() -> None:
    outcome = run()
    assert outcome.status == 2
    assert "Commands:" in outcome.out + outcome.err


def test_a_command_that_does_not_exist_is_an_error_with_a_guess() -> None:
    outcome = run("chek")
    assert outcome.status == 2
    assert "Did you mean 'check'?" in outcome.err


def test_a_missing_argument_is_an_error_not_a_denial() -> None:
    assert run("check", "ann", "north").status == 2


def test_the_version_is_told() -> None:
    assert run("--version").out.strip() == run("version").lines[0].removeprefix("wsauthz ")


def test_settings_that_are_wrong_are_named_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSAUTHZ_LISTEN", "0.0.0.0:1")
    monkeypatch.setenv("WSAUTHZ_POLL_SECONDS", "often")
    monkeypatch.setenv("WSAUTHZ_WORDS", "x")
    outcome = run("serve", "--database", "mysql://x", "--log-level", "loud")
    assert (outcome.status, outcome.out) == (2, "")
    assert [line.split()[0] for line in outcome.err.splitlines()] == [
        "WSAUTHZ_WORDS",
        "WSAUTHZ_POLL_SECONDS:",
        "WSAUTHZ_LISTEN:",
        "WSAUTHZ_DATABASE_URL:",
        "WSAUTHZ_LOG_LEVEL:",
    ]


def test_a_mistake_of_the_program_is_shown_and_never_looks_like_a_denial(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("platform.python_version", lambda: broken(None))
    outcome = run("version")
    assert outcome.status == 2
    assert "ZeroDivisionError" in outcome.err
    assert outcome.err.endswith("please report it with the lines above.\n")
