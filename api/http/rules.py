"""The rules in force, with the articles they come from."""

from fastapi import APIRouter

from api.http.schemas import RuleOut
from api.http.security import ServiceHere, VisitorHere
from api.problems import ApiError
from policies.rules.rulebook import explain

router = APIRouter(tags=["rules"])


@router.get("/rules")
def rules(service: ServiceHere, _visitor: VisitorHere) -> list[RuleOut]:
    """Return every rule that is in force now."""
    office = service.office
    told = [explain(office.rulebook, rule.id) for rule in office.rulebook.in_force(office.clock())]
    return [RuleOut(**one) for one in told if one]


@router.get("/rules/{rule}")
def rule(rule: str, service: ServiceHere, _visitor: VisitorHere) -> RuleOut:
    """Explain one rule."""
    told = explain(service.office.rulebook, rule)
    if told is None:
        raise ApiError("not-found", what="rule", id=rule[:80])
    return RuleOut(**told)
