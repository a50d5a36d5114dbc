"""Running commands in this process and looking at what they print."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from typer.testing import CliRunner

from tests.serving import ROOT
from wsauthz.cli import app

EXAMPLES: Final = ROOT / "examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What was printed, without the spaces that align it."""
        return [" ".join(line.split()) for line in self.out.splitlines() if line.strip()]


class Run:
    """Runs commands on one database."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url

    def __call__(self, *arguments: object, stdin: str | None = None) -> Outcome:
        """Run a command; its database is named by the environment."""
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        return Outcome(status=result.exit_code, out=result.stdout, err=result.stderr)

    def here(self, *arguments: object) -> Outcome:
        """Ask a question in process instead of a server."""
        return self(*arguments, "--database", self.database_url)


def write(path: Path, text: str) -> Path:
    """Write a file and return its path."""
    path.write_text(text, encoding="utf-8")
    return path
