"""The first start: secrets and certificate, made once and handed to their readers alone."""

import contextlib
import io
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from deploy.first_start import SECRETS, FirstStartError, main, prepare

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
NAMES = ["centre.county.example", "10.1.2.3"]


def everything(root: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()
    }


def server(root: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((root / "secrets-proxy/server.pem").read_bytes())


def test_first_start_makes_what_every_reader_needs(tmp_path: Path) -> None:
    prepare(tmp_path, NAMES, NOW)
    made = everything(tmp_path)
    assert {file for _, files in SECRETS for file in files} < set(made)
    for file in tmp_path.rglob("*"):
        mode = stat.S_IMODE(file.stat().st_mode)
        assert mode == (0o700 if file.is_dir() else 0o600), file
    for size, (first, *others) in SECRETS:
        assert len(made[first]) == 2 * size
        assert all(made[other] == made[first] for other in others)
    assert len({made[files[0]] for _, files in SECRETS}) == len(SECRETS)


def test_two_counties_share_no_secret(tmp_path: Path) -> None:
    prepare(tmp_path / "a", NAMES, NOW)
    prepare(tmp_path / "b", NAMES, NOW)
    assert not set(everything(tmp_path / "a").values()) & set(everything(tmp_path / "b").values())


def test_second_start_overwrites_nothing(tmp_path: Path) -> None:
    prepare(tmp_path, NAMES, NOW)
    before = everything(tmp_path)
    prepare(tmp_path, NAMES, NOW + timedelta(days=300))
    assert everything(tmp_path) == before


def test_reader_who_lost_its_folder_gets_the_same_secret_again(tmp_path: Path) -> None:
    prepare(tmp_path, NAMES, NOW)
    before = everything(tmp_path)
    (tmp_path / "secrets-db/database-password").unlink()
    (tmp_path / "trust/ca.pem").unlink()
    prepare(tmp_path, NAMES, NOW)
    assert everything(tmp_path) == before


def test_two_readers_who_disagree_are_not_overruled(tmp_path: Path) -> None:
    prepare(tmp_path, NAMES, NOW)
    (tmp_path / "secrets-db/database-password").write_bytes(b"by hand")
    before = everything(tmp_path)
    with pytest.raises(FirstStartError, match="database-password differs"):
        prepare(tmp_path, NAMES, NOW)
    assert everything(tmp_path) == before
    assert main([str(tmp_path)]) == 1


def test_start_cut_short_is_taken_up_again(tmp_path: Path) -> None:
    prepare(tmp_path, NAMES, NOW)
    # Power failed between the authority's key and its certificate.
    for file in ("authority/ca.pem", "trust/ca.pem", "secrets-proxy/server.pem"):
        (tmp_path / file).unlink()
    prepare(tmp_path, NAMES, NOW)
    authority = x509.load_pem_x509_certificate((tmp_path / "trust/ca.pem").read_bytes())
    server(tmp_path).verify_directly_issued_by(authority)


def test_certificate_is_for_the_names_given_and_this_machine(tmp_path: Path) -> None:
    prepare(tmp_path, NAMES, NOW)
    told = server(tmp_path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(told.get_values_for_type(x509.DNSName)) == {"proxy", "localhost", NAMES[0]}
    assert {str(ip) for ip in told.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", NAMES[1]}
    ssl.create_default_context(cafile=tmp_path / "trust/ca.pem")


def test_certificate_is_renewed_before_it_ends_and_the_authority_stays(tmp_path: Path) -> None:
    prepare(tmp_path, NAMES, NOW)
    trusted, first = (tmp_path / "trust/ca.pem").read_bytes(), server(tmp_path)
    later = first.not_valid_after_utc - timedelta(days=89)
    prepare(tmp_path, NAMES, later)
    second = server(tmp_path)
    assert second.not_valid_after_utc > first.not_valid_after_utc
    assert second.public_key() != first.public_key()
    assert (tmp_path / "trust/ca.pem").read_bytes() == trusted
    second.verify_directly_issued_by(x509.load_pem_x509_certificate(trusted))


def test_new_name_of_the_centre_makes_a_new_certificate(tmp_path: Path) -> None:
    prepare(tmp_path, NAMES, NOW)
    first = server(tmp_path)
    prepare(tmp_path, [*NAMES, "second.example"], NOW)
    assert server(tmp_path).serial_number != first.serial_number


def test_nothing_is_printed(tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert main([str(tmp_path), "--name", "a.example,b.example"]) == 0
    assert out.getvalue() == err.getvalue() == ""
