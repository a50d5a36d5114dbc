"""Users and organizations of a state file as nouns."""

from dataclasses import replace

from wsauthz.model.organizations import Organization
from wsauthz.model.users import User
from wsauthz.policy.state_fields import SOURCE_VERSION
from wsauthz.policy.state_file import Record
from wsauthz.store import bulk
from wsauthz.store import users as user_rows
from wsauthz.tenancy.imports.work import Work
from wsauthz.tenancy.mirroring import new_user
from wsauthz.tenancy.slugs import choose


def import_organizations(work: Work) -> None:
    """Merge the organizations with those in the database; a new one's slug is made from its name."""
    records = work.records("organization")
    work.organization_ids = {record.given["id"] for record in records}
    if not records:
        return
    found = bulk.find(work.tx.connection, Organization, work.organization_ids)
    held = bulk.organization_slugs(work.tx.connection)
    taken = {*held, *(record.given["slug"] for record in records if "slug" in record.given)}
    final: list[tuple[Record, str, str]] = []
    for record in records:
        before = found.get(record.given["id"])
        if before is not None and before.deleted_at is not None:
            work.refuse(record, "id: is that of a deleted one")
            continue
        after = replace(before or _new_organization(work, record, taken), **record.given)
        taken.add(after.slug)
        final.append((record, after.id, after.slug))
        work.keep("organization", before, after)
    work.settle("organization", "slug", final, held)


def import_users(work: Work) -> None:
    """Merge the users with those in the database; a new address is unverified unless the file says otherwise."""
    records = work.records("user")
    work.user_ids = {record.given["id"] for record in records}
    if not records:
        return
    found = bulk.find(work.tx.connection, User, (record.given["id"] for record in records))
    final: list[tuple[Record, str, str | None]] = []
    for record in records:
        before = found.get(record.given["id"])
        given = {name: value for name, value in record.given.items() if name != SOURCE_VERSION}
        after = replace(before or new_user(record.given["id"], work.tx.now), **given)
        if before is not None and after.email != before.email and "email_verified" not in record.given:
            after = replace(after, email_verified=False)
        if after.email_verified and after.email is None:
            work.refuse(record, "email_verified: needs an email")
        default = record.given.get("default_workspace_id")
        if default is not None and not work.has(("workspace", default)):
            work.refuse(record, f"default_workspace: there is no workspace {default!r}")
        final.append((record, after.id, after.email))
        work.keep("user", before, after)
    held = bulk.holders_of_emails(work.tx.connection, {email for _, _, email in final if email is not None})
    work.settle("user", "email", final, held)


def import_source_versions(work: Work) -> None:
    """Take over the source_version of users and of deleted accounts; none falls below the one in the database."""
    users, deleted = work.records("user"), work.records("deleted_user")
    ids = [record.given["id"] for record in (*users, *deleted)]
    known = user_rows.source_versions(work.tx.connection, ids) if ids else {}
    for record in users:
        identifier, version = record.given["id"], record.given.get(SOURCE_VERSION)
        if version is not None and version < known.get(identifier, version):
            work.refuse(record, f"{SOURCE_VERSION}: is older than {known[identifier]}, the one in the database")
        elif version is not None:
            work.versions[identifier] = version
    living = {record.given["id"] for record in users}
    living |= bulk.find(work.tx.connection, User, (record.given["id"] for record in deleted)).keys()
    for record in deleted:
        identifier = record.given["id"]
        if identifier in living:
            work.refuse(record, f"id: the user {identifier!r} exists; only DeleteAccount deletes it")
        work.versions[identifier] = max(record.given[SOURCE_VERSION], known.get(identifier, 0))
    work.known_versions = {identifier: known[identifier] for identifier in work.versions if identifier in known}


def _new_organization(work: Work, record: Record, taken: set[str]) -> Organization:
    identifier = record.given["id"]
    name = record.given.get("name", identifier)
    slug = record.given.get("slug") or choose("", name, "organization", lambda _: taken)
    now = work.tx.now
    return Organization(
        id=identifier, name=name, slug=slug, is_suspended=False, created_at=now, updated_at=now, deleted_at=None
    )
