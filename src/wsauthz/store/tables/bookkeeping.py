"""How writes are ordered, told, audited and repeated."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
)

from wsauthz.store.tables.columns import id_text, instant, maybe_id, metadata, plain_text
from wsauthz.store.types import Instant

revision = Table(
    "revision",
    metadata,
    Column("id", Integer, nullable=False, autoincrement=False),
    Column("value", BigInteger, nullable=False),
    id_text("epoch"),
    id_text("secret"),
    Column("changes_pruned", BigInteger, nullable=False, server_default="0"),
    Column("audit_count", BigInteger, nullable=False, server_default="0"),
    plain_text("audit_head"),
    plain_text("history"),
    Column("history_value", BigInteger, nullable=False, server_default="0"),
    plain_text("audit_keys"),
    PrimaryKeyConstraint("id"),
    CheckConstraint("id = 1", name="revision_is_one_row"),
)
"""One row, whose lock every writing transaction holds: the order of revisions is the order of commits.

``history`` is a hash that is chained at each revision, ``history_value`` the revision that it was chained at last: the
version before leaves both as they are.
"""

changes = Table(
    "changes",
    metadata,
    Column("revision", BigInteger, nullable=False, autoincrement=False),
    Column("ordinal", Integer, nullable=False, autoincrement=False),
    id_text("kind"),
    Column("values", JSON, nullable=False),
    # The clock of the process is good enough to tell what is a day old.
    Column("created_at", Instant, nullable=False, default=lambda: datetime.now(UTC)),
    maybe_id("digest"),
    PrimaryKeyConstraint("revision", "ordinal"),
)
"""``digest`` is that of the revision; NULL: the version before has written it."""

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("number", BigInteger, nullable=False, autoincrement=False),
    Column("revision", BigInteger, nullable=True),
    instant("created_at"),
    id_text("caller"),
    id_text("actor"),
    id_text("method"),
    id_text("target_kind"),
    id_text("target_id"),
    id_text("place_kind"),
    id_text("place_id"),
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    plain_text("refusal"),
    Column("attempts", Integer, nullable=False, server_default="1"),
    plain_text("request_id"),
    plain_text("mac"),
    plain_text("key_id"),
    PrimaryKeyConstraint("number"),
    Index("audit_entries_place", "place_kind", "place_id", "number"),
)

audited_policy = Table(
    "audited_policy",
    metadata,
    Column("id", Integer, nullable=False, autoincrement=False),
    id_text("version"),
    Column("files", JSON, nullable=False),
    Column("rules", JSON, nullable=False),
    PrimaryKeyConstraint("id"),
    CheckConstraint("id = 1", name="audited_policy_is_one_row"),
)

request_ids = Table(
    "request_ids",
    metadata,
    id_text("caller"),
    id_text("actor"),
    id_text("method"),
    id_text("request_id"),
    id_text("body_hash"),
    Column("answer", LargeBinary, nullable=False),
    instant("created_at"),
    PrimaryKeyConstraint("caller", "actor", "method", "request_id", name="request_id_taken"),
    Index("request_ids_created_at", "created_at"),
)
