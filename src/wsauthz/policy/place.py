"""One place: what is said of it, and what is effective there after looking above."""

from collections.abc import Iterator

from wsauthz.model.places import PlaceKey, State
from wsauthz.model.subscriptions import LAPSED


class Place:
    """The platform, an organization or a workspace: own flags, and what is effective after looking above."""

    __slots__ = (
        "blocked_by",
        "chain",
        "child_workspaces",
        "children",
        "is_active",
        "is_lapsed",
        "is_suspended",
        "key",
        "members",
        "modules",
        "own_modules",
        "own_subscription",
        "owner",
        "parent",
        "settled",
        "state",
        "subscription",
    )

    def __init__(self, key: PlaceKey, parent: "Place | None") -> None:
        self.key = key
        self.parent = parent
        self.chain: tuple[Place, ...] = (self, *(parent.chain if parent else ()))
        """The place itself and every place above it, nearest first."""
        self.children: dict[Place, None] = {}
        """The places right below; a dictionary, because an empty set takes four times the memory."""
        self.members: list[str] = []
        """User ids with a live membership here, sorted."""
        self.owner: str | None = None
        self.is_active = True
        self.is_suspended = False
        self.child_workspaces: bool | None = None
        self.own_modules: frozenset[str] | None = None
        self.own_subscription: tuple[str, int] | None = None
        self.settle()

    def settle(self) -> None:
        """Work out what is effective here and in every place below."""
        self.settled = object()
        """Another one whenever anything is said otherwise of this place or one above it: what is kept goes by it."""
        above = self.parent
        blocked = above.blocked_by if above else None
        state = above.state if above else State.ACTIVE
        if not self.is_active:
            state, blocked = State.INACTIVE, self
        elif self.is_suspended and state != State.INACTIVE:
            state, blocked = State.SUSPENDED, self
        self.state: State = state
        self.blocked_by: Place | None = blocked
        """The nearest place whose own flag makes the effective state what it is."""
        self.modules: frozenset[str] | None = self.own_modules
        """Effective modules; None: whatever the catalog has."""
        if above and above.modules is not None:
            # Of two sets that say the same the older one, so that a tree without limits shares one.
            if self.modules is None or self.modules >= above.modules:
                self.modules = above.modules
            elif not self.modules <= above.modules:
                self.modules &= above.modules
        self.subscription: tuple[str, int] | None = self.own_subscription or (above.subscription if above else None)
        """Plan and status of the own, else the nearest ancestor's subscription."""
        self.is_lapsed = self.subscription is not None and self.subscription[1] in LAPSED
        """Whether that one has expired or was cancelled: a warning, never a denial (REQ-131)."""
        for child in self.children:
            child.settle()

    @property
    def organization_above(self) -> "Place | None":
        """The organization that a workspace is in; None for every other place."""
        return next((place for place in self.chain[1:] if place.key[0] == "organization"), None)

    def below(self) -> "Iterator[Place]":
        """Yield the place itself and everything below it."""
        yield self
        for child in self.children:
            yield from child.below()
