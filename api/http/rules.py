"""The rules in force, with the articles they come from."""

from fastapi import APIRouter

from api.http.schemas import RuleOut
from api.http.security import ServiceHere, VisitorHere
from api.problems import ApiError
from policies.rules.rulebook import explain_rule

router = APIRouter(tags=["rules"])


@router.get("/rules")
def list_rules(service: ServiceHere, _visitor: VisitorHere) -> list[RuleOut]:
    """Return every rule that is in force now."""
    office = service.office
    explanations = [
        explain_rule(office.rulebook, rule.id) for rule in office.rulebook.in_force(office.clock())
    ]
    return [RuleOut(**explanation) for explanation in explanations if explanation]


@router.get("/rules/{rule}")
def get_rule(rule: str, service: ServiceHere, _visitor: VisitorHere) -> RuleOut:
    """Explain one rule."""
    explanation = explain_rule(service.office.rulebook, rule)
    if explanation is None:
        raise ApiError("not-found", what="rule", id=rule[:80])
    return RuleOut(**explanation)
