"""The list of commands, loaded one by one when they are called, and what becomes of their failures."""

import gc
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final

import typer
from typer.core import TyperGroup

from wsauthz.cli.failures import sentences

ERROR: Final = 2
"""The exit status of whatever went wrong; 1 says that the answer is no."""

_MODULES: Final[Mapping[str, str]] = {
    "serve": "serving",
    "health": "health",
    "check": "asking",
    "explain": "asking",
    "access": "asking",
    "lookup": "looking",
    "watch": "watch",
    "call": "call",
    "users": "users",
    "import": "states",
    "export": "states",
    "demo": "demo",
    "platform": "platform",
    "audit": "audit",
    "db": "db",
    "policy": "policy",
    "version": "versions",
}
"""Command -> the module of this package that has it. A health check every few seconds must not load a database."""


class Commands(TyperGroup):
    """The commands by name; a failure that was to be expected is a sentence on standard error."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as the base class has it
        """Return the names in the order of the help text."""
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as the base class has it
        """Return the command, None if there is none with the name."""
        if cmd_name not in _MODULES:
            self.commands = dict.fromkeys(_MODULES, self)  # "did you mean" reads the names
            return None
        with _no_collection():
            group = typer.main.get_group(import_module(f"wsauthz.cli.{_MODULES[cmd_name]}").app)
        return group if group.name == cmd_name else group.commands[cmd_name]

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command of the arguments and exit."""
        # Read when grpc is imported: its core would write lines of its own among ours, and say nothing more.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # noqa: TID251 - set for a library, not read
        try:
            return super().main(*args, **extra)
        except Exception as error:  # noqa: BLE001 - every one is reported, and none may look like a denial
            expected = sentences(error)
            if expected is None:
                traceback.print_exc()
                expected = ["This is a mistake in wsauthz; please report it with the lines above."]
            print(*expected, sep="\n", file=sys.stderr)
            sys.exit(ERROR)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Collect no garbage within the block: a tenth of the time that loading takes, and nothing of it is ever let go."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def show_version(wanted: bool) -> None:
    """Print the version and exit, if that is wanted."""
    if wanted:
        print(version("wsauthz"))
        raise typer.Exit
