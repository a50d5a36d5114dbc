"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from wsauthz.cli.failures import Failed

Server = Annotated[
    str | None,
    typer.Option(
        "--server", metavar="ADDRESS", help="Ask this server: host:port or unix:/path; default WSAUTHZ_LISTEN."
    ),
]
Database = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="sqlite:///file or postgresql://...; default WSAUTHZ_DATABASE_URL."),
]
InProcess = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="Ask no server, but answer from this database, in this process."),
]
Policy = Annotated[
    Path | None,
    typer.Option("--policy", metavar="DIRECTORY", help="The policy bundle; default WSAUTHZ_POLICY."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Module = Annotated[str, typer.Option("--module", help="Also demand that the place has this module.")]
Actor = Annotated[
    str,
    typer.Option("--as", metavar="USER", help="Who asks: names of others are shown only if this user may list them."),
]

Subject = Annotated[str, typer.Argument(metavar="SUBJECT", help="A user id.")]
Place = Annotated[
    str, typer.Argument(metavar="PLACE", help="A workspace id, organization:<id>, or platform.", show_default=False)
]
Resource = Annotated[str, typer.Argument(metavar="RESOURCE", help="type, module:type or module:type/id.")]
Action = Annotated[str, typer.Argument(metavar="ACTION", help="An action that the type has.")]


def place_fields(place: str) -> dict[str, str | bool]:
    """Return the place as the fields of a request.

    Raises:
        Failed: there is no such kind of place.

    """
    if place == "platform":
        return {"platform": True}
    kind, colon, identifier = place.partition(":")
    if not colon:
        return {"workspace_id": place}
    if kind not in {"workspace", "organization"}:
        raise Failed(f"{place!r} is no place: name a workspace id, organization:<id>, or platform")
    return {f"{kind}_id": identifier}
