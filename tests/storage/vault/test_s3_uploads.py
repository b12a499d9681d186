"""Answers of servers to our own requests, as servers differ: read from bytes, without a server."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
import urllib3

from storage.digest import Digest
from storage.errors import (
    ObjectMissingError,
    StorageFullError,
    StoreRefusedError,
    StoreUnavailableError,
    VaultError,
)
from storage.vault.s3.address import S3Address, S3Key
from storage.vault.s3.client import S3Client
from storage.vault.s3.uploads import S3Uploads, Upload, UploadPage

KEY = "01900000-0000-7000-8000-000000000000/payload"
SPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class Canned:
    """A pool whose server gives one answer; what was asked is kept."""

    def __init__(self, body: bytes = b"", status: int = 200, **headers: str) -> None:
        self.asked = []
        told = {name.replace("_", "-"): text for name, text in headers.items()}
        self.response = urllib3.HTTPResponse(body=body, status=status, headers=told)

    def urlopen(self, method, url, **more):
        self.asked.append((method, url, more))
        return self.response


def uploads_to(pool: Canned, url: str = "https://s3.example.org/evidence/") -> S3Uploads:
    at = datetime(2026, 11, 29, tzinfo=UTC)
    return S3Uploads("evidence", S3Key("a", "b"), "r", pool, lambda: urlsplit(url), lambda: at)


def page_of(body: str) -> UploadPage:
    return uploads_to(Canned(body.encode())).list_uploads(None)


@pytest.mark.parametrize("space", ["", SPACE])
@pytest.mark.parametrize("digits", ["", ".5", ".500", ".500000000"])
def test_a_list_is_read_with_and_without_namespace_and_any_digits_of_a_second(space, digits):
    page = page_of(
        f"<ListMultipartUploadsResult {space}><IsTruncated>false</IsTruncated><Upload>"
        f"<Key>{KEY}</Key><UploadId>2~x</UploadId><Initiated>2026-11-29T01:02:03{digits}Z"
        "</Initiated></Upload></ListMultipartUploadsResult>"
    )
    begun = datetime(2026, 11, 29, 1, 2, 3, 500_000 if digits else 0, tzinfo=UTC)
    assert page == UploadPage([Upload(KEY, "2~x", begun)], None)


def test_a_list_whose_names_are_encoded_goes_on_after_the_last_of_them():
    page = page_of(
        "<R><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
        "<NextKeyMarker>a%2Fb+c</NextKeyMarker><Upload><Key>a%2Fb+c</Key><UploadId>u</UploadId>"
        "</Upload></R>"
    )
    assert page == UploadPage([Upload("a/b c", "u", None)], "a/b c")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html><p>portal",
        "<R><Upload><Initiated>yesterday</Initiated></Upload></R>",
        "<R><Upload><Initiated>2026-11-29T01:02:03</Initiated></Upload></R>",
    ],
)
def test_what_is_no_list_is_no_answer(body):
    with pytest.raises(StoreUnavailableError):
        page_of(body)


def answered(status: int, body: bytes, kind: str = "application/xml") -> VaultError:
    with pytest.raises(VaultError) as caught:
        uploads_to(Canned(body, status, content_type=kind)).send_object(
            KEY, b"x", Digest.compute(b"x")
        )
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "AccessDenied", StoreRefusedError),
        (403, "QuotaExceeded", StorageFullError),
        (404, "NoSuchUpload", ObjectMissingError),
        (400, "XAmzContentSHA256Mismatch", StoreUnavailableError),
        (503, "SlowDown", StoreUnavailableError),
        (507, "Whatever", StorageFullError),
        (418, "Whatever", VaultError),
    ],
)
def test_a_refusal_carries_the_servers_code_and_text(status, code, error):
    body = f"<Error><Code>{code}</Code><Message>so it is</Message></Error>".encode()
    told = answered(status, body, "application/xml;charset=utf-8")
    assert type(told) is error
    assert (told.facts["refusal"], told.facts["said"], told.facts["status"]) == (
        code,
        "so it is",
        status,
    )


@pytest.mark.parametrize("status", [301, 403, 404, 500, 503])
@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"<h1>proxy</h1>", "text/html"), (b"", "application/xml"), (b"<Error", "application/xml")],
)
def test_a_proxys_page_says_nothing_of_the_store(status, body, kind):
    assert type(answered(status, body, kind)) is StoreUnavailableError


def test_an_answer_without_what_was_asked_for_is_none():
    with pytest.raises(StoreUnavailableError):
        uploads_to(Canned(b"<html/>")).begin_upload(KEY)
    with pytest.raises(StoreUnavailableError):
        uploads_to(Canned()).send_part(KEY, b"x", "u", 1, digest=Digest.compute(b"x"))
    assert uploads_to(Canned()).send_object(KEY, b"x", Digest.compute(b"x")) is None


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("10.0.0.7:7480", "https://10.0.0.7:7480/evidence/"),
        ("s3.amazonaws.com", "https://evidence.s3.cn-north-1.amazonaws.com/"),
        ("oss-cn-beijing.aliyuncs.com", "https://evidence.oss-cn-beijing.aliyuncs.com/"),
    ],
)
def test_what_we_send_ourselves_goes_where_the_sdk_sends_the_rest(host, url):
    """Amazon and Aliyun want the bucket's name before the host's, others in the path."""
    address = S3Address(host, "evidence", region="cn-north-1")
    client = S3Client(address, S3Key("a", "b"), lambda: datetime.now(UTC), 1.0)
    assert client.uploads.find_url().geturl() == url


def test_a_request_goes_to_the_key_under_the_buckets_address():
    pool = Canned(etag='"tag"')
    url = "https://evidence.oss-cn-beijing.aliyuncs.com/"
    uploads_to(pool, url).send_part(KEY, b"part", "2~a/b+", 7, digest=Digest.compute(b"part"))
    ((method, sent_to, more),) = pool.asked
    assert (method, sent_to) == ("PUT", f"{url}{KEY}?partNumber=7&uploadId=2~a%2Fb%2B")
    assert more["body"] == b"part"
    assert more["headers"]["host"] == "evidence.oss-cn-beijing.aliyuncs.com"
