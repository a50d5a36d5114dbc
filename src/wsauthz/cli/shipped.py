"""The bundles that come with wsauthz, and a copy of one to start from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

import wsauthz
from wsauthz.cli.failures import Failed
from wsauthz.policy.bundle import read_bundle
from wsauthz.policy.bundle_directory import FILES
from wsauthz.policy.problems import meant
from wsauthz.rpc.methods import core_vocabulary

_PACKAGE: Final = Path(wsauthz.__file__).parent


def shipped() -> Mapping[str, Path]:
    """Return the directories of the bundles by name; an editable installation has them where they are written."""
    installed = _PACKAGE / "bundles"
    folder = installed if installed.is_dir() else _PACKAGE.parents[1] / "policies"
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="Where the bundle goes; new, or empty.")],
    source: Annotated[
        str, typer.Option("--from", metavar="NAME", help="The bundle to copy: dam, default, eventpalour or oneglanse.")
    ] = "default",
) -> None:
    """Write a policy bundle to start from.

    Copies catalog.toml, policy.csv and tests.yaml of a bundle that comes with wsauthz. One directory is a whole
    bundle, so it can be a ConfigMap.

    \b
    Example:
      wsauthz policy init policies/acme --from dam
    """
    bundles = shipped()
    if source not in bundles:
        raise Failed(f"There is no bundle {source!r}{meant(source, bundles)}; there are {', '.join(bundles)}.")
    found = read_bundle(bundles[source], core_vocabulary())
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise Failed(f"{directory} is not empty; name another directory.")
    written = [name for name in FILES if name in found.files]
    for name in written:
        with (directory / name).open("x", encoding="utf-8", newline="") as file:
            file.write(found.files[name])
    print(f"{directory}: {', '.join(written)} of {source}, version {found.version}.")
    print(f"Test it with: wsauthz policy test {directory}")
    print(f"Serve it with: wsauthz serve --policy {directory}")
