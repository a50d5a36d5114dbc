"""The questions the other way round: where may somebody do something, and who may do it here."""

from collections.abc import Iterator
from typing import Any, Final

import typer

from wsauthz.cli import options
from wsauthz.cli.answers import Ask, answers
from wsauthz.cli.options import place_fields
from wsauthz.v1 import authorization_pb2 as pb

app = typer.Typer(name="lookup", rich_markup_mode=None, no_args_is_help=True)

_PAGE: Final = 1_000


@app.callback()
def lookup() -> None:
    """List where somebody may do something, or who may do it.

    \b
    Example:
      wsauthz lookup workspaces ann dam:asset read
      wsauthz lookup subjects north dam:asset delete
    """


@app.command()
def workspaces(
    subject: options.Subject,
    resource: options.Resource,
    action: options.Action,
    module: options.Module = "",
    server: options.Server = None,
    database: options.InProcess = None,
    policy: options.Policy = None,
) -> None:
    """List where SUBJECT may do ACTION on RESOURCE.

    Every such workspace, one id a line.

    \b
    Example:
      wsauthz lookup workspaces ann dam:asset read
    """
    request = pb.LookupWorkspacesRequest(subject=subject, resource=resource, action=action, required_module=module)
    with answers(server, database, policy) as ask:
        for page in _pages(ask, "LookupWorkspaces", request):
            print(*page.workspace_ids, sep="\n", end="\n" if page.workspace_ids else "")


@app.command()
def subjects(
    place: options.Place,
    resource: options.Resource,
    action: options.Action,
    module: options.Module = "",
    server: options.Server = None,
    database: options.InProcess = None,
    policy: options.Policy = None,
) -> None:
    """List who may do ACTION on RESOURCE in PLACE.

    Every such user, one id a line.

    \b
    Example:
      wsauthz lookup subjects north dam:asset delete
      wsauthz lookup subjects platform organization create
    """
    request = pb.LookupSubjectsRequest(
        resource=resource,
        action=action,
        required_module=module,
        **place_fields(place),  # type: ignore[arg-type]  # by name
    )
    with answers(server, database, policy) as ask:
        for page in _pages(ask, "LookupSubjects", request):
            print(*page.user_ids, sep="\n", end="\n" if page.user_ids else "")


def _pages(ask: Ask, name: str, request: Any) -> Iterator[Any]:
    request.page_size = _PAGE
    while True:
        page = ask(name, request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
