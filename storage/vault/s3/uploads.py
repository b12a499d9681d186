"""Writing to an S3 bucket: the seven requests that the SDK's public calls cannot make.

Its `put_object` decides by itself how an object is cut, keeps the id of an upload to itself, and
over TLS leaves the body unsigned (docs/adr/0021). Here each call is one request, under the
SHA-256 of its body, signed. Amazon S3 API Reference: PutObject, CreateMultipartUpload, UploadPart,
CompleteMultipartUpload, AbortMultipartUpload, ListParts, ListMultipartUploads.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from urllib.parse import SplitResult, unquote_plus
from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

from storage.digest import Digest
from storage.errors import StoreUnavailableError
from storage.vault.objects import Block
from storage.vault.s3.address import S3Key
from storage.vault.s3.refusals import Act, Refusal
from storage.vault.s3.signature import S3Request, sign_request
from storage.vault.s3.transport import NOT_S3, Pool, Response, translate_network_errors

Clock = Callable[[], datetime]

_SUCCESSES = {HTTPStatus.OK, HTTPStatus.NO_CONTENT}


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in parts that nobody has joined, as listed; `begun_at` by the server's clock."""

    key: str
    handle: str
    begun_at: datetime | None


@dataclass(frozen=True, slots=True)
class UploadPage:
    """One page of a bucket's unjoined uploads; the next one begins after `next_key`."""

    uploads: Sequence[Upload]
    next_key: str | None


@dataclass(frozen=True, slots=True)
class S3Uploads:
    """What writes to one bucket. Safe for many threads. Every error is a VaultError.

    `find_url` returns the bucket's own URL, its path ending in a slash; asked at every request.
    """

    bucket: str
    key: S3Key
    region: str
    pool: Pool
    find_url: Callable[[], SplitResult]
    clock: Clock

    def send_object(self, key: str, block: Block, digest: Digest) -> str | None:
        """Send a whole object; return its version's id, None where the answer names none."""
        response = self._send(Act.WRITE, "PUT", key, body=block, digest=digest)
        return _version_in(response)

    def begin_upload(self, key: str) -> str:
        """Begin an upload in parts; return its handle."""
        headers = {"Content-Type": "application/octet-stream"}
        response = self._send(Act.WRITE, "POST", key, {"uploads": ""}, headers=headers)
        with translate_network_errors(self.bucket, key):
            handle = _text_of(_read_document(response), "UploadId")
        if not handle:
            raise StoreUnavailableError(key=key, problem=NOT_S3)
        return handle

    def send_part(self, key: str, block: Block, handle: str, number: int, *, digest: Digest) -> str:
        """Send one part; return its entity tag, by which it is joined."""
        query = {"partNumber": str(number), "uploadId": handle}
        response = self._send(Act.WRITE, "PUT", key, query, body=block, digest=digest)
        tag = response.headers.get("etag", "").replace('"', "")
        if not tag:
            raise StoreUnavailableError(key=key, problem=NOT_S3)
        return tag

    def join_parts(self, key: str, handle: str, tags: Sequence[str]) -> str | None:
        """Join the parts with these tags, numbered from 1; return the id of the version made.

        A server may begin with 200 and fail after that, in the document: so whoever calls this
        looks at what is kept then, whatever was answered.
        """
        document = Element("CompleteMultipartUpload")
        for number, tag in enumerate(tags, 1):
            part = SubElement(document, "Part")
            SubElement(part, "PartNumber").text = str(number)
            SubElement(part, "ETag").text = f'"{tag}"'
        body = tostring(document)
        headers = {"Content-Type": "application/xml"}
        response = self._send(
            Act.WRITE, "POST", key, {"uploadId": handle}, headers=headers, body=body
        )
        with translate_network_errors(self.bucket, key):
            _read_document(response)
        return _version_in(response)

    def abort_upload(self, key: str, handle: str) -> None:
        """Forget an upload and its parts. Raises: ObjectMissingError when there is none."""
        self._send(Act.WRITE, "DELETE", key, {"uploadId": handle})

    def check_upload(self, key: str, handle: str) -> None:
        """Find out whether an upload is there. Raises: ObjectMissingError when it is not."""
        self._send(Act.READ, "GET", key, {"uploadId": handle, "max-parts": "1"})

    def list_uploads(self, after: str | None) -> UploadPage:
        """Return a page of the bucket's unjoined uploads, of keys that come after that one."""
        query = {"uploads": "", "delimiter": "", "prefix": "", "max-uploads": "1000"}
        query |= {"encoding-type": "url"} | ({"key-marker": after} if after else {})
        response = self._send(Act.READ, "GET", "", query)
        with translate_network_errors(self.bucket):
            return _read_page(_read_document(response))

    def _send(
        self,
        act: Act,
        method: str,
        key: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: Block = b"",
        digest: Digest | None = None,
    ) -> Response:
        """Sign and send one request; return what the server answered, if it did what was asked."""
        with translate_network_errors(self.bucket, key):
            url = self.find_url()
            request = S3Request(
                method,
                url.netloc,
                f"{url.path}{key}",
                digest or Digest.compute(body),
                query or {},
                headers or {},
            )
            target = url._replace(path=request.encoded_path, query=request.encoded_query)
            # urllib3 sends the very same headers again with a retry; they hold for 15 minutes.
            response = self.pool.urlopen(
                method,
                target.geturl(),
                body=body or None,
                headers=sign_request(request, self.key, self.region, self.clock()),
            )
            if response.status in _SUCCESSES:
                return response
            refusal = _read_refusal(response)
        raise refusal.to_error(act, self.bucket, key)


def _read_refusal(response: Response) -> Refusal:
    """Read what the server says against it. Raises: ValueError, ParseError: not a server of S3.

    A proxy's page has a status of its own, which says nothing of the store: only a document counts.
    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/xml":
        raise ValueError(NOT_S3)
    document = _read_document(response)
    return Refusal(_text_of(document, "Code"), response.status, _text_of(document, "Message"))


def _read_document(response: Response) -> Element:
    """Read an answer's document. Raises: ParseError.

    The standard parser will do: expat (2.4.1 and later) bounds what entities grow to, and it opens
    no address that a document names.
    """
    return fromstring(response.data or b"")  # noqa: S314 - told above


def _read_page(document: Element) -> UploadPage:
    """Read a list of uploads. Raises: ValueError."""
    encoded = _text_of(document, "EncodingType") == "url"

    def read_key(element: Element, name: str) -> str:
        text = _text_of(element, name)
        return unquote_plus(text) if encoded else text

    uploads = [
        Upload(
            read_key(element, "Key"),
            _text_of(element, "UploadId"),
            _parse_moment(begun) if (begun := _text_of(element, "Initiated")) else None,
        )
        for element in document.iterfind("{*}Upload")
    ]
    has_more = _text_of(document, "IsTruncated").lower() == "true"
    return UploadPage(uploads, (read_key(document, "NextKeyMarker") or None) if has_more else None)


def _parse_moment(text: str) -> datetime:
    """Parse a time with its zone, of any number of digits. Raises: ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(NOT_S3)
    return moment


def _text_of(element: Element, name: str) -> str:
    """Return the text of a child, in whichever namespace: servers differ; "" if there is none."""
    return element.findtext(f"{{*}}{name}", "").strip()


def _version_in(response: Response) -> str | None:
    return response.headers.get("x-amz-version-id") or None
