"""Copies of the shipped bundles, to be changed by a test."""

import shutil
from pathlib import Path

from tests.serving import BUNDLES


def copy_bundle(
    name: str, folder: Path, *, rows: list[str] | None = None, catalog: str = "", tests: bool = True
) -> Path:
    """Copy a bundle and the model beside it into a folder, with rows and lines appended; return its directory."""
    directory = folder / "policies" / name
    shutil.copytree(BUNDLES / name, directory)
    shutil.copy(BUNDLES / "model.conf", directory.parent)
    if rows:
        with (directory / "policy.csv").open("a") as policy:
            policy.writelines(f"{row}\n" for row in rows)
    with (directory / "catalog.toml").open("a") as appended:
        appended.write(catalog)
    if not tests:
        (directory / "tests.yaml").unlink(missing_ok=True)
    return directory
