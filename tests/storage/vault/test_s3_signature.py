"""Our Signature Version 4 against the examples that Amazon publishes, and against the SDK's.

Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload
in a Single Chunk", examples 1 to 4.
"""

from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minio.credentials import Credentials
from minio.signer import sign_v4_s3

from storage.digest import Digest
from storage.vault.s3.address import S3Key
from storage.vault.s3.signature import S3Request, sign_request

KEY = S3Key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
AT = datetime(2013, 5, 24, tzinfo=UTC)
HOST = "examplebucket.s3.amazonaws.com"
EMPTY = Digest.compute(b"")
EXAMPLES = {
    "get-object": (
        S3Request("GET", HOST, "/test.txt", EMPTY, headers={"Range": "bytes=0-9"}),
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "put-object": (
        S3Request(
            "PUT",
            HOST,
            "/test$file.text",
            Digest.compute(b"Welcome to Amazon S3."),
            headers={
                "Date": "Fri, 24 May 2013 00:00:00 GMT",
                "x-amz-storage-class": "REDUCED_REDUNDANCY",
            },
        ),
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    "get-bucket-lifecycle": (
        S3Request("GET", HOST, "/", EMPTY, {"lifecycle": ""}),
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "list-objects": (
        S3Request("GET", HOST, "/", EMPTY, {"prefix": "J", "max-keys": "2"}),
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_amazons_examples_have_amazons_signatures(example):
    request, names, signature = EXAMPLES[example]
    headers = sign_request(request, KEY, "us-east-1", AT)
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={names},Signature={signature}"
    )


def test_a_clock_of_another_zone_signs_by_utc():
    request, _names, signature = EXAMPLES["get-object"]
    at = AT.astimezone(timezone(timedelta(hours=8)))
    assert signature in sign_request(request, KEY, "us-east-1", at)["authorization"]


NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=0x4E10), min_size=1, max_size=12)


@given(
    query=st.dictionaries(NAMES, st.text("abc ~+/=&%é证", max_size=9), max_size=4),
    body=st.binary(max_size=20),
    path=st.text("az09-._~/$ 证", max_size=20),
)
def test_the_sdk_signs_every_request_alike(query, body, path):
    request = S3Request("PUT", HOST, f"/{path}", Digest.compute(body), query)
    headers = sign_request(request, KEY, "us-east-1", AT)
    url = urlsplit(f"https://{HOST}")._replace(
        path=request.encoded_path, query=request.encoded_query
    )
    theirs = sign_v4_s3(
        method="PUT",
        url=url,
        region="us-east-1",
        headers={name: text for name, text in headers.items() if name != "authorization"},
        credentials=Credentials(KEY.access, KEY.secret),
        content_sha256=request.digest.hex,
        date=AT,
    )
    assert theirs["Authorization"].replace(", ", ",") == headers["authorization"]
