"""What a workspace is set up with."""

from collections.abc import Sequence

from wsauthz.model.workspaces import Workspace
from wsauthz.tenancy import modules, places
from wsauthz.tenancy.transaction import Transaction
from wsauthz.tenancy.workspaces import change, live


def set_modules(tx: Transaction, *, workspace_id: str, module_list: Sequence[str]) -> Workspace:
    """Replace the workspace's own modules and return it. Lists of children stay: what they may use narrows by itself.

    Raises:
        WorkspaceNotFound: there is none. UnknownModule: the catalog lacks one. InvalidArgument: one is named twice.
        ModuleNotInParent: the place above lacks one. ModuleNotInPlan: the plan limits modules and lacks one.
        RoleCeiling: the actor is limited to other modules in the workspace above.

    """
    workspace = live(tx, workspace_id)
    wanted = modules.check_known(tx.rules.catalog, module_list)
    if wanted == workspace.modules:
        return workspace
    at = places.find(tx.facts, ("workspace", workspace_id))
    modules.check_available(tx, at.parent, at, wanted)
    modules.check_added(tx, at.parent, [module for module in wanted if module not in workspace.modules])
    before, after = {"modules": list(workspace.modules)}, {"modules": list(wanted)}
    return change(tx, workspace, {"modules": wanted}, before=before, after=after)
