"""What a replica holds, counted for a scrape."""

from collections import Counter

from wsauthz.metrics import Population
from wsauthz.model.places import State
from wsauthz.policy.current import CurrentPolicy
from wsauthz.policy.facts import Facts


def population(
    facts: Facts, policy: CurrentPolicy, *, revision: int, revision_age_seconds: float, ready: bool
) -> Population:
    """Return the counts of one moment; to be called where facts do not change meanwhile."""
    catalog = policy.bundle.catalog
    kinds = Counter(key[0] for key in facts.places)
    states = Counter(place.state for key, place in facts.places.items() if key[0] == "workspace")
    return Population(
        revision=revision,
        revision_age_seconds=revision_age_seconds,
        ready=ready,
        facts={
            "users": len(facts.users),
            "organizations": kinds["organization"],
            "workspaces": kinds["workspace"],
            "memberships": facts.roles.total(),
        },
        workspaces={state.name.lower(): states[state] for state in State if state is not State.DELETED},
        unknown_roles=sum(count for role, count in facts.roles.items() if role not in catalog.roles),
        policy_name=catalog.name,
        policy_version=policy.bundle.version,
        policy_refused=bool(policy.problems),
    )
