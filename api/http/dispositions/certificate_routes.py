"""Destruction certificates (销毁证明) on paper; the signed document is `routes.py`'s."""

from fastapi import APIRouter, Response

from api.http.dispositions.routes import of_visitor
from api.http.schemas import Id
from api.http.security import ServiceHere, VisitorHere
from api.office.printed.certificates import print_certificate, read_signed_certificate
from policies.access.access import Act

router = APIRouter(tags=["keeping"])


@router.get(
    "/dispositions/{disposition}/certificate.pdf",
    responses={200: {"description": "The certificate", "content": {"application/pdf": {}}}},
)
def get_certificate_pdf(disposition: Id, service: ServiceHere, visitor: VisitorHere) -> Response:
    """Return the certificate as a PDF in Chinese, made from the signed one after it verified."""
    row = of_visitor(service, visitor, disposition, Act.SEE_KEEPING)
    pdf = print_certificate(service.office, read_signed_certificate(service.office, row.id))
    name = f'inline; filename="certificate-{row.id}.pdf"'
    return Response(pdf, media_type="application/pdf", headers={"Content-Disposition": name})
