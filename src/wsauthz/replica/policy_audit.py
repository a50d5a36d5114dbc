"""Audit entries about changes of the policy: both versions, the files and the rules that differ."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wsauthz.model.places import PLATFORM
from wsauthz.policy.bundle import Bundle
from wsauthz.store import audit, policies, revisions
from wsauthz.store.audit_keys import AuditKeys
from wsauthz.store.database import Connection
from wsauthz.store.policies import AuditedPolicy
from wsauthz.tenancy.transaction import AuditNote, Caller, audit_entry

BY_FILES: Final = Caller(caller="server", actor="", method="policy/load")
"""Whoever changed the files: a server finds them changed and cannot know more."""
RULES_PER_ENTRY: Final = 100
"""Rules that one entry names in each list; a change of more rules has several entries."""
_DIGEST_LENGTH: Final = 12


def record(connection: Connection, policy: AuditedPolicy, by: Caller, keys: AuditKeys) -> bool:
    """Audit that a policy is in force now, and return whether that was new; it makes no revision."""
    end = audit.end_of(connection)  # from here on no other server compares
    before = policies.find(connection)
    if policy.version == before.version:
        return False
    time = revisions.database_time(connection)
    notes = [
        AuditNote(target_kind="policy", target_id=policy.version, place=PLATFORM, before=old, after=new)
        for old, new in _differences(before, policy)
    ]
    audit.append(connection, [audit_entry(by, note, time) for note in notes], None, end=end, keys=keys)
    policies.put(connection, policy)
    return True


def audited(bundle: Bundle) -> AuditedPolicy:
    """Return what the audit keeps of a bundle."""
    table = bundle.rules.table
    rules = {", ".join(cell.strip() for cell in rule.text.split(",")) for rule in table.rules}
    rules |= {f"g, {role}, {inherited}" for role, inherited in table.inherits}
    rules |= {f"g4, {above}, {below}" for above, below in table.flows}
    files = {name: hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH] for name, text in bundle.files.items()}
    return AuditedPolicy(version=bundle.version, files=files, rules=tuple(sorted(rules)))


def _differences(before: AuditedPolicy, now: AuditedPolicy) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return what the entries say of before and after; the rules that differ are spread over as many as it takes."""
    removed = sorted(set(before.rules) - set(now.rules))
    added = sorted(set(now.rules) - set(before.rules))
    count = max(1, -(-max(len(removed), len(added)) // RULES_PER_ENTRY))
    return [
        (
            {**_head(before, now), "rules": _part(removed, number)},
            {**_head(now, before), "rules": _part(added, number)},
        )
        for number in range(count)
    ]


def _head(policy: AuditedPolicy, other: AuditedPolicy) -> dict[str, Any]:
    files = {name: digest for name, digest in policy.files.items() if other.files.get(name) != digest}
    return {"version": policy.version, "files": files}


def _part(rules: Sequence[str], number: int) -> list[str]:
    return list(rules[number * RULES_PER_ENTRY : (number + 1) * RULES_PER_ENTRY])
