"""AuthorizationService: requests to arguments, decisions to messages. Runs on the event loop; nothing here waits."""

from collections.abc import Container

from wsauthz.metrics import Metrics
from wsauthz.model.errors import InvalidArgument
from wsauthz.model.identifiers import LONGEST_ID, check_id, check_user_id, is_resource_id
from wsauthz.model.places import PLATFORM, PlaceKey
from wsauthz.policy.access import provenance
from wsauthz.policy.catalog import Reason
from wsauthz.policy.decision import Decision, decide
from wsauthz.policy.explain import matched, steps
from wsauthz.policy.facts import Facts
from wsauthz.policy.question import Question, is_unknown
from wsauthz.policy.remedies import remedy
from wsauthz.policy.ruleset import Ruleset
from wsauthz.replica.replica import Replica
from wsauthz.rpc.decisions import (
    Answers,
    DecisionIds,
    Remembered,
    remedy_message,
    step,
    timestamp,
    trace,
)
from wsauthz.rpc.denials import Denials
from wsauthz.rpc.running import on_loop
from wsauthz.tenancy.able_users import able_users
from wsauthz.tenancy.transaction import Caller
from wsauthz.v1 import authorization_pb2 as pb

Asked = pb.CheckRequest | pb.BatchCheckItem | pb.GetAccessRequest | pb.LookupSubjectsRequest


class AuthorizationService:
    """Answers from the replica's facts."""

    def __init__(self, replica: Replica, metrics: Metrics, ids: DecisionIds) -> None:
        self.replica = replica
        self.metrics = metrics
        self.denials = Denials()
        self.answers = Answers()
        self.ids = ids

    @on_loop
    def Check(self, request: pb.CheckRequest, by: Caller) -> pb.CheckResponse:
        """Answer one question."""
        if request.include_trace or request.include_remedy:
            return self._answer_at_length(request, by)
        replica = self.replica
        answers = self.answers.under(replica.facts, replica.policy.bundle, replica.token)
        workspace_id = request.workspace_id
        asked = (request.subject, workspace_id, request.resource, request.action, request.required_module)
        found = answers.get(asked) if workspace_id else None
        if found is None:
            decision = self._decide(request)
            found = Remembered(self._message(request, decision), decision.reason or "")
            if self._is_kept(request, decision):
                answers[asked] = found
        self.metrics.decisions[found.reason] += 1
        response = pb.CheckResponse()
        response.CopyFrom(found.response)
        response.decision_id = self.ids.next()
        return response

    def _answer_at_length(self, request: pb.CheckRequest, by: Caller) -> pb.CheckResponse:
        """Answer with what the request includes: how the answer came about, who can change it."""
        decision = self._decide(request)
        self.metrics.decisions[decision.reason or ""] += 1
        response = self._message(request, decision)
        response.decision_id = self.ids.next()
        if request.include_trace:
            self._trace(request, decision, response)
        if request.include_remedy and not decision.allowed:
            self._who_can_fix(request, decision, response, by.actor)
        return response

    def _decide(self, request: pb.CheckRequest) -> Decision:
        facts, rules, subject, resource = self.replica.facts, self.replica.rules, request.subject, request.resource
        check_asked(facts, rules, subject, resource, request.required_module)
        return decide(
            facts,
            rules,
            self.replica.now(),
            subject=subject,
            place=place_of(request, facts.places),
            resource=resource,
            action=request.action,
            required_module=request.required_module,
        )

    def _is_kept(self, request: pb.CheckRequest, decision: Decision) -> bool:
        """Tell whether an answer may be given again: time does not change it, and no name in it is the caller's own."""
        facts, rules, subject = self.replica.facts, self.replica.rules, request.subject
        return (
            decision.place is not None
            and decision.place.key[0] == "workspace"
            and not decision.depends_on_time
            and request.resource in rules.actions
            and not is_unknown(rules, request.required_module)
            and (subject in facts.grants or subject in facts.users)
        )

    def _message(self, request: pb.CheckRequest, decision: Decision) -> pb.CheckResponse:
        """Return the answer without a decision id, as the facts and the bundle are now."""
        bundle = self.replica.policy.bundle
        response = pb.CheckResponse(
            decision=pb.DECISION_ALLOW if decision.allowed else pb.DECISION_DENY,
            revision=self.replica.token,
            policy_version=bundle.version,
            warnings=decision.warnings,
        )
        if decision.valid_until is not None:
            response.valid_until.CopyFrom(timestamp(decision.valid_until))
        if not decision.allowed:
            facts, now = self.replica.facts, self.replica.now()
            asked = {"subject": request.subject, "resource": request.resource, "action": request.action}
            asked["required_module"] = request.required_module
            if warning := self.denials.write(response.denial, facts, bundle.rules, now, decision, **asked):
                response.warnings.append(warning)
        return response

    @on_loop
    def Explain(self, request: pb.ExplainRequest, by: Caller) -> pb.ExplainResponse:
        """Answer one question with everything that was considered."""
        check = pb.CheckRequest()
        check.CopyFrom(request.check)
        check.include_trace = check.include_remedy = True
        answer = self.Check(check, by)
        replica = self.replica
        facts, rules, now = replica.facts, replica.rules, replica.now()
        question = {"resource": check.resource, "action": check.action, "required_module": check.required_module}
        decision = decide(facts, rules, now, subject=check.subject, place=place_of(check), **question)
        taken = steps(facts, rules, now, decision, subject=check.subject, **question)
        return pb.ExplainResponse(check=answer, steps=[step(each) for each in taken])

    def _trace(self, request: pb.CheckRequest, decision: Decision, response: pb.CheckResponse) -> None:
        at = decision.place
        if at is None or Reason.USER_INACTIVE in decision.reasons:
            response.trace.SetInParent()
            return
        replica = self.replica
        facts, rules, now = replica.facts, replica.rules, replica.now()
        asked, object_id = rules.action(request.resource, request.action)
        question = Question(request.subject, at, asked, object_id, request.required_module)
        roles = provenance(facts, rules, now, request.subject, at)
        response.trace.CopyFrom(trace(roles, matched(facts, rules, now, question)))

    def _who_can_fix(
        self, request: pb.CheckRequest, decision: Decision, response: pb.CheckResponse, asker: str
    ) -> None:
        facts, rules, now = self.replica.facts, self.replica.rules, self.replica.now()
        asked = {"subject": request.subject, "resource": request.resource, "action": request.action}
        fix = remedy(facts, rules, now, decision, **asked, required_module=request.required_module)
        asker = asker or request.subject
        users = able_users(facts, rules, now, found=fix, subject=request.subject, asker=asker)
        response.denial.remedy.CopyFrom(remedy_message(fix, users))


def check_asked(facts: Facts, rules: Ruleset, subject: str, resource: str, required_module: str) -> None:
    """Return if what a question names may be asked about; nothing is looked at that is known to be proper.

    Raises:
        InvalidArgument: the resource or the subject is malformed, or the required module too long.

    """
    if required_module and required_module not in rules.catalog.modules:
        check_module(required_module)
    if resource not in rules.actions:
        check_resource(resource)
    if subject not in facts.grants:  # who is a member somewhere has a proper id
        check_user_id("subject", subject)


def check_module(name: str) -> str:
    """Return the name of a required module unchanged; whether there is such a module is the engine's business.

    Raises:
        InvalidArgument: it is longer than an id.

    """
    if len(name) > LONGEST_ID:
        raise InvalidArgument("required_module", f"must be at most {LONGEST_ID} characters long")
    return name


def place_of(request: Asked, known: Container[PlaceKey] = ()) -> PlaceKey | None:
    """Return the place a request names; None for none or an empty id. Known ones have proper ids.

    Raises:
        InvalidArgument: the id is malformed.

    """
    workspace_id = request.workspace_id
    if workspace_id:
        key: PlaceKey = ("workspace", workspace_id)
        if key not in known:
            check_id("workspace_id", workspace_id)
        return key
    if request.organization_id:
        return ("organization", check_id("organization_id", request.organization_id))
    return PLATFORM if request.platform else None


def check_resource(resource: str) -> str:
    """Return the resource unchanged; whether its type exists is the engine's business.

    Raises:
        InvalidArgument: it is empty, or what comes after the slash is no id.

    """
    kind, slash, object_id = resource.partition("/")
    if not kind:
        raise InvalidArgument("resource", "is required")
    if slash and not is_resource_id(object_id):
        raise InvalidArgument("resource", "an id is 1 to 256 printable ASCII characters without quotes, commas, # or *")
    return resource
