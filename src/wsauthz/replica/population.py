"""What a replica holds, counted for a scrape.

The places are listed on the loop, in one step, and counted elsewhere: counting a million would stop every decision.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from wsauthz.metrics import Population
from wsauthz.model.places import State
from wsauthz.policy.bundle_problems import KINDS, BundleProblem
from wsauthz.policy.current import CurrentPolicy
from wsauthz.policy.place import Place


def population(
    policy: CurrentPolicy,
    places: Sequence[Place],
    roles: Mapping[str, int],
    problems: Sequence[BundleProblem],
    *,
    users: int,
    revision: int,
    revision_age_seconds: float,
    ready: bool,
) -> Population:
    """Return the counts; ``roles``: role -> live memberships with it; ``problems``: of the bundle in force."""
    catalog = policy.bundle.catalog
    kinds = Counter(place.key[0] for place in places)
    states = Counter(place.state for place in places if place.key[0] == "workspace")
    counts = Counter(problem.kind for problem in problems)
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
        unknown_roles=sum(count for role, count in roles.items() if role not in catalog.roles),
        policy_name=catalog.name,
        policy_version=policy.bundle.version,
        policy_refused=bool(policy.problems),
        policy_problems={kind: counts[kind] for kind in KINDS},
    )
