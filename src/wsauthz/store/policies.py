"""The policy that the audit has seen last, so that one change of it is audited once, whichever server notices first."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, delete, insert, select

from wsauthz.store.tables import audited_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedPolicy:
    """What the audit needs of a bundle to name the differences of the next one."""

    version: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    """File name -> digest."""
    rules: tuple[str, ...] = ()
    """The rows of policy.csv, in a normal form."""


def find(connection: Connection) -> AuditedPolicy:
    """Return the policy that was audited last; a blank one if there is none."""
    columns = (audited_policy.c.version, audited_policy.c.files, audited_policy.c.rules)
    row = connection.execute(select(*columns)).one_or_none()
    return AuditedPolicy() if row is None else AuditedPolicy(version=row.version, files=row.files, rules=row.rules)


def put(connection: Connection, policy: AuditedPolicy) -> None:
    """Store the policy that is audited in this transaction, which holds the end of the audit."""
    connection.execute(delete(audited_policy))
    connection.execute(insert(audited_policy).values(id=1, **asdict(policy)))
