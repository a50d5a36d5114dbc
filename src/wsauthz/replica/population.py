"""What a replica holds, counted for a scrape.

The places are listed on the loop, in one step, and counted elsewhere: counting a million would stop every decision.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from wsauthz.metrics import Population
from wsauthz.model.places import State
from wsauthz.policy.catalog import Catalog
from wsauthz.policy.current import CurrentPolicy
from wsauthz.policy.place import Place


def population(
    policy: CurrentPolicy,
    places: Sequence[Place],
    roles: Mapping[str, int],
    *,
    users: int,
    revision: int,
    revision_age_seconds: float,
    ready: bool,
) -> Population:
    """Return the counts; ``roles``: role -> live memberships with it."""
    catalog = policy.bundle.catalog
    kinds = Counter(place.key[0] for place in places)
    states = Counter(place.state for place in places if place.key[0] == "workspace")
    return Population(
        revision=revision,
        revision_age_seconds=revision_age_seconds,
        ready=ready,
        facts={
            "users": users,
            "organizations": kinds["organization"],
            "workspaces": kinds["workspace"],
            "memberships": sum(roles.values()),
        },
        workspaces={state.name.lower(): states[state] for state in State if state is not State.DELETED},
        unknown_roles=sum(unknown_roles(catalog, roles).values()),
        policy_name=catalog.name,
        policy_version=policy.bundle.version,
        policy_refused=bool(policy.problems),
    )


def unknown_roles(catalog: Catalog, roles: Mapping[str, int]) -> dict[str, int]:
    """Return those roles of live memberships that the bundle lacks, with their counts; they give nothing."""
    return {role: count for role, count in roles.items() if count and role not in catalog.roles}
