"""The command line: exit status, JSON, both languages, no tracebacks."""

import json
import shutil
import subprocess

import pytest

from tests.command import FOUNDING, LIUHEN, environment, run, run_program
from tests.office import FIRST, PASSWORD, Desk, dock, segment


def founded(home):
    """Found an office, as its people do before anything else."""
    done = run(home, "keys", "init", *FOUNDING)
    assert done.returncode == 0, done.err
    return home


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    """A folder as a recorder leaves it."""
    from api.office.samples.sample_volume import write_segments

    folder = tmp_path_factory.mktemp("volume")
    write_segments(folder, FIRST, [segment(0, 1), segment(1, 1)])
    return folder


def test_a_new_office_from_keys_to_a_verified_store(tmp_path, volume):
    home = tmp_path / "var"
    made = run(home, "keys", "init", *FOUNDING)
    assert made.returncode == 0, made.err
    assert "恢复密钥" in made.out
    assert (home / "keys" / "vault.key").stat().st_mode & 0o077 == 0
    again = run(home, "keys", "init", *FOUNDING)
    assert again.returncode == 1
    assert "密钥" in again.err

    taken = run(home, "ingest", volume, "--json")
    assert taken.returncode == 0, taken.err
    lines = [json.loads(line) for line in taken.out.splitlines()]
    assert len(lines) == 4
    assert {line["outcome"] for line in lines} == {"accessioned"}
    assert all(len(line["sha256"]) == 64 and line["recording"] for line in lines)
    assert all(path.exists() for path in volume.rglob("*"))

    second = run(home, "ingest", volume, "--json")
    told = [json.loads(line) for line in second.out.splitlines()]
    assert [line["recording"] for line in told] == [line["recording"] for line in lines]

    checked = run(home, "verify", "--all", "--json")
    assert checked.returncode == 0
    assert json.loads(checked.out) == {
        "verified": True, "recordings": 4, "wrong": [], "orphans": []
    }  # fmt: skip

    checkpoint = run(home, "log", "checkpoint")
    assert checkpoint.out.startswith("office.test/custody\n")
    assert run(home, "log", "proof", 0).out.startswith("c2sp.org/tlog-proof")
    assert run(home, "log", "proof", 10_000).returncode == 1

    stranger = home / "objects" / "notes.txt"
    stranger.write_text("x")
    visited = run(home, "verify", "--all")
    assert visited.returncode == 1
    assert "存储中有不属于本系统的内容" in visited.out
    assert "notes.txt" in visited.out
    stranger.unlink()

    (payload,) = list((home / "objects").glob(f"{lines[0]['recording']}/payload"))
    payload.chmod(0o600)
    payload.write_bytes(payload.read_bytes()[:-1] + b"x")
    damaged = run(home, "verify", "--all")
    assert damaged.returncode == 1
    assert "对象内容被改动" in damaged.out
    assert lines[0]["recording"] in damaged.out


def test_one_file_is_ingested_alone(tmp_path, volume):
    (file, *_) = sorted(volume.rglob("*.MP4"))
    done = run(founded(tmp_path / "var"), "ingest", file, "--json")
    (line,) = [json.loads(line) for line in done.out.splitlines()]
    assert (line["path"], line["outcome"]) == (file.name, "accessioned")


def test_what_cannot_be_taken_is_told_with_status_one(tmp_path):
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "link.mp4").symlink_to("/etc/passwd")
    (folder / "note.txt").write_text("x")
    done = run(founded(tmp_path / "var"), "ingest", folder)
    assert done.returncode == 1
    assert "符号链接" in done.out
    assert "已入库" in done.out
    missing = run_program(tmp_path / "var", "ingest", tmp_path / "nowhere")
    assert missing.returncode == 1
    assert "核对路径" in missing.out


def test_accounts_are_asked_for_their_password(tmp_path):
    home = founded(tmp_path / "var")
    options = ("--username", "zhang", "--name", "张伟", "--role", "officer")
    done = run(home, "accounts", "add", *options, answers=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.returncode == 0, done.err
    assert PASSWORD not in done.out + done.err
    short = run(home, "accounts", "add", "--username", "li", "--name", "x", "--role", "officer",
                answers="short\nshort\n")  # fmt: skip
    assert short.returncode == 1
    assert "密码至少" in short.err
    listed = run(home, "accounts", "list").out
    assert "zhang" in listed
    assert run(home, "accounts", "disable", "zhang").returncode == 0
    assert "停用" in run(home, "accounts", "list").out


def test_rules_are_explained_with_their_article(tmp_path):
    listed = run(tmp_path / "var", "rules", "explain")
    assert "xl-08-seizure-whole" in listed.out
    told = run(tmp_path / "var", "rules", "explain", "xl-08-seizure-whole")
    assert "第八条" in told.out
    assert "全程音像记录" in told.out
    assert json.loads(
        run(tmp_path / "var", "rules", "explain", "xl-08-seizure-whole", "--json").out
    )
    assert run(tmp_path / "var", "rules", "explain", "none").returncode == 1
    assert run(tmp_path / "var", "rules", "check").returncode == 0
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "bad.yaml").write_text("edition: 1\nrules: no\n")
    wrong = run(tmp_path / "var", "rules", "check", tmp_path / "rules")
    assert wrong.returncode == 1
    assert "bad.yaml" in wrong.err


def test_wrong_usage_is_status_two(tmp_path):
    for arguments in (("verify",), ("verify", "x", "--all"), ("nonsense",), ("ingest",)):
        assert run(tmp_path / "var", *arguments).returncode == 2
    assert run_program(tmp_path / "var", "station").returncode == 2


def test_doctor_says_what_each_lack_costs(tmp_path):
    done = run(tmp_path / "var", "doctor", "--json")
    assert done.returncode == 0
    told = {one["name"]: one for one in json.loads(done.out)}
    assert "liuhen keys init" in told["keys"]["zh"]
    bare = run(tmp_path / "var", "doctor", PATH="/nowhere")
    assert "没有 ffmpeg" in bare.out


def test_a_bundle_is_exported_and_a_zip_of_it_verified(tmp_path):
    desk = Desk.set_up(tmp_path)
    _case, action = desk.seizure(30)
    dock(desk, "bay-1", FIRST, segment(-5, 40))
    desk.sweep()
    desk.link(action)
    desk.close(action)
    desk.office.close()
    out = tmp_path / "bundle"
    options = ("--username", "zhang", "--password", PASSWORD)
    done = run(tmp_path / "var", "bundle", "兴乡执罚〔2026〕1号", out, *options)
    assert done.returncode == 0, done.err
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "bundle")
    checked = run(tmp_path / "nothing", "verify", packed)
    assert checked.returncode == 3, checked.out
    assert "自洽,公钥未知" in checked.out
    keys = run(tmp_path / "nothing", "verify", out, "--keys", tmp_path / "var" / "keys", "--json")
    assert json.loads(keys.out)["verified"]
    rubbish = tmp_path / "rubbish.zip"
    rubbish.write_bytes(b"PK\x03\x04 no archive")
    assert run(tmp_path / "nothing", "verify", rubbish).returncode == 1


def test_an_archive_that_leaves_its_folder_is_refused(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../../evil", "x")
    done = run(tmp_path / "var", "verify", tmp_path / "evil.zip")
    assert done.returncode == 1
    assert "证据包无法打开" in done.err
    assert not (tmp_path.parent / "evil").exists()


def test_the_demonstration_shows_what_it_promises(tmp_path):
    done = run(tmp_path / "var", "demo", "--home", tmp_path / "demo")
    assert done.returncode == 0, done.out + done.err
    for told in (
        "拒绝 refused",
        "第八条",
        "准予办结",
        "核验通过",
        "核验未通过",
        "全部完好",
        "serve",
    ):
        assert told in done.out


def test_serve_answers_docks_and_stops_when_asked(tmp_path):
    import signal
    import socket
    import threading
    import urllib.error
    import urllib.request

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bay = tmp_path / "bay"
    bay.mkdir()
    (bay / "note.txt").write_text("one")
    home = founded(tmp_path / "var")
    more = {"LIUHEN_BAYS": json.dumps({"bay-1": str(bay)})}
    more |= {"LIUHEN_QUIET_S": "0.2", "LIUHEN_SWEEP_S": "0.3"}
    with subprocess.Popen(
        [LIUHEN, "serve", "--port", str(port)],
        env=environment(home, **more),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as served:
        pause = threading.Event()
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
                    assert json.load(answer) == {"status": "ready"}
                break
            except (urllib.error.URLError, ConnectionError):
                pause.wait(0.1)
        for _ in range(300):
            if (home / "objects").exists() and list((home / "objects").glob("*/record.json")):
                break
            pause.wait(0.1)
        beside = run_program(home, "ingest", bay, "--json")
        served.send_signal(signal.SIGINT)
        assert served.wait(60) in {0, 130}
        told = served.stdout.read().decode()
    assert "已交给它采集" in beside.err
    assert json.loads(beside.out)["outcome"] in {"accessioned", "duplicate"}
    assert beside.returncode == 0
    assert "Traceback" not in told, told
    assert "liuhen accounts add" in told
    checked = run(home, "verify", "--all", "--json")
    assert json.loads(checked.out)["recordings"] == 1


def test_a_register_is_tried_out_imported_and_used(tmp_path):
    home, list_ = tmp_path / "var", tmp_path / "list.csv"
    assert run(home, "keys", "init", *FOUNDING).returncode == 0
    head = "姓名,人员类别,执法证号,所属单位,乡镇,有效期止,记录仪警号\n"
    line = "赵六,执法人员,E001,执法队,兴隆镇,2099-12-31,000777\n"
    list_.write_text(head + line, encoding="gb18030")
    tried = run(home, "officers", "import", list_, "--dry-run")
    assert "新增 1" in tried.out
    assert "赵六" not in run(home, "officers", "list").out
    assert run(home, "officers", "import", list_).returncode == 0
    assert "有效" in run(home, "officers", "list").out
    assert run(home, "recorders", "add", "0000012").returncode == 0
    assert run(home, "recorders", "add", "0000012").returncode == 1
    assert run(home, "recorders", "assign", "0000012", "E001").returncode == 0
    assert "赵六" in run(home, "recorders", "list").out
    assert run(home, "officers", "train", "E001", "8", "行政处罚法").returncode == 0
    due = run(home, "duties", "--json")
    assert any("赵六" in one or "xl-05" in one for one in due.out.splitlines())
    calendar = run(home, "duties", "--ics")
    assert calendar.stdout.startswith(b"BEGIN:VCALENDAR\r\n")
    assert b"\r\r" not in calendar.stdout
    assert "专职执法人员" in run(home, "evaluate").out
    assert run(home, "officers", "end", "E001", "--why", "surrendered").returncode == 0
    assert "证件已收回" in run(home, "officers", "list").out

    list_.write_text(head + line.replace("2099-12-31", "2099-02-29"), encoding="utf-8")
    refused = run(home, "officers", "import", list_)
    assert refused.returncode == 1
    assert "第 2 行" in refused.err


def test_a_case_is_explained_on_the_command_line(tmp_path):
    desk = Desk.set_up(tmp_path)
    try:
        case, _action = desk.seizure(20)
    finally:
        desk.office.close()
    told = run(tmp_path / "var", "rules", "explain", "兴乡执罚〔2026〕1号")
    assert told.returncode == 0, told.err
    for words in (
        "不能转入",
        "May not go",
        "第八条",
        "如何补正",
        "may be waived by",
        "xl-08-seizure",
    ):
        assert words in told.out, words
    as_json = run(tmp_path / "var", "rules", "explain", case, "--json")
    assert json.loads(as_json.out)["case"] == case
    assert run(tmp_path / "var", "rules", "explain", "no-such-thing").returncode == 1


def test_a_draw_is_made_and_repeated_on_the_command_line(tmp_path, volume):
    home = founded(tmp_path / "var")
    assert run(home, "ingest", volume).returncode == 0
    drawn = run(home, "checks", "draw", "--seed", "沪指3141", "--purpose", "一季度", "--count", "2")
    assert drawn.returncode == 0, drawn.err
    assert run(home, "checks", "draw", "--seed", "x", "--purpose", "一季度").returncode == 1
    number = run(home, "checks", "list").out.split()[0]
    assert run(home, "checks", "repeat", number).returncode == 0


def test_a_bad_recorder_profile_is_one_sentence_of_doctor_and_of_the_station(tmp_path, volume):
    home = founded(tmp_path / "var")
    (home / "profiles").mkdir()
    (home / "profiles" / "ex9.yaml").write_text("family: ex9\norder: soon\n")
    told = {one["name"]: one for one in json.loads(run(home, "doctor", "--json").out)}
    assert not told["recorders"]["good"]
    assert "ex9.yaml 第 1 行:缺少字段 kind" in told["recorders"]["zh"]
    refused = run(home, "ingest", volume)
    assert refused.returncode == 1
    assert "ex9.yaml 第 1 行" in refused.err
    assert (
        "ex9.yaml line 1: the field kind is absent. Correct it as docs/RECORDERS.md" in refused.err
    )
    assert "Traceback" not in refused.err
    assert len(refused.err.strip().splitlines()) == 2
    assert run(home, "log", "checkpoint").returncode == 0  # what takes in nothing goes on
