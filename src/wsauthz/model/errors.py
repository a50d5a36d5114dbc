"""Everything that can be refused, one class per failure, built from data.

Errors about names that a policy lacks take ``meant``, which says what was probably meant; see ``spelling``.

Refused
├── InvalidArgument
│   ├── UnknownRole  UnknownModule  UnknownPermission  UnknownResource  UnknownAction  UnknownGuard
│   ├── UnknownProvider  NoProvider  UnknownPlan  InvalidCron  InvalidCode
│   └── RequestIdReused  PageTokenInvalid
├── NotFound
│   └── WorkspaceNotFound  OrganizationNotFound  MemberNotFound  UserNotFound  InvitationNotFound
├── AlreadyExists
│   └── AlreadyMember  SlugTaken  EmailTaken  IdTaken
├── FailedPrecondition
│   ├── LastOwner  PrimaryOwner  AlreadyOwner  CannotRemoveSelf  NotOrgMember
│   ├── PlaceSuspended  PlaceInactive
│   ├── InvitationExpired  InvitationUsed
│   ├── ModuleNotInParent  ModuleNotInPlan  ProvidersNotOffered  LimitReached
│   └── SlugAmbiguous  SourceVersionRequired  RevisionUnknown
├── PermissionDenied
│   ├── Denied  RoleCeiling
│   └── InvitationEmailMismatch  Removed  MembershipInactive  MembershipExpired
├── Unauthenticated
│   └── ActorRequired  ActorRepeated
├── Busy
│   ├── TooManyRequests  TooManyAttempts  TooManyRefusals  TooFarBehind
│   └── TooManyStreams  ConsumerTooSlow
├── RevisionPruned
└── Unavailable
    └── AuditKeyMissing
"""

from datetime import datetime

from wsauthz.model.targets import Target

_MOST_SHOWN = 64
"""Characters of what a caller sent that a sentence repeats: it could be a megabyte, and be asked a thousand times."""


def shown(value: str) -> str:
    """Return what a caller sent as a sentence repeats it: quoted, escaped, and no more than its beginning."""
    return repr(value) if len(value) <= _MOST_SHOWN else f"{value[:_MOST_SHOWN]!r}..."


class Refused(Exception):
    """A request that was understood and not carried out; ``str()`` is a sentence for the caller."""

    reason = ""
    """Stable, UPPER_SNAKE; what programs compare."""

    field = ""
    """The request field at fault, where one is."""

    workspace_id = ""
    """The workspace that stands in the way, where that is not the one the request names; programs get it."""

    target: Target | None = None
    """What the rejected attempt was about, where the request alone does not say; for the audit, never answered."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)

    def arises_in(self, workspace_id: str) -> None:
        """Name the workspace that stands in the way; an empty id is one that the caller may not know of."""
        where = f"In workspace {workspace_id}" if workspace_id else "In a workspace that you may not view"
        self.args = (f"{where}: {self}",)
        self.workspace_id = workspace_id


class InvalidArgument(Refused):
    """A field that no state of the system would make acceptable."""

    reason = "INVALID_ARGUMENT"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class UnknownRole(InvalidArgument):
    """A role that the catalog lacks, may not be assigned, or is not for this kind of place."""

    reason = "UNKNOWN_ROLE"

    def __init__(self, role: str, kind: str, *, field: str = "role", meant: str = "") -> None:
        super().__init__(field, f"{shown(role)} is not an assignable role of a {kind}{meant}")


class UnknownModule(InvalidArgument):
    """A module that the catalog lacks."""

    reason = "UNKNOWN_MODULE"

    def __init__(self, module: str, *, field: str = "modules", meant: str = "") -> None:
        super().__init__(field, f"{shown(module)} is not a module of this policy{meant}")


class UnknownPermission(InvalidArgument):
    """An explicit permission that the catalog lacks."""

    reason = "UNKNOWN_PERMISSION"

    def __init__(self, permission: str, *, meant: str = "") -> None:
        super().__init__("permissions", f"{shown(permission)} is not a permission of this policy{meant}")


class UnknownResource(InvalidArgument):
    """A resource type that neither the core vocabulary nor the catalog has."""

    reason = "UNKNOWN_RESOURCE"

    def __init__(self, resource: str, *, meant: str = "") -> None:
        super().__init__("resource", f"{shown(resource)} is not a resource type of this policy{meant}")


class UnknownAction(InvalidArgument):
    """An action that the resource type does not have."""

    reason = "UNKNOWN_ACTION"

    def __init__(self, resource: str, action: str, *, meant: str = "") -> None:
        super().__init__("action", f"{shown(action)} is not an action of {shown(resource)}{meant}")


class UnknownGuard(InvalidArgument):
    """A guard that the catalog does not name."""

    reason = "UNKNOWN_GUARD"

    def __init__(self, guard: str, *, meant: str = "") -> None:
        super().__init__("guards", f"{shown(guard)} is not a guard of this policy{meant}")


class UnknownProvider(InvalidArgument):
    """A provider that the catalog lacks (REQ-061)."""

    reason = "UNKNOWN_PROVIDER"

    def __init__(self, provider: str, *, meant: str = "") -> None:
        super().__init__("providers", f"{shown(provider)} is not a provider of this policy{meant}")


class NoProvider(InvalidArgument):
    """At least one provider must be enabled (REQ-061)."""

    reason = "NO_PROVIDER"

    def __init__(self) -> None:
        super().__init__("providers", "at least one provider must be enabled")


class UnknownPlan(InvalidArgument):
    """A plan that the catalog lacks, though it has plans."""

    reason = "UNKNOWN_PLAN"

    def __init__(self, plan: str, *, meant: str = "") -> None:
        super().__init__("plan", f"{shown(plan)} is not a plan of this policy{meant}")


class InvalidCron(InvalidArgument):
    """A schedule that is no cron expression (REQ-062)."""

    reason = "INVALID_CRON"

    def __init__(self) -> None:
        super().__init__("schedule", "is no cron expression of five fields")


class InvalidCode(InvalidArgument):
    """A join code that is blank, too long, or holds what no code does; never repeated, because it may be a secret."""

    reason = "INVALID_CODE"

    def __init__(self) -> None:
        super().__init__("code", "is no join code")


class RequestIdReused(InvalidArgument):
    """The same request id with another body."""

    reason = "REQUEST_ID_REUSED"

    def __init__(self) -> None:
        super().__init__("request_id", "was used for another request in the last 24 hours")


class PageTokenInvalid(InvalidArgument):
    """A page token that this server did not make for this caller and these arguments."""

    reason = "PAGE_TOKEN_INVALID"

    def __init__(self) -> None:
        super().__init__("page_token", "is not a page token of this request")


class NotFound(Refused):
    """Something that does not exist, or that the actor may not know of: the two look the same."""


class WorkspaceNotFound(NotFound):
    """No such workspace, or none that the actor may view."""

    reason = "WORKSPACE_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Workspace not found")


class OrganizationNotFound(NotFound):
    """No such organization, or none that the actor may view."""

    reason = "ORGANIZATION_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Organization not found")


class MemberNotFound(NotFound):
    """No live membership of that user in the place."""

    reason = "MEMBER_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Member not found")


class UserNotFound(NotFound):
    """No such user, or none that the actor may see."""

    reason = "USER_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("User not found")


class InvitationNotFound(NotFound):
    """No such invitation here; or a token that is unknown, revoked or replaced: they look the same."""

    reason = "INVITATION_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Invitation not found")


class AlreadyExists(Refused):
    """Something unique that is there already."""


class AlreadyMember(AlreadyExists):
    """The user has a live membership in the place (REQ-049)."""

    reason = "ALREADY_MEMBER"

    def __init__(self) -> None:
        super().__init__("The user is already a member")


class SlugTaken(AlreadyExists):
    """An explicit slug that a live workspace of the organization, or an organization, has."""

    reason = "SLUG_TAKEN"

    def __init__(self, slug: str) -> None:
        super().__init__(f"The slug {shown(slug)} is taken")
        self.field = "slug"


class EmailTaken(AlreadyExists):
    """An email address that another user has."""

    reason = "EMAIL_TAKEN"

    def __init__(self) -> None:
        super().__init__("Another user has this email address")
        self.field = "email"


class IdTaken(AlreadyExists):
    """An imported id that a deleted or different row already has."""

    reason = "ID_TAKEN"

    def __init__(self, kind: str, identifier: str) -> None:
        super().__init__(f"The {kind} id {shown(identifier)} is taken")


class FailedPrecondition(Refused):
    """A request that the present state does not allow, whoever asks."""


class LastOwner(FailedPrecondition):
    """It would leave the place without an owner (REQ-051)."""

    reason = "LAST_OWNER"

    def __init__(self) -> None:
        super().__init__("The last owner cannot be removed, demoted, deactivated or narrowed")


class PrimaryOwner(FailedPrecondition):
    """The primary owner's membership is protected."""

    reason = "PRIMARY_OWNER"

    def __init__(self) -> None:
        super().__init__("The primary owner must transfer ownership first")


class AlreadyOwner(FailedPrecondition):
    """Ownership is transferred to somebody else."""

    reason = "ALREADY_OWNER"

    def __init__(self) -> None:
        super().__init__("The user already is the primary owner")


class CannotRemoveSelf(FailedPrecondition):
    """Removing yourself goes through Leave."""

    reason = "CANNOT_REMOVE_SELF"

    def __init__(self) -> None:
        super().__init__("Use Leave to remove yourself")


class NotOrgMember(FailedPrecondition):
    """The actor is no live member of the organization; one text for a foreign and an unknown one (REQ-042)."""

    reason = "NOT_ORG_MEMBER"

    def __init__(self) -> None:
        super().__init__("You are not a member of this organization")


class PlaceSuspended(FailedPrecondition):
    """Nobody joins or is added while the place is effectively suspended."""

    reason = "WORKSPACE_SUSPENDED"

    def __init__(self) -> None:
        super().__init__("Nobody and nothing can be added while the place is suspended")


class PlaceInactive(FailedPrecondition):
    """Nobody joins or is added while the place is effectively inactive."""

    reason = "WORKSPACE_INACTIVE"

    def __init__(self) -> None:
        super().__init__("Nobody and nothing can be added while the place is inactive")


class InvitationExpired(FailedPrecondition):
    """The invitation's time is over, by the database's clock (REQ-021)."""

    reason = "INVITATION_EXPIRED"

    def __init__(self) -> None:
        super().__init__("The invitation has expired")


class InvitationUsed(FailedPrecondition):
    """The invitation was accepted before: tokens are single-use (REQ-020)."""

    reason = "INVITATION_USED"

    def __init__(self) -> None:
        super().__init__("The invitation was accepted already")


class ModuleNotInParent(FailedPrecondition):
    """A child cannot have a module that its parent lacks."""

    reason = "MODULE_NOT_IN_PARENT"

    def __init__(self, module: str) -> None:
        super().__init__(f"The workspace above does not have the module {shown(module)}")
        self.field = "modules"


class ModuleNotInPlan(FailedPrecondition):
    """The effective plan limits the modules and lacks this one."""

    reason = "MODULE_NOT_IN_PLAN"

    def __init__(self, module: str) -> None:
        super().__init__(f"The plan does not include the module {shown(module)}")
        self.field = "modules"


class ProvidersNotOffered(FailedPrecondition):
    """The catalog has no providers."""

    reason = "PROVIDERS_NOT_OFFERED"

    def __init__(self) -> None:
        super().__init__("This policy has no providers")


class LimitReached(FailedPrecondition):
    """A limit of the catalog, or the depth of the tree."""

    reason = "LIMIT_REACHED"

    def __init__(self, limit: str, most: int) -> None:
        super().__init__(f"The limit {limit} of {most} is reached")


class SlugAmbiguous(FailedPrecondition):
    """A slug, without its organization, that several of the user's workspaces have."""

    reason = "SLUG_AMBIGUOUS"

    def __init__(self) -> None:
        super().__init__("Several of your workspaces have this slug; name the organization, or use the id")
        self.field = "slug"


class SourceVersionRequired(FailedPrecondition):
    """A user that has a source_version, also of a deleted account, is not changed without one."""

    reason = "SOURCE_VERSION_REQUIRED"

    def __init__(self, known: int) -> None:
        super().__init__(f"This user has source_version {known}; a change needs a higher one")
        self.field = "source_version"


class RevisionUnknown(FailedPrecondition):
    """A revision token of another database, of a history that a restore has lost, or of before what is kept."""

    reason = "REVISION_UNKNOWN"

    def __init__(self) -> None:
        super().__init__("This revision is not one of this database")


class PermissionDenied(Refused):
    """The actor may not do it, and may know that the thing exists."""


class Denied(PermissionDenied):
    """The engine's answer to the question the RPC asks; carries the decision's reason."""

    def __init__(self, reason: str, sentence: str, *, field: str = "") -> None:
        super().__init__(f"{field}: {sentence}" if field else sentence)
        self.reason = reason
        self.field = field


class RoleCeiling(PermissionDenied):
    """Nobody grants more than they hold, or for longer than they hold it, nor touches a member above them."""

    reason = "ROLE_CEILING"

    def __init__(self, sentence: str, latest: datetime | None = None) -> None:
        super().__init__(sentence)
        self.latest = latest
        """The latest expiry that would be allowed, where the time is the only problem."""


class InvitationEmailMismatch(PermissionDenied):
    """Only the invited address, verified, may accept an invitation."""

    reason = "INVITATION_EMAIL_MISMATCH"

    def __init__(self) -> None:
        super().__init__("The invitation is for another, verified email address")


class Removed(PermissionDenied):
    """Somebody removed by another, or who left a limited membership, does not come back by a join code."""

    reason = "REMOVED"

    def __init__(self) -> None:
        super().__init__("You were removed; ask to be added or invited again")


class MembershipInactive(PermissionDenied):
    """A deactivated member does not come back by joining or accepting, nor into a workspace by being added there."""

    reason = "MEMBERSHIP_INACTIVE"

    def __init__(self, message: str = "Your membership is deactivated") -> None:
        super().__init__(message)


class MembershipExpired(PermissionDenied):
    """An expired membership is replaced by an invitation or by being added, never by a join code."""

    reason = "MEMBERSHIP_EXPIRED"

    def __init__(self) -> None:
        super().__init__("Your membership has expired")


class Unauthenticated(Refused):
    """Who is calling, or for whom, is missing."""


class ActorRequired(Unauthenticated):
    """A management RPC without x-wsauthz-actor."""

    reason = "ACTOR_REQUIRED"

    def __init__(self) -> None:
        super().__init__("Name the user this is done for in the metadata x-wsauthz-actor")


class ActorRepeated(Unauthenticated):
    """The metadata names more than one actor."""

    reason = "ACTOR_REPEATED"

    def __init__(self) -> None:
        super().__init__("The metadata x-wsauthz-actor must occur once")


class Busy(Refused):
    """Try again after ``retry_seconds``."""

    retry_seconds = 1.0


class TooManyRequests(Busy):
    """More work is waiting than this server takes in."""

    reason = "TOO_MANY_REQUESTS"

    def __init__(self) -> None:
        super().__init__("Too many requests are waiting; try again")


class TooManyAttempts(Busy):
    """Codes, tokens or addresses that led nowhere, too many in too short a time; ``seconds`` until the next try."""

    reason = "TOO_MANY_ATTEMPTS"

    def __init__(self, seconds: float) -> None:
        super().__init__("Too many codes, invitations or addresses were not found; try again later")
        self.retry_seconds = seconds


class TooManyRefusals(Busy):
    """Calls of one method that were refused, too many of them in too short a time; ``seconds`` until the next try."""

    reason = "TOO_MANY_REFUSALS"

    def __init__(self, seconds: float) -> None:
        super().__init__("Too many of these calls were refused; try again later")
        self.retry_seconds = seconds


class TooFarBehind(Busy):
    """This server has to catch up with the database before it may decide a write."""

    reason = "TOO_FAR_BEHIND"

    def __init__(self) -> None:
        super().__init__("This server is catching up with the database; try again")


class TooManyStreams(Busy):
    """As many clients watch this server as may."""

    reason = "TOO_MANY_STREAMS"

    def __init__(self) -> None:
        super().__init__("Too many streams are open at this server; try another one, or later")


class ConsumerTooSlow(Busy):
    """A client that watches does not take in what it is told; it may resume from where it was."""

    reason = "CONSUMER_TOO_SLOW"

    def __init__(self) -> None:
        super().__init__("Messages were not taken in fast enough; resume from the last revision taken in")


class RevisionPruned(Refused):
    """What followed a revision is not kept any more: changes are kept for 24 hours."""

    reason = "REVISION_PRUNED"

    def __init__(self) -> None:
        super().__init__("What followed this revision is not kept any more; read everything anew")


class Unavailable(Refused):
    """The server cannot answer from a state it trusts; never an allow."""

    reason = "UNAVAILABLE"

    def __init__(self, sentence: str = "The service is not available; try again", *, cause: str = "") -> None:
        super().__init__(sentence)
        self.cause = cause
        """What is wrong, for those who run the server; callers do not get it."""


class Unusable(Exception):
    """Something that this program cannot work with as it is set up; ``str()`` says what, to those who run it."""


class AuditKeyMissing(Unavailable):
    """The audit is signed with a key from outside the database that this process does not have: it must not write."""

    reason = "AUDIT_KEY_MISSING"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"The audit is signed with the key {key_id}, which this process lacks; see WSAUTHZ_AUDIT_KEY")
