"""A disposition's certificate, for every face: as it was signed, and on paper."""

from api.office.printed.certificate_pdf import render_certificate
from api.office.wiring import Office
from api.problems import ApiError
from storage.catalogue.retention import dispositions


def read_signed_certificate(office: Office, disposition_id: str) -> bytes:
    """Return the signed certificate. Raises: NotFoundError, ApiError(no-certificate)."""
    with office.catalogue.read() as session:
        row = dispositions.get_disposition(session, disposition_id)
    if row.certificate is None:
        raise ApiError("no-certificate", disposition=row.id)
    return row.certificate.encode()


def print_certificate(office: Office, certificate: bytes) -> bytes:
    """Return a signed certificate as a PDF. Raises: SignatureError, FontMissingError."""
    key = office.ring.get_verify_key("centre")
    return render_certificate(certificate, (key,), office.settings.certificate_font)
