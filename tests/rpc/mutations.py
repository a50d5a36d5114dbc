"""Every RPC that writes: how it is called validly in a world, and why it may be refused, read from the documents.

What the rules are asked is formats.md A's; what is refused besides is product.md's. Nothing is taken from the engine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.oracle.plain_grants import Ground, Terms
from tests.oracle.plain_ranks import Reasons
from tests.oracle.plain_state import PlaceKey
from tests.rpc.casts import World, email
from tests.rpc.filling import token_of
from tests.rpc.people import lowest

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call by somebody in a world."""

    world: World
    actor: str
    number: int
    """Another one for every call."""

    @property
    def ground(self) -> Ground:
        """What the world is asked."""
        found: Ground = self.world.ground
        return found

    @property
    def place(self) -> PlaceKey:
        """The workspace that things are done in."""
        return self.world.place("workspace")

    @property
    def workspace(self) -> dict[str, str]:
        """The workspace as a field."""
        return {"workspace_id": self.world.id("workspace")}

    @property
    def organization(self) -> dict[str, str]:
        """The organization of the workspace as a field."""
        return {"organization_id": self.world.id("organization")}

    @property
    def new(self) -> str:
        """Something that nobody else of the world has."""
        return f"{self.world.name}-new-{self.number}".lower()

    @property
    def newcomer(self) -> str:
        """A user who is nowhere yet."""
        return f"{self.world.name}.newcomer.{self.number}"

    @property
    def bystander(self) -> str:
        """A member with the lowest role, whom nothing befalls."""
        return self.world.user("bystander")

    @property
    def terms(self) -> Terms:
        """What a newcomer is offered."""
        return Terms(lowest(self.world.rules))

    def first(self, kind: str) -> str:
        """Return the first of the catalog's modules or providers; "any" without any."""
        return str(next(iter(self.world.rules.catalog.get(kind, ("any",)))))

    def rule(self, question: str, room: str = "workspace", named: str = "") -> Reasons:
        """Return why the rules refuse a question; ``named``: the room that the request names instead of the asked."""
        place = self.world.place(room)
        return self.ground.by_rule(self.actor, question, place, self.world.place(named) if named else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One way to call one RPC."""

    fields: Callable[[Call], Fields]
    refused: Callable[[Call], Reasons]
    asks: str = ""
    """What the rules are asked; a policy in which nobody is allowed it has nobody who may make the call."""
    is_harmless: bool = False
    """Whether it leaves everything that others ask about as it was."""
    needs_actor: bool = True


def _ruled(fields: Callable[[Call], Fields], asks: str, *rooms: str, is_harmless: bool = False) -> Mutation:
    """Return what nothing but the rules may refuse; the rooms: the one that is asked, and another that is named."""
    return Mutation(fields=fields, refused=lambda call: call.rule(asks, *rooms), asks=asks, is_harmless=is_harmless)


def _workspace(call: Call) -> Fields:
    return call.workspace


def _organization(call: Call) -> Fields:
    return call.organization


def _bystander(call: Call) -> Fields:
    return {**call.workspace, "user_id": call.bystander}


def _updated(path: str, value: Callable[[Call], Any]) -> Callable[[Call], Fields]:
    """Return what changes one field of the workspace."""
    return lambda call: {**call.workspace, "workspace": value(call), "update_mask": path}


def _subscription(call: Call) -> Fields:
    plans = [*call.world.rules.catalog.get("plans", ("any",))]
    return {**call.workspace, "plan": plans[-1], "plan_type": "paid", "status": "SUBSCRIPTION_STATUS_ACTIVE"}


def _invitation(call: Call, user: str) -> str:
    return f"{call.world.name}.invitation.{user.removeprefix(call.world.name)}"


def _accepting(call: Call) -> Reasons:
    """Return why an invitation is refused; people who were never mirrored have no address that it could be for."""
    if call.ground.unknown(call.actor):
        return {"INVITATION_EMAIL_MISMATCH"}
    return call.ground.joining(call.actor, call.place) - {"MEMBERSHIP_EXPIRED"}


def _entering(call: Call) -> Reasons:
    """Return why somebody may not make the workspace their default; people who were never mirrored have no profile."""
    return call.rule("workspace view") or call.ground.unknown(call.actor)


def _own(call: Call) -> Reasons:
    """Return why somebody may not do what is only about itself."""
    return set() if call.ground.is_active(call.actor) else {"USER_INACTIVE"}


MUTATIONS: Final[Mapping[str, Mutation]] = {
    # --- workspaces
    "CreateWorkspace": _ruled(lambda call: {"name": call.new}, "workspace create", "platform", is_harmless=True),
    "CreateWorkspace/in an organization": Mutation(
        fields=lambda call: {"name": call.new, **call.organization},
        refused=lambda call: call.ground.creating(call.actor, call.world.place("organization")),
        asks="workspace create",
    ),
    "CreateChildWorkspace": Mutation(
        fields=lambda call: {"name": call.new, "parent_workspace_id": call.place[1]},
        refused=lambda call: call.ground.creating_child(call.actor, call.place, None),
        asks="workspace create_child",
    ),
    "UpdateWorkspace": _ruled(
        _updated("notes", lambda call: {"notes": call.new}), "workspace update", is_harmless=True
    ),
    "UpdateWorkspace/what restricts it": Mutation(
        fields=_updated("settings.features", lambda _: {"settings": {"features": {"child_workspaces": False}}}),
        refused=lambda call: call.rule("workspace update") or call.rule("child set_features", "parent", "workspace"),
        asks="child set_features",
    ),
    "UpdateWorkspace/how it looks": Mutation(
        fields=_updated(
            "settings.branding", lambda call: {"settings": {"branding": {"primary_color": f"#{call.number:06}"}}}
        ),
        refused=lambda call: call.rule("workspace update") or call.rule("workspace customize_branding"),
        asks="workspace customize_branding",
        is_harmless=True,
    ),
    "DeleteWorkspace": _ruled(_workspace, "workspace delete"),
    "SuspendWorkspace": _ruled(_workspace, "child suspend", "parent", "workspace"),
    "ReinstateWorkspace": _ruled(_workspace, "child reinstate", "parent", "workspace"),
    "ActivateWorkspace": _ruled(_workspace, "workspace activate"),
    "DeactivateWorkspace": _ruled(_workspace, "workspace deactivate"),
    "TransferOwnership": Mutation(
        fields=_bystander,
        refused=lambda call: call.ground.transferring(call.actor, call.place, call.bystander),
        asks="workspace transfer",
    ),
    # --- settings
    "SetModules": _ruled(_workspace, "module set"),
    "UpdateModuleSettings": _ruled(
        lambda call: {**call.workspace, "module": call.first("modules"), "settings": {"columns": call.number}},
        "module_settings update",
        is_harmless=True,
    ),
    "SetProviders": _ruled(
        lambda call: {**call.workspace, "providers": [call.first("providers")]}, "provider set", is_harmless=True
    ),
    "SetSchedule": _ruled(lambda call: {**call.workspace, "schedule": "0 6 * * 1"}, "schedule set", is_harmless=True),
    "SetSubscription": _ruled(_subscription, "subscription set", "platform", is_harmless=True),
    # --- members
    "AddMember": Mutation(
        fields=lambda call: {**call.workspace, "user_id": call.newcomer, "role": call.terms.role},
        refused=lambda call: call.ground.adding(call.actor, call.place, call.newcomer, call.terms),
        asks="member add",
        is_harmless=True,
    ),
    "AddMemberByEmail": Mutation(
        fields=lambda call: {**call.workspace, "email": email(call.newcomer), "role": call.terms.role},
        refused=lambda call: call.ground.adding(call.actor, call.place, call.newcomer, call.terms),
        asks="member add",
        is_harmless=True,
    ),
    "UpdateMember": Mutation(
        fields=lambda call: {**_bystander(call), "modules": {}, "update_mask": "modules"},
        refused=lambda call: call.ground.updating(call.actor, call.place, call.bystander, {"modules": ()}),
        asks="member update",
    ),
    "RemoveMember": Mutation(
        fields=_bystander,
        refused=lambda call: call.ground.removing(call.actor, call.place, call.bystander),
        asks="member remove",
    ),
    "Leave": Mutation(
        fields=_workspace,
        refused=lambda call: call.ground.leaving(call.actor, call.place),
        asks="workspace leave",
    ),
    "Leave/the organization": Mutation(
        fields=_organization,
        refused=lambda call: call.ground.leaving(call.actor, call.world.place("organization")),
        asks="organization leave",
    ),
    # --- joining
    "CreateInvitation": Mutation(
        fields=lambda call: {**call.workspace, "email": f"{call.new}@example.com", "role": call.terms.role},
        refused=lambda call: call.ground.inviting(call.actor, call.place, call.new, call.terms),
        asks="invitation create",
        is_harmless=True,
    ),
    "RevokeInvitation": _ruled(
        lambda call: {**call.workspace, "invitation_id": _invitation(call, call.bystander)}, "invitation revoke"
    ),
    "AcceptInvitation": Mutation(  # which replaces an expired membership, as no code does
        fields=lambda call: {"token": token_of(_invitation(call, call.actor))},
        refused=_accepting,
    ),
    "RotateInviteCode": _ruled(lambda call: {**call.workspace, "disable": True}, "invite_code rotate"),
    "JoinByCode": Mutation(
        fields=lambda call: {"code": call.world.code("workspace")},
        refused=lambda call: call.ground.joining(call.actor, call.place),
    ),
    # --- organizations
    "CreateOrganization": _ruled(lambda call: {"name": call.new}, "organization create", "platform", is_harmless=True),
    "UpdateOrganizationName": _ruled(
        lambda call: {**call.organization, "name": call.new}, "organization update", "organization", is_harmless=True
    ),
    "DeleteOrganization": _ruled(_organization, "organization delete", "organization"),
    "SuspendOrganization": _ruled(_organization, "child suspend", "platform", "organization"),
    "ReinstateOrganization": _ruled(_organization, "child reinstate", "platform", "organization"),
    # --- users, policy
    "UpsertUser": Mutation(
        fields=lambda call: {"user_id": call.bystander, "name": call.new},
        refused=lambda _: set(),
        is_harmless=True,
        needs_actor=False,
    ),
    "BatchUpsertUsers": Mutation(
        fields=lambda call: {"users": [{"user_id": call.bystander, "name": call.new}]},
        refused=lambda _: set(),
        is_harmless=True,
        needs_actor=False,
    ),
    "UpdateProfile": Mutation(
        fields=lambda call: {"default_workspace_id": call.place[1]}, refused=_entering, is_harmless=True
    ),
    "SwitchWorkspace": Mutation(fields=_workspace, refused=_entering, is_harmless=True),
    "DeleteAccount": Mutation(fields=lambda _: {}, refused=_own),
    "DeleteAccount/of somebody else": _ruled(lambda call: {"user_id": call.bystander}, "user delete", "platform"),
    "ReloadPolicy": _ruled(lambda _: {}, "policy reload", "platform", is_harmless=True),
}
"""RPC, or RPC and a variant behind a slash -> how it is called."""
