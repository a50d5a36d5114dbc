"""Workspaces: looking at one, changing it, deleting it. Creating them: ``workspace_creation``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from wsauthz.model import texts
from wsauthz.model.errors import Denied, InvalidArgument, WorkspaceNotFound
from wsauthz.model.places import PlaceKey, State
from wsauthz.model.subscriptions import Subscription
from wsauthz.model.workspaces import CHILD_WORKSPACES, Branding, Workspace, WorkspaceSettings
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.decision import decide
from wsauthz.policy.facts import Facts
from wsauthz.policy.ruleset import Ruleset
from wsauthz.store import changes
from wsauthz.store import users as user_rows
from wsauthz.store import workspaces as workspace_rows
from wsauthz.store.database import Connection
from wsauthz.tenancy import deletion, places, subscriptions
from wsauthz.tenancy.transaction import Reading, Transaction, refuse_unless_allowed

BRANDING = "settings.branding"
BRANDING_FIELDS = (f"{BRANDING}.logo", f"{BRANDING}.primary_color")
FEATURES = "settings.features"
_KEEPING = (
    "It is false, which only the place above may change. Send it as false again, or name single features in "
    f"update_mask, such as {FEATURES}.custom_fields"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The primary owner as others see it; name and email empty when the user is not known."""

    id: str
    name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A workspace with everything that is effective there."""

    workspace: Workspace
    state: State
    suspended_by: PlaceKey | None
    """The nearest place whose own flag makes the state what it is; None while active."""
    modules: tuple[str, ...]
    plan: str
    plan_type: str
    owner: Owner
    can_customize_branding: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What the facts say of a workspace, and of the actor in it."""

    state: State
    blocked_by: PlaceKey | None
    modules: frozenset[str] | None
    subscribed: str | None
    """The workspace whose subscription counts."""
    plan: str
    can_customize_branding: bool
    catalog: Catalog


def get(reading: Reading, *, workspace_id: str) -> View:
    """Return the workspace, be it suspended or inactive, with what is effective there.

    Raises:
        WorkspaceNotFound: there is none.

    """
    actor = reading.actor
    now = reading.on_loop(lambda facts, rules, now: effective(facts, rules, now, actor, workspace_id))
    return view(reading.connection, workspace_id, now, subscriptions.effective(reading.connection, now.subscribed))


def view(connection: Connection, workspace_id: str, now: Effective, subscription: Subscription | None) -> View:
    """Return the workspace with what is effective there now.

    Raises:
        WorkspaceNotFound: there is none.

    """
    workspace = workspace_rows.find(connection, workspace_id)
    if workspace is None:
        raise WorkspaceNotFound
    owner = user_rows.find(connection, workspace.owner_user_id)
    return View(
        workspace=replace(workspace, enabled_providers=now.catalog.running(workspace.enabled_providers)),
        state=now.state,
        suspended_by=now.blocked_by,
        modules=tuple(module for module in workspace.modules if now.modules is None or module in now.modules),
        plan=subscription.plan if subscription else now.plan,
        plan_type=subscription.plan_type if subscription else "",
        owner=Owner(
            id=workspace.owner_user_id, name=owner.name if owner else "", email=(owner.email or "") if owner else ""
        ),
        can_customize_branding=now.can_customize_branding,
    )


def public_profile(reading: Reading, *, workspace_id: str) -> Workspace:
    """Return the workspace for what everybody may see of it.

    Raises:
        WorkspaceNotFound: there is none, it is not active, or the catalog shows no public profiles.

    """

    def is_public(facts: Facts, rules: Ruleset, _now: float) -> bool:
        at = facts.places.get(("workspace", workspace_id))
        return rules.catalog.public_profile and at is not None and at.state == State.ACTIVE

    workspace = workspace_rows.find(reading.connection, workspace_id) if reading.on_loop(is_public) else None
    if workspace is None:
        raise WorkspaceNotFound
    return workspace


def update(tx: Transaction, *, workspace_id: str, values: Mapping[str, Any]) -> tuple[Workspace, bool]:
    """Change texts, ``settings.branding`` and ``settings.features``; return it, and whether analyses are stale.

    Of settings also single ones: ``settings.branding.logo``, ``settings.features.<name>`` (None: removed). Analyses are
    stale when name or domain, trimmed, are not what they were (requirements E.7).

    Raises:
        WorkspaceNotFound: there is none. InvalidArgument: a value is not what its field may hold, or none is given.
        Denied: branding is not the actor's to customize, or what the place above restricted is not its to change.

    """
    if not values:
        raise InvalidArgument("update_mask", "must name a field")
    workspace = live(tx, workspace_id)
    wanted: dict[str, Any] = {
        field: texts.workspace_text(field, value) for field, value in values.items() if field in texts.WORKSPACE_TEXTS
    }
    settings = WorkspaceSettings(branding=_branding(tx, workspace, values), features=_features(tx, workspace, values))
    wanted = {field: value for field, value in wanted.items() if value != getattr(workspace, field)}
    if settings != workspace.settings:
        wanted["settings"] = settings
    if not wanted:
        return workspace, False
    is_stale = "name" in wanted or "domain" in wanted
    tx.tally.analysis_resets += is_stale
    if is_stale:
        wanted["analysis_epoch"] = workspace.analysis_epoch + 1
    before = {"restricted": _is_restricted(workspace.settings.features)}
    after = {"restricted": _is_restricted(settings.features), "fields": sorted(wanted)}
    changed = change(tx, workspace, wanted, before=before, after=after)
    if is_stale:
        tx.changed(changes.analysis_reset(changed))
    return changed, is_stale


def _branding(tx: Transaction, workspace: Workspace, values: Mapping[str, Any]) -> Branding:
    """Return the branding with the values given, which the actor must be allowed to customize."""
    single = {path.removeprefix(f"{BRANDING}."): values[path] for path in BRANDING_FIELDS if path in values}
    if not single and BRANDING not in values:
        return workspace.settings.branding
    try:
        tx.require("workspace", "customize_branding", ("workspace", workspace.id))
    except Denied as denied:
        raise Denied(denied.reason, str(denied), field=BRANDING) from None
    return texts.branding(replace(values.get(BRANDING, workspace.settings.branding), **single))


def _features(tx: Transaction, workspace: Workspace, values: Mapping[str, Any]) -> dict[str, bool]:
    """Return the feature flags with the values given; of those that restrict the workspace the place above decides."""
    old = workspace.settings.features
    if not any(path.startswith(FEATURES) for path in values):
        return old
    wanted = dict(values.get(FEATURES, old))
    for path, value in values.items():
        if path.startswith(f"{FEATURES}."):
            name = texts.feature(path.removeprefix(f"{FEATURES}."), field="update_mask")
            wanted.pop(name, None)
            wanted |= {} if value is None else {name: value}
    found = texts.features(wanted)
    if _is_restricted(found) != _is_restricted(old):
        place: PlaceKey = ("workspace", workspace.id)
        above = places.find(tx.facts, place).chain[1].key
        try:
            refuse_unless_allowed(tx.rules, tx.ask("child", "set_features", above), above, tx.ask, place)
        except Denied as denied:
            why = _KEEPING if _is_restricted(old) else "Only the place above may set it to false"
            raise Denied(denied.reason, f"{denied}. {why}", field=f"{FEATURES}.{CHILD_WORKSPACES}") from None
    return found


def delete(tx: Transaction, *, workspace_id: str) -> int:
    """Delete the workspace and its descendants with memberships, pending invitations and codes; return how many went.

    Raises:
        WorkspaceNotFound: there is none.

    """
    top = places.find(tx.facts, ("workspace", workspace_id))
    return deletion.delete_workspaces(tx, [top], along_with=workspace_id)


def live(tx: Transaction, workspace_id: str) -> Workspace:
    """Return the workspace.

    Raises:
        WorkspaceNotFound: there is none, or it was deleted.

    """
    workspace = workspace_rows.find(tx.connection, workspace_id)
    if workspace is None:
        raise WorkspaceNotFound
    return workspace


def change(
    tx: Transaction,
    workspace: Workspace,
    values: Mapping[str, Any],
    *,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> Workspace:
    """Give fields new values and return the workspace; ``before`` and ``after`` are what the audit says of it."""
    changed = replace(workspace, **values, updated_at=tx.now)
    workspace_rows.update(tx.connection, workspace.id, {**values, "updated_at": tx.now})
    if changes.workspace(changed) != changes.workspace(workspace):
        tx.changed(changes.workspace(changed))
    tx.audit("workspace", workspace.id, ("workspace", workspace.id), before=before, after=after)
    return changed


def _is_restricted(features: Mapping[str, bool]) -> bool:
    """Tell whether the flags forbid something to the workspace itself: only the place above may change that."""
    return features.get(CHILD_WORKSPACES) is False


def effective(facts: Facts, rules: Ruleset, now: float, actor: str, workspace_id: str) -> Effective:
    """Return what is effective in the workspace; to be called where the facts cannot change.

    Raises:
        WorkspaceNotFound: there is none.

    """
    place: PlaceKey = ("workspace", workspace_id)
    at = places.find(facts, place)
    branding = decide(facts, rules, now, subject=actor, place=place, resource="workspace", action="customize_branding")
    return Effective(
        state=at.state,
        blocked_by=at.blocked_by.key if at.blocked_by else None,
        modules=at.modules,
        subscribed=subscriptions.holder_of(at),
        plan=at.subscription[0] if at.subscription else "",
        can_customize_branding=branding.allowed,
        catalog=rules.catalog,
    )
