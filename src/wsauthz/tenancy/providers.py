"""Which of the catalog's providers run for a workspace (REQ-061)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wsauthz.model.errors import InvalidArgument, NoProvider, ProvidersNotOffered, UnknownProvider, WorkspaceNotFound
from wsauthz.model.spelling import meant
from wsauthz.policy.catalog import Catalog
from wsauthz.store import workspaces as workspace_rows
from wsauthz.tenancy.transaction import Reading, Transaction
from wsauthz.tenancy.workspaces import change, live


@dataclass(frozen=True, slots=True, kw_only=True)
class Providers:
    """Those that run, in the order set, and name -> title of all there are."""

    enabled: tuple[str, ...]
    available: Mapping[str, str]


def get(reading: Reading, *, workspace_id: str) -> Providers:
    """Return the workspace's providers; none where the catalog has none.

    Raises:
        WorkspaceNotFound: there is none.

    """
    catalog = reading.on_loop(lambda _facts, rules, _now: rules.catalog)
    workspace = workspace_rows.find(reading.connection, workspace_id)
    if workspace is None:
        raise WorkspaceNotFound
    enabled = catalog.running(workspace.enabled_providers) or ()
    return Providers(enabled=enabled, available=catalog.providers or {})


def set_providers(tx: Transaction, *, workspace_id: str, providers: Sequence[str]) -> tuple[str, ...]:
    """Replace the workspace's providers and return those that run.

    Raises:
        WorkspaceNotFound: there is none. NoProvider: the list is empty. ProvidersNotOffered: the catalog has none.
        UnknownProvider: the catalog lacks one. InvalidArgument: one is named twice.

    """
    catalog = tx.rules.catalog
    wanted = _check(catalog, providers)
    workspace = live(tx, workspace_id)
    if wanted != workspace.enabled_providers:
        before = {"enabled_providers": catalog.running(workspace.enabled_providers)}
        after = {"enabled_providers": wanted}
        workspace = change(tx, workspace, {"enabled_providers": wanted}, before=before, after=after)
    return catalog.running(workspace.enabled_providers) or ()


def _check(catalog: Catalog, providers: Sequence[str]) -> tuple[str, ...]:
    wanted = tuple(providers)
    if not wanted:
        raise NoProvider
    if not catalog.providers:
        raise ProvidersNotOffered
    for provider in wanted:
        if provider not in catalog.providers:
            raise UnknownProvider(provider, meant=meant(provider, catalog.providers))
    if len(set(wanted)) < len(wanted):
        raise InvalidArgument("providers", "must not name a provider twice")
    return wanted
