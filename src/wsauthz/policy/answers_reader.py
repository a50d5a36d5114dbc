"""What catalog.toml has frontends told: the answers of each guard, and the answers of Check, by reason."""

import re
from typing import Final

from wsauthz.policy.catalog import Answer, Reason
from wsauthz.policy.problems import meant
from wsauthz.policy.toml_reader import Table

STATUSES: Final = range(300, 600)
_REDIRECTS: Final = range(300, 400)
_GUARD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")  # routers name guards in camelCase
_REDIRECT: Final = re.compile(r"(/(?!/)|https?://)[!$%&()+\-./0-9:;<=>?@A-Z\[\]^_a-z|~]*\Z|/\Z")
_MESSAGE_LENGTH: Final = 500


def read_guards(top: Table) -> dict[str, dict[Reason, Answer]]:
    """Return what each guard answers, by reason, in the order of the file."""
    table = top.section("guards", default=None)
    guards: dict[str, dict[Reason, Answer]] = {}
    if table is None:
        return guards
    for name in table.rest():
        if not _GUARD.match(name):
            table.refuse("is not 1 to 64 characters of [A-Za-z0-9_-] that start with a letter", name)
        answers: dict[Reason, Answer] = {}
        for entry in table.entries(name):
            fails = entry.take("fails", str)
            reason = None if fails is None else _reason(entry, "fails", fails)
            if reason in answers:
                entry.refuse(f"{fails} is answered twice", "fails")
            answer = _answer(entry)
            if reason is not None:
                answers[reason] = answer
        if not answers:
            table.refuse("answers no reason", name)
        guards[name] = answers
    return guards


def read_answers(top: Table) -> dict[Reason, Answer]:
    """Return what Check, which has no guard, answers, by reason."""
    answers = {}
    for name, table in top.sections("answers").items():
        reason = _reason(table, None, name)
        answer = _answer(table)
        if reason is not None:
            answers[reason] = answer
    return answers


def _reason(table: Table, key: str | None, name: str) -> Reason | None:
    try:
        return Reason(name)
    except ValueError:
        table.refuse(f"{name!r} is not a reason{meant(name, Reason)}", key)
        return None


def _answer(table: Table) -> Answer:
    status = table.take("status", int)
    message = table.line("message", _MESSAGE_LENGTH, default="")
    redirect = table.take("redirect", str, default="")
    if status is not None and status not in STATUSES:
        table.refuse(f"must be from {STATUSES.start} to {STATUSES.stop - 1}", "status")
    if status in _REDIRECTS and not redirect:
        table.refuse("is missing: a status 3xx needs one", "redirect")
    if redirect and not _REDIRECT.match(redirect.replace("{id}", "id")):
        table.refuse("must be a path or a URL, without spaces; the one placeholder is {id}", "redirect")
    table.finish()
    return Answer(status=status or 0, message=message, redirect=redirect)
