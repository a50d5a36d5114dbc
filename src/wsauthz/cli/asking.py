"""The questions: may somebody do something, why, and what do they hold."""

from typing import Annotated, Final

import typer
from rich.text import Text

from wsauthz.cli import options, printing
from wsauthz.cli.answers import answers
from wsauthz.cli.options import place_fields
from wsauthz.v1 import authorization_pb2 as pb
from wsauthz.v1 import places_pb2

app = typer.Typer(rich_markup_mode=None)

DENIED: Final = 1
"""The exit status of a denial."""

Trace = Annotated[bool, typer.Option("--trace", help="Print the roles that count, and the rules that matched.")]


@app.command()
def check(
    subject: options.Subject,
    place: options.Place,
    resource: options.Resource,
    action: options.Action,
    module: options.Module = "",
    actor: options.Actor = "",
    trace: Trace = False,
    json: options.Json = False,
    server: options.Server = None,
    database: options.InProcess = None,
    policy: options.Policy = None,
) -> None:
    """Ask whether SUBJECT may do ACTION on RESOURCE in PLACE.

    Prints ALLOW, or DENY with the reason and what would fix it. Exit status: 0 allowed, 1 denied, 2 error.

    \b
    Example:
      wsauthz check ann north dam:asset read
      wsauthz check ann organization:acme workspace create --trace
      wsauthz check ann north dam:asset/42 update --module analytics --json
    """
    request = _request(subject, place, resource, action, module)
    request.include_trace, request.include_remedy = trace, True
    with answers(server, database, policy, actor) as ask:
        answer = ask("Check", request)
    if json:
        printing.as_json(answer)
    else:
        out = printing.console()
        printing.decision(out, answer)
        if trace:
            printing.trace(out, answer.trace)
    _exit(answer)


@app.command()
def explain(
    subject: options.Subject,
    place: options.Place,
    resource: options.Resource,
    action: options.Action,
    module: options.Module = "",
    actor: options.Actor = "",
    json: options.Json = False,
    server: options.Server = None,
    database: options.InProcess = None,
    policy: options.Policy = None,
) -> None:
    """Show every step of a decision and what would change it.

    Exit status: 0 allowed, 1 denied, 2 error.

    \b
    Example:
      wsauthz explain ann north dam:asset delete
    """
    request = pb.ExplainRequest(check=_request(subject, place, resource, action, module))
    with answers(server, database, policy, actor) as ask:
        answer = ask("Explain", request)
    if json:
        printing.as_json(answer)
    else:
        out = printing.console()
        printing.decision(out, answer.check)
        printing.trace(out, answer.check.trace)
        out.print()
        steps = [
            ("ok" if step.passed else "NO", step.step, " ".join(filter(None, (step.detail, step.remedy.message))))
            for step in answer.steps
        ]
        printing.table(out, ("", "STEP", "WHY"), steps)
    _exit(answer.check)


@app.command()
def access(
    subject: options.Subject,
    place: options.Place,
    json: options.Json = False,
    server: options.Server = None,
    database: options.InProcess = None,
    policy: options.Policy = None,
) -> None:
    """Show what SUBJECT holds and may do in PLACE.

    Also where that comes from: its own membership, places above, or ownership.

    \b
    Example:
      wsauthz access ann north
      wsauthz access ann platform --json
    """
    request = pb.GetAccessRequest(subject=subject, **place_fields(place))  # type: ignore[arg-type]  # by name
    with answers(server, database, policy) as ask:
        answer = ask("GetAccess", request)
    if json:
        printing.as_json(answer)
        return
    out = printing.console()
    out.print(Text(answer.role or "no role", "bold"))
    printing.field(out, "place", f"{place}, {places_pb2.State.Name(answer.state).removeprefix('STATE_').lower()}")
    printing.field(out, "owner", "yes" if answer.is_owner else "")
    printing.field(out, "permissions", ", ".join(answer.permissions))
    printing.field(out, "modules", ", ".join(answer.modules) or "none")
    for warning in answer.warnings:
        printing.field(out, "warning", warning, "yellow")
    printing.trace(out, pb.Trace(roles=answer.roles))
    if answer.allowed:
        out.print()
        printing.table(
            out,
            ("RESOURCE", "ACTIONS"),
            [(name, ", ".join(answer.allowed[name].actions)) for name in sorted(answer.allowed)],
        )


def _request(subject: str, place: str, resource: str, action: str, module: str) -> pb.CheckRequest:
    return pb.CheckRequest(
        subject=subject,
        resource=resource,
        action=action,
        required_module=module,
        **place_fields(place),  # type: ignore[arg-type]  # by name
    )


def _exit(answer: pb.CheckResponse) -> None:
    raise typer.Exit(0 if answer.decision == pb.DECISION_ALLOW else DENIED)
