"""Holds (冻结): who places one, and who alone may release it.

A hold lies on a recording, an action, a case or a party, and reaches whatever is linked to it,
now or later. Several may lie on one thing; each is released by the authority that placed it and
by nobody else. Source: 兴隆县指导意见 第十六, 十八条.
"""

from policies.access import Person, Role

COUNTY = "county"
_PROCEEDING, _TOWNSHIP = "proceeding:", "township:"


def of_proceeding(proceeding: str) -> str:
    """Return the authority of a complaint, reconsideration or lawsuit: itself."""
    return f"{_PROCEEDING}{proceeding}"


def of_person(person: Person) -> str | None:
    """Return the authority for which a person places and releases holds by hand; None: for none.

    The head stands for the township, a reviewer for the county justice bureau.
    """
    if person.role is Role.REVIEWER:
        return COUNTY
    if person.role is Role.HEAD and person.township is not None:
        return f"{_TOWNSHIP}{person.township}"
    return None


def may_release(placed_by: str, asking: str | None) -> bool:
    """Tell whether this authority may release a hold that the other placed."""
    return asking is not None and asking == placed_by


def authority_zh(authority: str) -> str:
    """Return how an authority is named on a screen."""
    if authority == COUNTY:
        return "县司法行政部门"
    if authority.startswith(_TOWNSHIP):
        return f"{authority.removeprefix(_TOWNSHIP)}人民政府"
    return "案件程序本身(答复后解除)"
