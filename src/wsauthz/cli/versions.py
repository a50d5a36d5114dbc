"""Which version this is."""

import platform
from importlib.metadata import version as installed

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def version() -> None:
    """Print the versions of wsauthz and of what it runs on.

    \b
    Example:
      wsauthz version
    """
    print(f"wsauthz {installed('wsauthz')}")
    print(f"python {platform.python_version()}")
    for package in ("grpcio", "pycasbin", "sqlalchemy"):
        print(f"{package} {installed(package)}")
