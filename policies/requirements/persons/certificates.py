"""Certificates: nobody's certificate has expired, or is about to unseen.

Source: 兴隆县指导意见 第二、四条 (持证上岗; 证件动态管理). Whether the officers at one action were
certified on that day is `officers`' business.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from policies.facts.facts import TownshipFacts, Trained
from policies.requirements.outcome import Deadline, Outcome, Scope
from policies.time.calendar import county_day, end_of_day


@dataclass(frozen=True, slots=True)
class Certificates:
    """Parameters: from how many days before its last day on a certificate is told."""

    scope: ClassVar[Scope] = Scope.TOWNSHIP
    warn_days: int = 60

    def list_deadlines(self, facts: TownshipFacts) -> tuple[tuple[Trained, Deadline], ...]:
        """Return until when each officer's certificate must be renewed; None: not registered."""
        return tuple(
            (officer, Deadline(end_of_day(until) if (until := officer.certificate_until) else None))
            for officer in facts.officers
        )

    def find_deadline(self, facts: TownshipFacts) -> Deadline | None:
        """Return the earliest certificate deadline, or None if no certificate ends."""
        deadlines = [
            deadline for _, deadline in self.list_deadlines(facts) if deadline.at is not None
        ]
        return min(
            deadlines,
            key=lambda deadline: deadline.at.timestamp() if deadline.at else 0.0,
            default=None,
        )

    def check_facts(self, facts: TownshipFacts) -> Outcome:
        """Name who has none, whose has expired, and whose soon will."""
        today = county_day(facts.at)
        warned = today + timedelta(days=self.warn_days)
        none = [officer for officer in facts.officers if officer.certificate_until is None]
        certificates = [
            (officer, officer.certificate_until)
            for officer in facts.officers
            if officer.certificate_until
        ]
        expired = [(officer, until) for officer, until in certificates if until < today]
        soon = [(officer, until) for officer, until in certificates if today <= until <= warned]
        details = {
            "officers": len(facts.officers),
            "none": [officer.id for officer in none],
            "expired": {officer.id: until.isoformat() for officer, until in expired},
            "expiring": {officer.id: until.isoformat() for officer, until in soon},
        }
        if not none and not expired and not soon:
            return Outcome(
                passed=True,
                message_zh=f"{len(facts.officers)} 名执法人员的证件均在有效期内,"
                f"{self.warn_days} 日内无到期。",
                message_en=f"All {len(facts.officers)} certificates are valid for more than "
                f"{self.warn_days} days.",
                facts=details,
            )
        groups = [
            (
                "未登记证件或者有效期",
                "no certificate or no last day",
                [officer.name for officer in none],
            ),
            ("证件已过期", "expired", [f"{officer.name}({until})" for officer, until in expired]),
            (
                f"{self.warn_days} 日内到期",
                f"ending within {self.warn_days} days",
                [f"{officer.name}({until})" for officer, until in soon],
            ),
        ]
        return Outcome(
            passed=False,
            message_zh=";".join(f"{zh}:{'、'.join(names)}" for zh, _, names in groups if names)
            + "。",
            message_en="; ".join(f"{en}: {', '.join(names)}" for _, en, names in groups if names)
            + ".",
            mend_zh="请申请换发证件并更新人员名册;过期期间不得上岗执法。",
            mend_en="Apply for a new certificate and mend the register; "
            "nobody may enforce without one.",
            facts=details,
        )
