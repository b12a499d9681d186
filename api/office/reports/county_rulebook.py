"""Begin a county's own edition of the rulebook: its template, beside the national edition.

A rulebook is one folder, and what is not in it does not hold. So a folder that has no edition for
`all` yet gets a copy of the national one; a file that was named by itself gets no company.
"""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from api.problems import ApiError
from policies.rules.rulebook import SHIPPED, areas_in
from policies.rules.rulebook_template import edition_template, is_area_name
from policies.rules.rules import EVERYWHERE
from storage.durable import sync_folder

NATIONAL = "national.yaml"
_YAML = ".yaml"


@dataclass(frozen=True, slots=True)
class NewEdition:
    """A template that was written; `national` is the copy of the national edition, if one was."""

    file: Path
    national: Path | None

    @property
    def folder(self) -> Path:
        """The folder that the setting `rulebook` has to name."""
        return self.file.parent.absolute()

    def list_next_steps(self, rulebook: Path | None) -> list[str]:
        """Return what a person has to know and do next, Chinese first.

        `rulebook` is the setting as it is now.
        """
        lines = [
            f"模板已写入 {self.file},请由法制机构填写。",
            f"The template is {self.file}; the county's legal officer fills it.",
        ]
        if self.national is not None:
            lines += [
                f"全国版已复制到 {self.national}:两份一起适用;目录里没有的规则不适用。",
                f"The national edition was copied to {self.national}; both hold together.",
                "A rule that is not in the folder does not hold.",
            ]
        elif not _has_national(self.folder):
            lines += [
                f"该目录没有全国版;需要时请复制 {SHIPPED / NATIONAL}。",
                f"The folder has no national edition; to have it hold, copy {SHIPPED / NATIONAL}.",
            ]
        lines += [
            f"检查 check: liuhen rules check {self.folder}",
        ]
        if rulebook is None or rulebook.absolute() != self.folder:
            lines += [
                f'启用:在 liuhen.toml 写 rulebook = "{self.folder}",然后重新启动服务。',
                "To use it: write that line (rulebook = …) into liuhen.toml and start again.",
            ]
        return lines


def begin_edition(county: str, place: Path, since: date) -> NewEdition:
    """Write the template of a county's edition into a folder, or as the `.yaml` file named.

    Nothing is overwritten. Raises: ApiError (area-name, edition-exists), RuleError (the folder's
    own files), OSError.
    """
    # A county of that name would take the place of the national file.
    if not is_area_name(county) or f"{county}{_YAML}".lower() == NATIONAL:
        raise ApiError("area-name", name=county[:80])
    alone = place.suffix == _YAML and not place.is_dir()
    file = place if alone else place / f"{county}{_YAML}"
    file.parent.mkdir(parents=True, exist_ok=True)
    national = None if alone or _has_national(file.parent) else file.parent / NATIONAL
    # Asked before the copy as well: a refusal leaves no national edition behind either.
    if file.exists():
        raise ApiError("edition-exists", file=str(file))
    if national is not None:
        # The national edition first: a folder with a template alone would be a rulebook in which
        # nothing else holds.
        _write_new(national, (SHIPPED / NATIONAL).read_bytes())
    _write_new(file, edition_template(county, since).encode())
    return NewEdition(file, national)


def _has_national(folder: Path) -> bool:
    """Tell whether a folder has an edition that holds everywhere. Raises: RuleError."""
    return EVERYWHERE in areas_in(folder)


def _write_new(file: Path, content: bytes) -> None:
    try:
        # O_EXCL: between the look above and here another may have made it, and its text is a
        # lawyer's work.
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError as error:
        raise ApiError("edition-exists", file=str(file)) from error
    with os.fdopen(handle, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    sync_folder(file.parent)
