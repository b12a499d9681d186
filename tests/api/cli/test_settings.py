"""Settings that are wrong are named: variable or file and line, the value, what is allowed."""

import json
from pathlib import Path

import pytest

from api.cli.ports import console_url
from api.office.settings.reference import list_settings, render_reference
from api.office.settings.setting_errors import SettingsError, line_of
from api.office.settings.setting_texts import TEXTS
from api.office.settings.settings import Settings

ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LIUHEN_HOME", str(tmp_path))
    return tmp_path


def refused(home, text=""):
    (home / "liuhen.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refusal:
        Settings()
    return refusal.value.code, refusal.value.facts


def test_misspelt_key_is_refused_with_its_line_and_the_nearest_name(home):
    code, facts = refused(home, '# office\nstation = "a"\n\ncleer = "never"\n')
    assert (code, facts["line"], facts["key"], facts["near"]) == (
        "setting-unknown", 4, "cleer", ["clear"]
    )  # fmt: skip
    assert facts["file"] == str(home / "liuhen.toml")


def test_misspelt_key_of_a_camera_is_refused(home):
    camera = '[cameras.desk]\nurl = "rtsp://10.0.0.8/"\nroom = "室"\nwehn = "always"\n'
    code, facts = refused(home, camera)
    assert (code, facts["line"], facts["near"]) == ("setting-unknown", 4, ["when"])


def test_wrong_value_of_a_key_is_named_with_what_is_allowed(home):
    code, facts = refused(home, 'sm3 = true\nclear = "sometimes"\n')
    assert (code, facts["line"], facts["value"]) == ("setting-value", 2, "'sometimes'")
    assert facts["allowed_zh"] == "never, at-once, after-days"


@pytest.mark.parametrize(
    ("text", "line"), [("a = 1\nb = [\n", 2), ("a = 1\n\nstation = A B\n", 3), ("x", 1)]
)
def test_broken_toml_is_named_with_its_line(home, text, line):
    code, facts = refused(home, text)
    assert (code, facts["line"]) == ("settings-syntax", line)


def test_toml_that_is_no_utf_8_is_refused(home):
    (home / "liuhen.toml").write_bytes('county = "兴隆县"'.encode("gb18030"))
    with pytest.raises(SettingsError, match="UTF-8"):
        Settings()


@pytest.mark.parametrize(
    ("variable", "value"), [("LIUHEN_PORT", "ninety"), ("LIUHEN_BAYS", "{"), ("LIUHEN_CLEAR", "")]
)
def test_wrong_value_of_a_variable_is_named(home, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    code, facts = refused(home)
    assert (code, facts["variable"]) == ("variable-value", variable)
    assert facts["allowed_en"]


def test_misspelt_variable_is_refused_with_the_nearest_name(home, monkeypatch):
    monkeypatch.setenv("LIUHEN_PRT", "9")
    code, facts = refused(home)
    assert (code, facts["variable"]) == ("variable-unknown", "LIUHEN_PRT")
    assert facts["near"] == ["LIUHEN_PORT"]


def test_variables_of_compose_and_of_the_tests_are_known(home, monkeypatch):
    for name in ("CENTRE_NAMES", "PUBLISH", "MACHINE_STEPS", "PICTURES", "TEST_S3_URL", "VECTORS"):
        monkeypatch.setenv(f"LIUHEN_{name}", "1")
    assert Settings().home == home


def test_password_in_an_address_is_refused_and_not_repeated(home, monkeypatch):
    monkeypatch.setenv("LIUHEN_DATABASE_URL", "postgresql+psycopg://u:hunter2@h/d")
    _code, facts = refused(home)
    assert "hunter2" not in str(facts)
    assert "LIUHEN_DATABASE_PASSWORD_FILE" in facts["problem"]


def test_settings_of_another_home_are_read_without_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("LIUHEN_PRT", "9")
    assert Settings.of_home(tmp_path).port == 8743


def test_line_of_a_value_over_several_lines_is_its_first():
    text = 'a = 1\n[bays]\n\n"one" = """\nx\n"""\ntwo = "b"\n'
    assert line_of(text, ["bays", "one"]) == 4
    assert line_of(text, ["bays", "two"]) == 7
    assert line_of(text, ["bays", "missing"]) == 2
    assert line_of(text, ["nowhere"]) is None


def test_each_setting_says_where_it_came_from(home, monkeypatch):
    (home / "liuhen.toml").write_text('\nstation = "a"\nport = 1\n')
    monkeypatch.setenv("LIUHEN_PORT", "9")
    found = {one.name: (one.value, one.source) for one in list_settings(Settings())}
    assert found["station"] == ("a", "liuhen.toml:2")
    assert found["port"] == (9, "LIUHEN_PORT")
    assert found["clear"] == ("never", "default")
    assert json.dumps({name: value for name, (value, _source) in found.items()})


def test_reference_of_the_settings_is_current():
    assert set(TEXTS) == set(Settings.model_fields)
    assert (ROOT / "docs" / "SETTINGS.md").read_text(encoding="utf-8") == render_reference()


@pytest.mark.parametrize(
    ("told", "network"),
    [
        ("172.30.238.7", "172.30.238.7/32"),
        ("::ffff:172.30.238.0/120", "172.30.238.0/24"),
        ("::ffff:172.30.238.7", "172.30.238.7/32"),
        ("::/0", "::/0"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_proxys_network_is_understood_in_either_form(told, network, home):
    assert Settings(home=home, trusted_proxies=[told]).trusted_proxies == [network]


@pytest.mark.parametrize("place", ["ntp.test:0", "ntp.test:65536", "ntp.test:99999", "ntp.test:"])
def test_a_time_server_at_a_port_that_is_none_is_refused(place, home):
    code, facts = refused(home, f'time_servers = ["{place}"]\n')
    assert (code, facts["line"]) == ("setting-value", 1)


@pytest.mark.parametrize("place", ["ntp.test", "10.0.0.1:123", "ntp.test:65535"])
def test_a_time_server_is_named_with_or_without_its_port(place, home):
    assert Settings(home=home, time_servers=[place]).time_servers == [place]


@pytest.mark.parametrize(
    ("host", "certificate", "url"),
    [
        ("127.0.0.1", None, "http://127.0.0.1:8743/"),
        ("centre.test", Path("centre.pem"), "https://centre.test:8743/"),
        ("::1", None, "http://[::1]:8743/"),
    ],
)
def test_the_address_of_the_console_is_one_that_a_browser_opens(home, host, certificate, url):
    settings = Settings(home=home, tls_certificate=certificate)
    assert console_url(settings, host, settings.port) == url
