"""Addresses of S3 buckets: what is read from them, and what is refused."""

from pathlib import Path

import pytest

from storage.errors import StoreSetupError
from storage.vault.s3.address import S3Address, S3Key


def test_an_address_is_tls_unless_it_says_otherwise():
    found = S3Address.parse("s3://objects.county.example:9000/liuhen", Path("ca.pem"))
    assert found == S3Address("objects.county.example:9000", "liuhen", ca=Path("ca.pem"))
    assert found.endpoint == "https://objects.county.example:9000"
    plain = S3Address.parse("s3://127.0.0.1:7480/liuhen?secure=false&region=cn-north-1")
    assert (plain.endpoint, plain.region) == ("http://127.0.0.1:7480", "cn-north-1")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://host/bucket",
        "s3:///bucket",
        "s3://host",
        "s3://host/Bucket",
        "s3://host/a/b",
        "s3://host/ab..cd",
        "s3://key:secret@host/bucket",
        "s3://host/bucket?secure=maybe",
        "s3://host/bucket?tls=off",
        "s3://host:port/bucket",
    ],
)
def test_another_address_is_refused(url):
    with pytest.raises(StoreSetupError) as caught:
        S3Address.parse(url)
    assert caught.value.facts["mend"].startswith("s3://")
    assert "secret" not in str(caught.value)


def test_a_secret_is_never_printed():
    assert "hidden" not in repr(S3Key("access", "hidden"))
