"""Explains a case on the command line: why it may, or may not, go on."""

from api.cli.terminal import ERR, OUT, say_json
from api.http.case_file.findings import explanation_lines, present_explanation
from api.office.settings.settings import Settings
from api.office.wiring import Office
from api.problems import ApiError
from storage.catalogue.cases import cases
from storage.catalogue.tables import CaseRow
from storage.errors import NoOfficeError


def explain_case(settings: Settings, name: str, *, as_json: bool) -> None:
    """Explain a case by its number or id. Raises: ApiError(not-found), NoOfficeError."""
    try:
        office = Office.open(settings)
    except NoOfficeError:
        ERR.print(f"没有这条规则 no such rule: {name[:80]}", markup=False)
        raise
    try:
        with office.catalogue.read() as session:
            row = cases.case_by_number(session, name) or session.get(CaseRow, name)
            if row is None:
                raise ApiError("not-found", what="rule or case", id=name[:80])
            case_explanation = present_explanation(session, row, office.rulebook, office.clock())
            if as_json:
                say_json(case_explanation.model_dump(mode="json"))
            else:
                OUT.print("\n".join(explanation_lines(session, case_explanation)), markup=False)
    finally:
        office.close()
