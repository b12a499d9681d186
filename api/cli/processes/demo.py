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

from api.cli.ports import console_url
from api.cli.terminal import OUT, bay_bars, say_result, show_byte_bar
from api.http import presenters as views
from api.office.evidence.export import export_bundle
from api.office.evidence.integrity_check import whole_check
from api.office.founding import found_office
from api.office.identity import Visitor
from api.office.samples import sample_case
from api.office.samples.sample_volume import (
    Recorder,
    Segment,
    add_duplicate,
    add_truncated,
    copy_clips,
    film_codes,
    real_clips,
    write_segments,
)
from api.office.service import Service
from api.office.settings.settings import Settings
from api.office.system import clock, entropy
from api.office.wiring import Office
from api.problems import ApiError, reason_en, reason_zh
from ingest.bays.bay import Bay, FileReport, Outcome
from ingest.centre import linking
from ingest.media.sandbox import tool_versions
from ingest.station.clear_when import When
from ingest.station.station import Station
from policies.access.access import Role
from policies.facts.findings import Verdict
from policies.facts.stages import ActionKind, Stage
from policies.identifiers import ActionId, CaseId, PersonId
from policies.scene_code import Kind
from policies.time.wording import COUNTY_TIME, format_percent, length_zh
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
    home: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Run the whole main job on sample footage."""
    settings = Settings()
    if tool_versions()["ffmpeg"] is None:
        raise ApiError("tool-missing", tool="ffmpeg", package="ffmpeg")
    now = clock()
    place = home or settings.home / "demo" / now.astimezone(COUNTY_TIME).strftime("%Y%m%d-%H%M%S")
    began = time.monotonic()
    try:
        show = _Show.set_up(place.resolve(), settings.footage, now)
        try:
            show.run_all()
        finally:
            show.office.close()
    except DemoError as error:
        OUT.print(f"[red]演示失败 the demonstration failed[/red]: {escape(str(error))}")
        raise typer.Exit(1) from error
    show.summarise(time.monotonic() - began)


@dataclass(slots=True)
class _Show:
    """Run of the demonstration: each step prints its outcome and checks it."""

    office: Office
    service: Service
    volumes: Path
    footage: Path | None
    start: datetime
    passwords: dict[str, str] = field(default_factory=dict)
    persons: dict[str, PersonId] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    steps: int = 0

    @classmethod
    def set_up(cls, home: Path, footage: Path | None, now: datetime) -> "_Show":
        volumes = home / "volumes"
        bays = {"bay-1": volumes / "bay-1", "bay-2": volumes / "bay-2"}
        landing = {"handheld": volumes / "handheld"}
        for folder in (*bays.values(), *landing.values()):
            folder.mkdir(parents=True)
        tables = [f'bays."{name}" = {_format_toml(path)}' for name, path in bays.items()]
        tables += [f'landing."{name}" = {_format_toml(path)}' for name, path in landing.items()]
        toml = ["immutable = false", "quiet_s = 1.0", "landing_quiet_s = 1.0", 'clear = "at-once"']
        toml += tables
        # Written down as well as passed on: `serve` on this home later must find the same bays.
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
        office = found_office(settings)
        return cls(office, Service.of_office(office), volumes, footage, start)

    def run_all(self) -> None:
        self._add_people()
        volumes = self._prepare_volumes()
        file_results = self._dock_bays("bay-1", "handheld")
        self._first_docking(file_results)
        case, action = self._file_case()
        self._show_refusal(action)
        self._mend_gaps(action)
        self._second_recorder(action)
        self._dock_again(volumes)
        bundle = self._export_bundle(case)
        self._tamper_with_bundle(bundle)
        self._verify_everything()

    def _print_step(self, zh: str, en: str) -> None:
        self.steps += 1
        OUT.print(f"\n[bold]{self.steps}. {zh}[/bold]  [dim]{en}[/dim]")

    def _add_people(self) -> None:
        self._print_step(
            "建立单位:密钥、数据库、监管链日志、临时帐号", "an office with throw-away accounts"
        )
        for username, name, role, certificate in _PEOPLE:
            password = base64.b32encode(entropy(10)).decode().lower()
            more = {"certificate_no": certificate} if certificate else {}
            self.persons[username] = self.service.identity.create_person(
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

    def _prepare_volumes(self) -> Path:
        self._print_step(
            "生成记录仪卷:多段、文件名、日志、残缺文件、重复文件,另有真实录像",
            "recorder volumes as recorders write them, and real clips",
        )
        first = self.volumes / "bay-1"
        files = write_segments(
            first,
            FIRST,
            [self._time_at(-6, 20, marked=True), self._time_at(14, 8), self._time_at(30, 18)],
        )
        cut = self._time_at(-600, 20).start.astimezone(COUNTY_TIME)
        name = f"DSJ-A7_{FIRST.serial}@{FIRST.officer_no}_{cut:%Y%m%d%H%M%S}_0000.MP4"
        add_truncated(files[0], name)
        add_duplicate(files[0], first / "DCIM" / "BACKUP")
        clips = copy_clips(real_clips(self.footage), self.volumes / "handheld")
        volume = self.office.settings.home / "kept.MP4"
        # Kept aside: by the time it is docked again, the original was cleared.
        shutil.copy2(files[0], volume)
        OUT.print(f"  执法仪 {FIRST.serial}: 5 个录像文件;真实录像 real clips: {len(clips)}")
        return volume

    def _time_at(self, seconds: float, length: float, *, marked: bool = False) -> Segment:
        return Segment(self.start + timedelta(seconds=seconds), length, marked=marked)

    def _dock_bays(self, *names: str) -> list[FileReport]:
        """Sweep these bays as the station does, until nothing waits any more."""
        with bay_bars() as listen:
            station = self.office.build_station(listen)
            bays = [bay for bay in self.office.list_bays() if bay.name in names]
            file_results = [
                file_result for bay in bays for file_result in self._settle_bay(station, bay)
            ]
        for file_result in file_results:
            say_result(
                file_result,
                f"{reason_zh(file_result.reason)} {reason_en(file_result.reason)}".strip(),
            )
        return file_results

    def _settle_bay(self, station: Station, bay: Bay) -> list[FileReport]:
        file_results: list[FileReport] = []
        # A file is whole only when two looks saw it the same: the first look waits by design.
        for _ in range(20):
            file_results = station.sweep_bay(bay)
            if all(file_result.outcome is not Outcome.WAITING for file_result in file_results):
                return file_results
            time.sleep(self.office.settings.quiet_s)
        return file_results

    def _first_docking(self, file_results: list[FileReport]) -> None:
        outcomes = [file_result.outcome for file_result in file_results]
        _require(Outcome.DUPLICATE in outcomes, "the duplicate was not recognised")
        _require(
            all(outcome in {Outcome.ACCESSIONED, Outcome.DUPLICATE} for outcome in outcomes),
            "not every file was accessioned",
        )
        with self.office.catalogue.read() as session:
            rows = list(recordings.iterate_recordings(session))
        unplayable = [row for row in rows if row.unplayable_reason]
        cut = [row for row in rows if row.media.get("truncated")]
        _require(bool(cut), "the truncated file was not recognised")
        for row in cut:
            OUT.print(f"  残缺文件照样完整入库 truncated, kept whole: {row.name}", markup=False)
        for row in unplayable:
            reason = f"{reason_zh(row.unplayable_reason)} {reason_en(row.unplayable_reason)}"
            OUT.print(f"  不能播放,原样入库 unplayable, kept: {row.name} ({reason})", markup=False)
        cleared = sum(file_result.cleared for file_result in file_results)
        OUT.print(f"  凭回执清除 cleared against verified receipts: {cleared}")
        self.outcomes["入库 accessioned"] = str(len(rows))

    def _file_case(self) -> tuple[CaseId, ActionId]:
        self._print_step("立案并登记一次查封扣押", "a case with a seizure")
        actor = self._open_visitor("zhang").actor
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

    def _show_refusal(self, action: ActionId) -> None:
        self._print_step(
            "按人员和时间关联录像,申请办结:有缺口、缺标记、缺文书,拒绝",
            "linked by officer and time; refused for three different findings",
        )
        verdict = self._link_and_close(action)
        _require(not verdict.allowed, "a seizure with a gap was closed")
        blocking = {finding.rule: finding for finding in verdict.findings if finding.blocks}
        for finding in blocking.values():
            OUT.print(f"  [red]拒绝 refused[/red] {escape(finding.message_zh)}")
            OUT.print(f"  [dim]{escape(finding.message_en)}[/dim]")
        _require({*_FINDINGS} <= set(blocking), f"not the three findings: {sorted(blocking)}")
        whole = blocking["xl-08-seizure-whole"]
        _require("第八条" in whole.message_zh, "the article is not named")
        self.outcomes["拒绝办结 refused"] = (
            f"{len(blocking)} 项,{whole.basis.zh},覆盖 {format_percent(whole.facts['share'])}"
        )

    def _mend_gaps(self, action: ActionId) -> None:
        self._print_step("标记必要时刻;补登当场交付的文书", "moments are marked, documents entered")
        actor = self._open_visitor("zhang").actor
        for rule, enter in (
            ("qz-18-measure", sample_case.mark_moments),
            ("qz-24-handed", sample_case.file_documents),
        ):
            with self.office.catalogue.write() as uow:
                enter(uow, action, actor=actor)
            with self.office.catalogue.read() as session:
                findings = cases.judge_action(session, action, self.office.rulebook).findings
            _require(
                not any(finding.blocks and finding.rule == rule for finding in findings),
                f"{rule} not mended",
            )
            OUT.print(f"  [green]已补正 mended[/green] {rule}")

    def _second_recorder(self, action: ActionId) -> None:
        self._print_step(
            "第二台记录仪时钟快七分钟,但拍到了场景码:自动校时、自动关联,补上缺口,准予办结",
            "a second recorder, seven minutes fast, filmed the scene code: it links itself",
        )
        key = self.office.ring.scene_key
        footage = film_codes(action, Kind.START, key, self.start + timedelta(seconds=17))
        begun = self._time_at(16, 20)
        write_segments(self.volumes / "bay-2", SECOND, [replace(begun, codes=footage)])
        self._dock_bays("bay-2")
        with self.office.catalogue.read() as session:
            linked = [
                exhibit
                for exhibit in cases.list_exhibits(session, action)
                if exhibit.how == "scene-code"
            ]
            _require(len(linked) == 1, "the footage did not link itself")
            row = recordings.by_id(session, linked[0].recording_id)
        # The offset is true minus recorder time: of a clock that is ahead it is negative, and the
        # sum is the error.
        off = (row.clock_offset_s or 0.0) + SECOND.ahead_s
        error = abs(((row.start_at or begun.start) - begun.start).total_seconds())
        message = f"慢/快 offset {row.clock_offset_s:+.2f} s ± {row.clock_uncertainty_s:.2f} s"
        OUT.print(f"  [green]自动关联 linked itself[/green] {message},实际误差 error {error:.2f} s")
        _require(abs(off) < 1.5 and error < 0.3, "the clock was not measured")  # noqa: PLR2004 - s
        verdict = self._link_and_close(action)
        _require(verdict.allowed, "the covered seizure was not closed")
        with self.office.catalogue.read() as session:
            facts = cases.facts_of(session, action)
        ribbon = views.present_coverage(facts, self.office.rulebook)
        OUT.print(f"  [green]准予办结 closed[/green] 覆盖 {ribbon.shown if ribbon else ''}")
        self.outcomes["场景码自动关联 linked by scene code"] = message
        self.outcomes["准予办结 closed"] = f"覆盖 {ribbon.shown if ribbon else ''}"

    def _link_and_close(self, action: ActionId) -> Verdict:
        actor = self._open_visitor("zhang").actor
        with self.office.catalogue.write() as uow:
            proposed = cases.propose_exhibits(uow, action, actor=actor)
        for row in proposed:
            linking.confirm_exhibit(self.office, row.id, actor=actor)
            OUT.print(f"  关联 linked {row.recording_id}", markup=False)
        with self.office.catalogue.write() as uow:
            return cases.close_action(uow, action, self.office.rulebook, actor=actor)

    def _dock_again(self, volume: Path) -> None:
        self._print_step(
            "同一文件改名后再次接入:不重复入库", "the same bytes again: no second recording"
        )
        again = self.volumes / "bay-1" / "DCIM" / "AGAIN"
        again.mkdir(parents=True)
        name = f"DSJ-A7_{FIRST.serial}@{FIRST.officer_no}_{self._local_time(-6)}_0009.MP4"
        shutil.copy2(volume, again / name)
        volume.unlink()
        file_results = self._dock_bays("bay-1")
        _require(
            [r.outcome for r in file_results] == [Outcome.DUPLICATE], "a second recording was made"
        )

    def _local_time(self, seconds: float) -> str:
        at = self.start + timedelta(seconds=seconds)
        return at.astimezone(COUNTY_TIME).strftime("%Y%m%d%H%M%S")

    def _export_bundle(self, case: CaseId) -> Path:
        self._print_step(
            "导出证据包,由独立进程核验(不接触数据库)", "a bundle, verified by a separate process"
        )
        folder = self.office.settings.home / "bundle"
        with show_byte_bar("导出 exporting") as progress:
            export_bundle(
                self.service, self._open_visitor("zhang"), case, folder, progress=progress
            )
        status, lines = self._verify_alone(folder)
        _print_line(lines)
        _require(status == 0, "the bundle does not verify")
        self.outcomes["证据包核验 bundle"] = "通过 verified"
        return folder

    def _open_visitor(self, username: str) -> Visitor:
        token, _until = self.service.identity.login(username, self.passwords[username])
        return self.service.identity.authenticate_token(token)

    def _tamper_with_bundle(self, bundle: Path) -> None:
        self._print_step(
            "复制一份证据包,改动一个字节:被发现", "one byte of a copy is changed: caught"
        )
        copy = bundle.with_name("bundle-tampered")
        shutil.copytree(bundle, copy)
        target = min((copy / "data" / "recordings").glob("*/original/*"))
        content = bytearray(target.read_bytes())
        content[len(content) // 2] ^= 1
        target.write_bytes(content)
        status, lines = self._verify_alone(copy)
        failures = [line for line in lines if not line.startswith("✓")]
        _print_line(failures)
        named = any(target.name in line for line in lines)
        _require(status == 1 and named, "the changed byte was not caught")
        self.outcomes["篡改一个字节 one byte changed"] = "被发现 caught"
        shutil.rmtree(copy)

    def _verify_alone(self, folder: Path) -> tuple[int, list[str]]:
        """Run the verifier alone: no settings, another working directory; only keys are named."""
        keys = str(self.office.settings.keys.absolute())
        # Nothing of this process reaches it but the bundle and the keys: it shows what a stranger
        # would find.
        process = subprocess.run(
            [sys.executable, "-m", "storage.bundle.verify", str(folder), "--keys", keys],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "PYTHONUTF8": "1"},
            capture_output=True,
            check=False,
        )
        return process.returncode, process.stdout.decode().splitlines()

    def _verify_everything(self) -> None:
        self._print_step("全面核验:对象、数据库、监管链日志", "everything that is kept, checked")
        with show_byte_bar("核验 verifying") as progress:
            wrong = list(whole_check(self.office, progress))
        for failure in wrong:
            OUT.print(f"  {failure.zh} {failure.en}", markup=False)
        _require(not wrong, "verify --all found something")
        OUT.print("  [green]全部完好 all whole[/green]")

    def summarise(self, seconds: float) -> None:
        home = self.office.settings.home
        OUT.print(f"\n[bold green]演示完成 done[/bold green],用时 {seconds:.0f} 秒。")
        for label, outcome in self.outcomes.items():
            OUT.print(f"  {label}: {outcome}", markup=False)
        OUT.print("\n继续运行并打开控制台 to keep it running and open the console:")
        OUT.print(f"  LIUHEN_HOME={home} {Path(sys.argv[0])} serve", markup=False)
        settings = self.office.settings
        address = console_url(settings, settings.host, settings.port)
        OUT.print(f"  {address}", markup=False)
        OUT.print("临时帐号(用户名 / 密码 / 角色) throw-away accounts:")
        for username, name, role, _certificate in _PEOPLE:
            account_line = f"  {username:<6} {self.passwords[username]}  {name} {role.value}"
            OUT.print(account_line, markup=False)


def _print_line(lines: Iterable[str]) -> None:
    for line in lines:
        OUT.print(f"  {line}", markup=False)


def _require(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise DemoError(otherwise)


def _format_toml(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
