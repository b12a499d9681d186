"""`liuhen doctor`: check this machine's requirements, and explain what each lack costs."""

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from api.cli.terminal import OUT, say_json
from api.office.settings.settings import Settings
from api.office.stores.store_opening import look_at_home, open_catalogue
from api.office.system import clock, software_version
from api.problems import describe_error
from ingest.media.sandbox import Sandbox, tool_versions
from ingest.sources.profile_files import OWN, ProfileError, load_profiles
from policies.rules.rulebook import SHIPPED, RuleError, load_rulebook
from policies.time.wording import national_rules_only
from storage.custody.origin import SHARED_ORIGIN
from storage.errors import LiuhenError, NoOfficeError, StationHomeError
from storage.signed.fingerprint import format_fingerprint
from storage.vault.folder.file_flags import set_immutable
from storage.vault.keys import KeyRing

_LITTLE = 20 << 30  # bytes: less than one full recorder


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Diagnosis of one requirement; a `serious` failure stops the service from working."""

    name: str
    good: bool
    zh: str
    serious: bool = False


def doctor(
    *,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Check this machine; say what each lack costs."""
    diagnoses = list(_diagnose(Settings()))
    if json:
        say_json([{"name": t.name, "good": t.good, "zh": t.zh} for t in diagnoses])
    for diagnosis in () if json else diagnoses:
        mark = (
            "[green]✓[/green]"
            if diagnosis.good
            else "[red]✗[/red]"
            if diagnosis.serious
            else "[yellow]![/]"
        )
        OUT.print(f"{mark} {diagnosis.name}: ", end="")
        OUT.print(diagnosis.zh, markup=False)
    raise typer.Exit(
        1 if any(not diagnosis.good and diagnosis.serious for diagnosis in diagnoses) else 0
    )


def _diagnose(settings: Settings) -> Iterator[Diagnosis]:
    yield Diagnosis("version", good=True, zh=software_version())
    ffmpeg = tool_versions()["ffmpeg"]
    warning = "没有 ffmpeg:演示和衍生件不可用,采集不受影响"
    yield Diagnosis("ffmpeg", good=ffmpeg is not None, zh=ffmpeg or warning)
    level = Sandbox.detect().level
    strong = level.startswith("bwrap")
    weak = "没有 bubblewrap:媒体解析只受资源限制,请安装 bubblewrap"
    yield Diagnosis("sandbox", good=strong, zh=level if strong else f"{level};{weak}")
    font = settings.certificate_font
    without = f"没有 {font}:不能出具销毁证明的 PDF,请安装 fonts-wqy-microhei"
    yield Diagnosis("font", good=font.is_file(), zh=str(font) if font.is_file() else without)
    yield Diagnosis("sqlite", good=True, zh=sqlite3.sqlite_version)
    yield from _check_home(settings)
    try:
        rules = load_rulebook(settings.rulebook or SHIPPED, settings.county or None)
        area = rules.without_edition
        more = f";{national_rules_only(area)[0]}请运行 liuhen rules new {area}" if area else ""
        yield Diagnosis("rulebook", good=not area, zh=f"{len(rules.rules)} 条规则{more}")
    except RuleError as error:
        words = describe_error(error)
        yield Diagnosis("rulebook", good=False, zh=f"{words.zh}{words.next_zh}", serious=True)
    yield _check_profiles(settings.home / OWN)
    for name, root in {**settings.bays, **settings.landing}.items():
        here = root.is_dir()
        yield Diagnosis(
            f"bay {name}", good=here, zh=str(root) if here else f"{root} 不存在(未接入)"
        )
    year = clock().year
    yield Diagnosis("clock", good=year >= 2026, zh=clock().isoformat(), serious=True)  # noqa: PLR2004 - this was written then


def _check_profiles(folder: Path) -> Diagnosis:
    """Tell how many recorder families are known, and which of them are the office's own."""
    try:
        profiles = load_profiles(folder)
    except ProfileError as error:
        message = describe_error(error)
        return Diagnosis("recorders", good=False, zh=f"{message.zh}{message.next_zh}", serious=True)
    own = "、".join(profile.family for profile in profiles if profile.own)
    zh = f"{len(profiles)} 种型号" + (f",其中本单位:{own}" if own else "")
    return Diagnosis("recorders", good=True, zh=zh)


def _check_home(settings: Settings) -> Iterator[Diagnosis]:
    home = settings.home.resolve()
    # Before there is a home, the disk that it would be made on.
    there = home if home.is_dir() else home.parent
    free = shutil.disk_usage(there).free
    yield Diagnosis("disk", good=free > _LITTLE, zh=f"{there} 剩余 {free >> 30} GiB")
    # Before the keys: keys that are there without the rest are the remains of a lost office.
    yield from _check_parts(settings)
    try:
        ring = KeyRing.load(settings.keys)
    except LiuhenError as error:
        yield Diagnosis(
            "keys", good=False, zh=f"{error.facts.get('problem')}:请运行 liuhen keys init"
        )
        return
    yield Diagnosis(
        "keys",
        good=True,
        zh="、".join(format_fingerprint(key.fingerprint) for key in ring.recipients),
    )
    yield from _check_origin(ring)
    carried = not settings.recovery_out.exists()
    where = "恢复密钥还在本机,请移到离线介质并从本机删除"
    yield Diagnosis("recovery key", good=carried, zh="已移走" if carried else where)
    fence = _check_immutability(home)
    without = "文件系统或权限不支持不可变标志:只有只读权限和保管锁"
    yield Diagnosis("immutable", good=fence, zh="支持" if fence else without)


def _check_origin(ring: KeyRing) -> Iterator[Diagnosis]:
    """Tell whether the custody log has an origin of its own; a station's ring is not asked."""
    if "log" not in ring.signers:
        return
    origin = ring.get_verify_key("log").name
    shared = f"{origin} 是各单位共用的旧名称,请停止服务后运行 liuhen log rename-origin"
    own = origin != SHARED_ORIGIN
    yield Diagnosis("log origin", good=own, zh=origin if own else shared)


def _check_parts(settings: Settings) -> Iterator[Diagnosis]:
    """Check that the parts of this home belong together; an empty home is no fault."""
    try:
        catalogue = open_catalogue(settings)
        try:
            look_at_home(settings, catalogue).require_office()
        finally:
            catalogue.close()
    except (NoOfficeError, StationHomeError):
        return
    except LiuhenError as error:
        message = describe_error(error)
        yield Diagnosis("office", good=False, zh=f"{message.zh}{message.next_zh}", serious=True)
    else:
        yield Diagnosis("office", good=True, zh="密钥、日志头和目录齐全")


def _check_immutability(home: Path) -> bool:
    trial = home / ".doctor"
    trial.touch()
    # Tried on a file: neither the file system's name nor our user says whether the flag can be set.
    allowed = set_immutable(trial, immutable=True)
    set_immutable(trial, immutable=False)
    trial.unlink(missing_ok=True)
    return allowed
