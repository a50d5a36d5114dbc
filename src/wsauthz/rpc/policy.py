"""PolicyService: the bundle in force, reading it again, and judging other files."""

from typing import Final

from wsauthz.metrics import Metrics
from wsauthz.policy.bundle import BundleRefused
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.current import CarryOn
from wsauthz.replica.replica import Replica
from wsauthz.rpc.decisions import timestamp
from wsauthz.rpc.running import in_thread, on_loop
from wsauthz.tenancy.transaction import Caller
from wsauthz.v1 import policy_pb2 as pb

_MOST_PROBLEMS: Final = 100
"""Of the bundle in force that are told."""


class PolicyService:
    """Answers about the replica's policy."""

    def __init__(self, replica: Replica, metrics: Metrics) -> None:
        self.replica = replica
        self.metrics = metrics

    @on_loop
    def GetPolicyInfo(self, request: pb.GetPolicyInfoRequest, by: Caller) -> pb.GetPolicyInfoResponse:  # noqa: ARG002 - uniform
        """Describe the bundle in force."""
        policy = self.replica.policy
        in_force = [problem.text for problem in self.replica.bundle_problems()]
        if len(in_force) > _MOST_PROBLEMS:
            in_force[_MOST_PROBLEMS:] = [f"and {len(in_force) - _MOST_PROBLEMS:,} more"]
        return pb.GetPolicyInfoResponse(
            name=policy.bundle.catalog.name,
            version=policy.bundle.version,
            loaded_at=timestamp(policy.loaded_at),
            problems=[*policy.problems, *in_force],
            refused_at=timestamp(policy.refused_at) if policy.refused_at is not None else None,
            catalog=_catalog(policy.bundle.catalog),
        )

    @in_thread
    def ReloadPolicy(
        self,
        request: pb.ReloadPolicyRequest,  # noqa: ARG002 - it has no fields
        by: Caller,
        carry_on: CarryOn,
    ) -> pb.ReloadPolicyResponse:
        """Read the bundle directory again now."""
        reload = self.replica.reload_policy(by, carry_on)
        return pb.ReloadPolicyResponse(version=reload.bundle.version, changed=reload.changed, problems=reload.problems)

    @in_thread
    def ValidatePolicy(
        self,
        request: pb.ValidatePolicyRequest,
        by: Caller,  # noqa: ARG002 - uniform
        carry_on: CarryOn,
    ) -> pb.ValidatePolicyResponse:
        """Judge files without putting them in force."""
        try:
            version = self.replica.policy.validate(request.files, carry_on)
        except BundleRefused as refused:
            return pb.ValidatePolicyResponse(problems=[str(problem) for problem in refused.problems])
        return pb.ValidatePolicyResponse(version=version)


def _catalog(catalog: Catalog) -> pb.Catalog:
    return pb.Catalog(
        roles=[
            pb.CatalogRole(
                name=role.name,
                rank=role.rank,
                title=role.title,
                assignable=role.assignable,
                owner_like=role.owner_like,
                places=sorted(role.places),
            )
            for role in catalog.roles.values()
        ],
        permissions=catalog.permissions,
        modules=catalog.modules,
        resources=[
            pb.CatalogResource(
                type=kind.name,
                actions=list(kind.actions),
                requires_feature=next((feature for feature in kind.actions.values() if feature), ""),
            )
            for kind in catalog.resources.values()
        ],
        plans=[
            pb.CatalogPlan(
                name=plan.name,
                type=plan.type,
                modules=plan.modules or (),
                limits_modules=plan.modules is not None,
                features=plan.features,
            )
            for plan in catalog.plans.values()
        ],
        providers=catalog.providers or {},
        guards=list(catalog.guards),
        join_methods=catalog.join_methods,
        default_workspace_role=catalog.default_workspace_role,
        default_organization_role=catalog.default_organization_role,
        creator_role=catalog.creator_role,
        by_slug=catalog.by_slug,
        public_profile=catalog.public_profile,
    )
