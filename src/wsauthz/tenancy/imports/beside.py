"""The parts of a state file beside the nouns: settings of modules, joining by code, and visits."""

from wsauthz.model.errors import InvalidArgument
from wsauthz.store import entries as entry_rows
from wsauthz.store import invite_codes as invite_code_rows
from wsauthz.store import module_settings as setting_rows
from wsauthz.store.entries import Entry
from wsauthz.store.module_settings import ModuleSettings
from wsauthz.tenancy.imports.work import Pile, Work
from wsauthz.tenancy.module_settings import serialized


def import_module_settings(work: Work) -> None:
    """Replace the settings of each listed module of a workspace; those of other modules stay."""
    listed = [record for record in work.records("workspace") if record.given.get("module_settings")]
    if not listed:
        return
    work.piles["module settings"] = Pile(put=setting_rows.put)
    found = setting_rows.of_workspaces(work.tx.connection, (record.given["id"] for record in listed))
    for record in listed:
        workspace_id = record.given["id"]
        for module, settings in record.given["module_settings"].items():
            before = found.get((workspace_id, module))
            try:
                text = serialized(settings)
            except InvalidArgument as invalid:
                work.refuse(record, f"module_settings: {module}: {invalid}")
                continue
            times = {"created_at": work.tx.now, "updated_at": work.tx.now}
            is_same = before is not None and serialized(before.settings) == text  # as text: to Python true is 1
            after = ModuleSettings(workspace_id=workspace_id, module=module, settings=settings, **times)
            work.keep("module settings", before, before if is_same else after)


def import_joining(work: Work) -> None:
    """Note the workspaces that people may join by code from now on, or no longer."""
    wanted = {
        record.given["id"]: record.given["is_joinable"]
        for record in work.records("workspace")
        if "is_joinable" in record.given
    }
    closed = invite_code_rows.switched_off(work.tx.connection, wanted)
    work.joinable = {key: value for key, value in wanted.items() if value == (key in closed)}


def import_visits(work: Work) -> None:
    """Merge the visits with those in the database; a later one in the database stays."""
    records = work.records("visit")
    if not records:
        return
    work.piles["visit"] = Pile(put=entry_rows.put)
    found = entry_rows.of_users(work.tx.connection, {record.given["user_id"] for record in records})
    for record in records:
        given = record.given
        if not work.has(("workspace", given["workspace_id"])):
            work.refuse(record, f"workspace: there is no workspace {given['workspace_id']!r}")
        before = found.get((given["user_id"], given["workspace_id"]))
        after = Entry(**{"previous_entered_at": before.previous_entered_at if before else None, **given})
        work.keep("visit", before, before if before and before.entered_at > after.entered_at else after)
