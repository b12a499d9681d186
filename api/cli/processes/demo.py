"""`liuhen demo`: the whole main job on sample footage, every part real, in about a minute."""

import base64
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from api.cli.terminal import OUT, bay_bars, counting, say_result
from api.http import presenters as views
from api.office.evidence.export import export
from api.office.evidence.integrity_check import whole_check
from api.office.identity import Visitor
from api.office.samples import sample_case
from api.office.samples.sample_volume import (
    Recorder,
    Segment,
    add_duplicate,
    add_truncated,
    copy_clips,
    filmed,
    real_clips,
    write_segments,
)
from api.office.service import Service
from api.office.settings.settings import Settings
from api.office.wiring import Office, clock, entropy, found
from api.problems import ApiError, reason_en, reason_zh
from ingest.bays.bay import Bay, Outcome, Result
from ingest.centre import linking
from ingest.media.sandbox import tool_versions
from ingest.station.clear_when import When
from ingest.station.station import Station
from policies.access.access import Role
from policies.facts.findings import Verdict
from policies.facts.stages import ActionKind, Stage
from policies.scene_code import Kind
from policies.time.wording import COUNTY_TIME, length_zh, percent
from storage.catalogue.cases import cases
from storage.catalogue.recordings import recordings
from storage.custody.origin import propose_origin

FIRST = Recorder("0000012", "000123")
SECOND = Recorder("0000034", "000456", ahead_s=437.25)
_FINDINGS = ("xl-08-seizure-whole", "qz-18-measure", "qz-24-handed")
_LENGTH = timedelta(seconds=40)  # of the seizure
_PEOPLE = (
    ("zhang", "张伟", Role.OFFICER, FIRST.officer_no),
    ("li", "李娜", Role.OFFICER, SECOND.officer_no),
    ("wang", "王芳", Role.OPERATOR, None),
    ("shen", "沈明", Role.REVIEWER, None),
    ("guan", "管平", Role.ADMIN, None),
    ("zhao", "赵正", Role.HEAD, None),
)


class DemoError(Exception):
    """A step did not show what it should: the demonstration fails."""


def demo(
    *,
    home: Annotated[
        Path | None,
        typer.Option(
            help="演示数据目录,默认 <LIUHEN_HOME>/demo/<时间>。 Folder of the demonstration."
        ),
    ] = None,
) -> None:
    """用样例录像演示全流程。 Run the whole main job on sample footage."""
    settings = Settings()
    if tool_versions()["ffmpeg"] is None:
        raise ApiError("tool-missing", tool="ffmpeg", package="ffmpeg")
    now = clock()
    place = home or settings.home / "demo" / now.astimezone(COUNTY_TIME).strftime("%Y%m%d-%H%M%S")
    began = time.monotonic()
    try:
        show = _Show.begin(place.resolve(), settings.footage, now)
        try:
            show.run()
        finally:
            show.office.close()
    except DemoError as error:
        OUT.print(f"[red]演示失败 the demonstration failed[/red]: {escape(str(error))}")
        raise typer.Exit(1) from error
    show.summary(time.monotonic() - began)


@dataclass(slots=True)
class _Show:
    """The story as it goes: each step prints what happened and checks that it did."""

    office: Office
    service: Service
    volumes: Path
    footage: Path | None
    start: datetime
    passwords: dict[str, str] = field(default_factory=dict)
    persons: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    steps: int = 0

    @classmethod
    def begin(cls, home: Path, footage: Path | None, now: datetime) -> "_Show":
        volumes = home / "volumes"
        bays = {"bay-1": volumes / "bay-1", "bay-2": volumes / "bay-2"}
        landing = {"handheld": volumes / "handheld"}
        for folder in (*bays.values(), *landing.values()):
            folder.mkdir(parents=True)
        tables = [f'bays."{name}" = {_toml(path)}' for name, path in bays.items()]
        tables += [f'landing."{name}" = {_toml(path)}' for name, path in landing.items()]
        toml = ["immutable = false", "quiet_s = 1.0", "landing_quiet_s = 1.0", 'clear = "at-once"']
        toml += tables
        (home / "liuhen.toml").write_text("\n".join(toml) + "\n", encoding="utf-8")
        settings = Settings(
            home=home,
            county="兴隆县",
            township="兴隆镇",
            log_origin=propose_origin(entropy(6)),
            immutable=False,
            quiet_s=1.0,
            landing_quiet_s=1.0,
            clear=When.AT_ONCE,
            bays=bays,
            landing=landing,
            footage=footage,
        )
        start = (now - timedelta(hours=1)).replace(microsecond=0)
        office = found(settings)
        return cls(office, Service.over(office), volumes, footage, start)

    def run(self) -> None:
        self._people()
        kept = self._volumes()
        results = self._dock("bay-1", "handheld")
        self._first_docking(results)
        case, action = self._case()
        self._refusal(action)
        self._mend(action)
        self._second_recorder(action)
        self._dock_again(kept)
        bundle = self._bundle(case)
        self._tamper(bundle)
        self._everything()

    def _step(self, zh: str, en: str) -> None:
        self.steps += 1
        OUT.print(f"\n[bold]{self.steps}. {zh}[/bold]  [dim]{en}[/dim]")

    def _people(self) -> None:
        self._step(
            "建立单位:密钥、数据库、监管链日志、临时帐号", "an office with throw-away accounts"
        )
        for username, name, role, certificate in _PEOPLE:
            password = base64.b32encode(entropy(10)).decode().lower()
            more = {"certificate_no": certificate} if certificate else {}
            self.persons[username] = self.service.identity.create(
                username=username,
                password=password,
                role=role,
                name=name,
                township=self.office.settings.township,
                **more,
            )
            self.passwords[username] = password
        OUT.print(f"  数据目录 home: {self.office.settings.home}", markup=False)
        OUT.print(f"  媒体解析沙箱 sandbox: {self.office.sandbox.level}", markup=False)

    def _volumes(self) -> Path:
        self._step(
            "生成记录仪卷:多段、文件名、日志、残缺文件、重复文件,另有真实录像",
            "recorder volumes as recorders write them, and real clips",
        )
        first = self.volumes / "bay-1"
        files = write_segments(
            first,
            FIRST,
            [self._at(-6, 20, marked=True), self._at(14, 8), self._at(30, 18)],
        )
        cut = self._at(-600, 20).start.astimezone(COUNTY_TIME)
        name = f"DSJ-A7_{FIRST.serial}@{FIRST.officer_no}_{cut:%Y%m%d%H%M%S}_0000.MP4"
        add_truncated(files[0], name)
        add_duplicate(files[0], first / "DCIM" / "BACKUP")
        clips = copy_clips(real_clips(self.footage), self.volumes / "handheld")
        kept = self.office.settings.home / "kept.MP4"
        shutil.copy2(files[0], kept)
        OUT.print(f"  执法仪 {FIRST.serial}: 5 个录像文件;真实录像 real clips: {len(clips)}")
        return kept

    def _at(self, seconds: float, length: float, *, marked: bool = False) -> Segment:
        return Segment(self.start + timedelta(seconds=seconds), length, marked=marked)

    def _dock(self, *names: str) -> list[Result]:
        """Sweep these bays as the station does, until nothing waits any more."""
        with bay_bars() as listen:
            station = self.office.station(listen)
            bays = [bay for bay in self.office.bays() if bay.name in names]
            found = [result for bay in bays for result in self._settle(station, bay)]
        for result in found:
            say_result(result, f"{reason_zh(result.reason)} {reason_en(result.reason)}".strip())
        return found

    def _settle(self, station: Station, bay: Bay) -> list[Result]:
        results: list[Result] = []
        for _ in range(20):
            results = station.sweep(bay)
            if all(result.outcome is not Outcome.WAITING for result in results):
                return results
            time.sleep(self.office.settings.quiet_s)
        return results

    def _first_docking(self, results: list[Result]) -> None:
        outcomes = [result.outcome for result in results]
        _must(Outcome.DUPLICATE in outcomes, "the duplicate was not recognised")
        _must(
            all(one in {Outcome.ACCESSIONED, Outcome.DUPLICATE} for one in outcomes),
            "not every file was accessioned",
        )
        with self.office.catalogue.read() as session:
            rows = list(recordings.everything(session))
        unplayable = [row for row in rows if row.unplayable_reason]
        cut = [row for row in rows if row.media.get("truncated")]
        _must(bool(cut), "the truncated file was not recognised")
        for row in cut:
            OUT.print(f"  残缺文件照样完整入库 truncated, kept whole: {row.name}", markup=False)
        for row in unplayable:
            reason = f"{reason_zh(row.unplayable_reason)} {reason_en(row.unplayable_reason)}"
            OUT.print(f"  不能播放,原样入库 unplayable, kept: {row.name} ({reason})", markup=False)
        cleared = sum(result.cleared for result in results)
        OUT.print(f"  凭回执清除 cleared against verified receipts: {cleared}")
        self.told["入库 accessioned"] = str(len(rows))

    def _case(self) -> tuple[str, str]:
        self._step("立案并登记一次查封扣押", "a case with a seizure")
        actor = self._visitor("zhang").actor
        with self.office.catalogue.write() as uow:
            case = cases.open_case(
                uow,
                number="兴乡执罚〔2026〕演示1号",
                title="未经批准占用土地堆放建材",
                party="赵某",
                township=self.office.settings.township,
                actor=actor,
                stage=Stage.INVESTIGATION,
            )
            action = cases.add_action(
                uow,
                case_id=case.id,
                kind=ActionKind.SEIZURE,
                place="村东仓库",
                start_at=self.start,
                end_at=self.start + _LENGTH,
                officers=[self.persons["zhang"], self.persons["li"]],
                actor=actor,
            )
        OUT.print(f"  {case.number} 查封扣押 {length_zh(_LENGTH.total_seconds())}", markup=False)
        return case.id, action.id

    def _refusal(self, action: str) -> None:
        self._step(
            "按人员和时间关联录像,申请办结:有缺口、缺标记、缺文书,拒绝",
            "linked by officer and time; refused for three different findings",
        )
        verdict = self._link_and_close(action)
        _must(not verdict.allowed, "a seizure with a gap was closed")
        blocking = {finding.rule: finding for finding in verdict.findings if finding.blocks}
        for finding in blocking.values():
            OUT.print(f"  [red]拒绝 refused[/red] {escape(finding.message_zh)}")
            OUT.print(f"  [dim]{escape(finding.message_en)}[/dim]")
        _must({*_FINDINGS} <= set(blocking), f"not the three findings: {sorted(blocking)}")
        whole = blocking["xl-08-seizure-whole"]
        _must("第八条" in whole.message_zh, "the article is not named")
        self.told["拒绝办结 refused"] = (
            f"{len(blocking)} 项,{whole.basis.zh},覆盖 {percent(whole.facts['share'])}"
        )

    def _mend(self, action: str) -> None:
        self._step("标记必要时刻;补登当场交付的文书", "moments are marked, documents entered")
        actor = self._visitor("zhang").actor
        for rule, enter in (
            ("qz-18-measure", sample_case.mark_moments),
            ("qz-24-handed", sample_case.file_documents),
        ):
            with self.office.catalogue.write() as uow:
                enter(uow, action, actor=actor)
            with self.office.catalogue.read() as session:
                found = cases.judge(session, action, self.office.rulebook).findings
            _must(not any(one.blocks and one.rule == rule for one in found), f"{rule} not mended")
            OUT.print(f"  [green]已补正 mended[/green] {rule}")

    def _second_recorder(self, action: str) -> None:
        self._step(
            "第二台记录仪时钟快七分钟,但拍到了场景码:自动校时、自动关联,补上缺口,准予办结",
            "a second recorder, seven minutes fast, filmed the scene code: it links itself",
        )
        key = self.office.ring.scene_key
        shown = filmed(action, Kind.START, key, self.start + timedelta(seconds=17))
        begun = self._at(16, 20)
        write_segments(self.volumes / "bay-2", SECOND, [replace(begun, codes=shown)])
        self._dock("bay-2")
        with self.office.catalogue.read() as session:
            linked = [one for one in cases.exhibits(session, action) if one.how == "scene-code"]
            _must(len(linked) == 1, "the footage did not link itself")
            row = recordings.by_id(session, linked[0].recording_id)
        off = (row.clock_offset_s or 0.0) + SECOND.ahead_s
        error = abs(((row.start_at or begun.start) - begun.start).total_seconds())
        told = f"慢/快 offset {row.clock_offset_s:+.2f} s ± {row.clock_uncertainty_s:.2f} s"
        OUT.print(f"  [green]自动关联 linked itself[/green] {told},实际误差 error {error:.2f} s")
        _must(abs(off) < 1.5 and error < 0.3, "the clock was not measured")  # noqa: PLR2004 - s
        verdict = self._link_and_close(action)
        _must(verdict.allowed, "the covered seizure was not closed")
        with self.office.catalogue.read() as session:
            facts = cases.facts_of(session, action)
        ribbon = views.coverage(facts, self.office.rulebook)
        OUT.print(f"  [green]准予办结 closed[/green] 覆盖 {ribbon.shown if ribbon else ''}")
        self.told["场景码自动关联 linked by scene code"] = told
        self.told["准予办结 closed"] = f"覆盖 {ribbon.shown if ribbon else ''}"

    def _link_and_close(self, action: str) -> Verdict:
        actor = self._visitor("zhang").actor
        with self.office.catalogue.write() as uow:
            proposed = cases.propose_exhibits(uow, action, actor=actor)
        for row in proposed:
            linking.confirm(self.office, row.id, actor=actor)
            OUT.print(f"  关联 linked {row.recording_id}", markup=False)
        with self.office.catalogue.write() as uow:
            return cases.close_action(uow, action, self.office.rulebook, actor=actor)

    def _dock_again(self, kept: Path) -> None:
        self._step("同一文件改名后再次接入:不重复入库", "the same bytes again: no second recording")
        again = self.volumes / "bay-1" / "DCIM" / "AGAIN"
        again.mkdir(parents=True)
        name = f"DSJ-A7_{FIRST.serial}@{FIRST.officer_no}_{self._local(-6)}_0009.MP4"
        shutil.copy2(kept, again / name)
        kept.unlink()
        results = self._dock("bay-1")
        _must([r.outcome for r in results] == [Outcome.DUPLICATE], "a second recording was made")

    def _local(self, seconds: float) -> str:
        at = self.start + timedelta(seconds=seconds)
        return at.astimezone(COUNTY_TIME).strftime("%Y%m%d%H%M%S")

    def _bundle(self, case: str) -> Path:
        self._step(
            "导出证据包,由独立进程核验(不接触数据库)", "a bundle, verified by a separate process"
        )
        folder = self.office.settings.home / "bundle"
        with counting("导出 exporting") as progress:
            export(self.service, self._visitor("zhang"), case, folder, progress=progress)
        status, lines = self._verified(folder)
        _print(lines)
        _must(status == 0, "the bundle does not verify")
        self.told["证据包核验 bundle"] = "通过 verified"
        return folder

    def _visitor(self, username: str) -> Visitor:
        token, _until = self.service.identity.login(username, self.passwords[username])
        return self.service.identity.visitor(token)

    def _tamper(self, bundle: Path) -> None:
        self._step("复制一份证据包,改动一个字节:被发现", "one byte of a copy is changed: caught")
        copy = bundle.with_name("bundle-tampered")
        shutil.copytree(bundle, copy)
        target = min((copy / "data" / "recordings").glob("*/original/*"))
        data = bytearray(target.read_bytes())
        data[len(data) // 2] ^= 1
        target.write_bytes(data)
        status, lines = self._verified(copy)
        shown = [line for line in lines if not line.startswith("✓")]
        _print(shown)
        named = any(target.name in line for line in lines)
        _must(status == 1 and named, "the changed byte was not caught")
        self.told["篡改一个字节 one byte changed"] = "被发现 caught"
        shutil.rmtree(copy)

    def _verified(self, folder: Path) -> tuple[int, list[str]]:
        """Run the verifier alone: no settings, another working directory; only keys are named."""
        keys = str(self.office.settings.keys.absolute())
        done = subprocess.run(
            [sys.executable, "-m", "storage.bundle.verify", str(folder), "--keys", keys],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "PYTHONUTF8": "1"},
            capture_output=True,
            check=False,
        )
        return done.returncode, done.stdout.decode().splitlines()

    def _everything(self) -> None:
        self._step("全面核验:对象、数据库、监管链日志", "everything that is kept, checked")
        with counting("核验 verifying") as progress:
            wrong = list(whole_check(self.office, progress))
        for one in wrong:
            OUT.print(f"  {one.zh} {one.en}", markup=False)
        _must(not wrong, "verify --all found something")
        OUT.print("  [green]全部完好 all whole[/green]")

    def summary(self, seconds: float) -> None:
        home = self.office.settings.home
        OUT.print(f"\n[bold green]演示完成 done[/bold green],用时 {seconds:.0f} 秒。")
        for what, result in self.told.items():
            OUT.print(f"  {what}: {result}", markup=False)
        OUT.print("\n继续运行并打开控制台 to keep it running and open the console:")
        OUT.print(f"  LIUHEN_HOME={home} {Path(sys.argv[0])} serve", markup=False)
        address = f"http://{self.office.settings.host}:{self.office.settings.port}/"
        OUT.print(f"  {address}", markup=False)
        OUT.print("临时帐号(用户名 / 密码 / 角色) throw-away accounts:")
        for username, name, role, _certificate in _PEOPLE:
            told = f"  {username:<6} {self.passwords[username]}  {name} {role.value}"
            OUT.print(told, markup=False)


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        OUT.print(f"  {line}", markup=False)


def _must(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise DemoError(otherwise)


def _toml(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
