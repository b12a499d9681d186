"""Holds (冻结): who places one, and for which authority.

A hold lies on a recording, an action, a case or a party, and reaches whatever is linked to it,
now or later. Several may lie on one thing; each ends by itself, by two persons of the authority
that placed it (`policies/retention/releases.py`). Source: 兴隆县指导意见 第十六, 十八条.
"""

from policies.access.access import Person, Role

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


def is_proceeding(authority: str) -> bool:
    """Tell whether an authority is a complaint, reconsideration or lawsuit."""
    return authority.startswith(_PROCEEDING)


def township_of(authority: str) -> str | None:
    """Return the township that an authority stands for; None where it is no township's."""
    own = authority.startswith(_TOWNSHIP)
    return authority.removeprefix(_TOWNSHIP) if own else None


def authority_zh(authority: str) -> str:
    """Return how an authority is named on a screen."""
    if authority == COUNTY:
        return "县司法行政部门"
    if authority.startswith(_TOWNSHIP):
        return f"{authority.removeprefix(_TOWNSHIP)}人民政府"
    return "案件程序(答复后由两人解除)"
