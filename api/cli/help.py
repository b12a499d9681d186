"""How help is printed: whole, in both languages, Chinese first, in 80 columns and less.

A Chinese character fills two columns and may end a line; a Latin word is never cut. Nothing is
shortened: a text that does not fit goes on in the next line.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from api.texts.tables import load_pairs

_Function = TypeVar("_Function", bound=Callable[..., Any])
_NAMES_WIDTH = 26  # of the column of names; what is longer has a line of its own
# What a line may be broken behind: a space, or a wide character; never before closing marks.
_PIECE = re.compile(r"\s+|[^\s\u2e80-\uffef]+[,。;:、!?)”》〕]*|[“(《〔]*.[,。;:、!?)”》〕]*")

Json = Annotated[bool, typer.Option("--json")]


class BilingualCommand(TyperCommand):
    """A command whose help is printed whole."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of this command."""
        formatter.write(_help_of(self, ctx, formatter.width))


class BilingualGroup(TyperGroup):
    """A group of commands whose help is printed whole."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of this group, and a line or more for each of its commands."""
        formatter.write(_help_of(self, ctx, formatter.width))


class Commands(typer.Typer):
    """A group of commands as typer makes them, with help in both languages."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(
            **{
                "cls": BilingualGroup,
                "add_completion": False,
                "rich_markup_mode": None,
                "pretty_exceptions_enable": False,
                **attributes,
            }
        )

    def register_command(
        self, *arguments: Any, **attributes: Any
    ) -> Callable[[_Function], _Function]:
        """Register a command."""
        return super().command(*arguments, **{"cls": BilingualCommand, **attributes})


def wrap_text(text: str, width: int) -> list[str]:
    """Return a text as lines of so many columns at most; a longer Latin word stays whole."""
    lines, line = [], ""
    for piece in _PIECE.findall(" ".join(text.split())):
        # Measured without trailing spaces, which may stand beyond the edge.
        if line and columns_of(line) + columns_of(piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = piece.lstrip()
        else:
            line += piece
    return [*lines, line.rstrip()]


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a text fills."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def name_command(ctx: Any) -> str:
    """Return the words that call a command, without the program's own name."""
    words = []
    while ctx.parent:
        words.append(ctx.info_name)
        ctx = ctx.parent
    return " ".join(reversed(words))


def describe_command(name: str) -> str:
    """Return what a command or a group of commands is for, in both languages."""
    return " ".join(load_pairs("commands", "commands")[name])


def describe_parameter(command: str, parameter: str) -> str:
    """Return what a parameter is for; some mean the same in every command."""
    texts = load_pairs("commands", "parameters")
    return " ".join(texts.get(f"{command} {parameter}".strip()) or texts[parameter])


def _help_of(command: TyperCommand | TyperGroup, ctx: Any, width: int) -> str:
    name = name_command(ctx)
    lines = ["", *wrap_text(f"用法 Usage: {' '.join(_format_usage(command, ctx))}", width), ""]
    details = load_pairs("commands", "details").get(name)
    for paragraph in (describe_command(name), *([" ".join(details)] if details else [])):
        lines += [*wrap_text(paragraph, width), ""]
    for title, rows in _format_sections(command, ctx, name):
        if rows:
            lines += [f"{title}:", *_format_list(rows, width), ""]
    return "\n".join(lines)


def _format_usage(command: TyperCommand | TyperGroup, ctx: Any) -> Iterator[str]:
    yield str(ctx.command_path)
    yield from command.collect_usage_pieces(ctx)


def _format_sections(
    command: TyperCommand | TyperGroup, ctx: Any, name: str
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    records = [
        (parameter, _format_record(parameter, ctx, name)) for parameter in command.get_params(ctx)
    ]
    arguments = [
        record for parameter, record in records if isinstance(parameter, TyperArgument) and record
    ]
    options = [
        record
        for parameter, record in records
        if not isinstance(parameter, TyperArgument) and record
    ]
    yield "参数 Arguments", arguments
    yield "选项 Options", options
    if isinstance(command, TyperGroup):
        yield (
            "命令 Commands",
            [
                (subcommand, describe_command(f"{name} {subcommand}".strip()))
                for subcommand in command.list_commands(ctx)
            ],
        )


def _format_record(parameter: Any, ctx: Any, name: str) -> tuple[str, str] | None:
    # typer adds defaults and "required" to a parameter's own text; that lies in the table.
    parameter.help = describe_parameter(name, parameter.name)
    return parameter.get_help_record(ctx)  # type: ignore[no-any-return]


def _format_list(rows: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    rows = list(rows)
    indent = min(_NAMES_WIDTH, max(columns_of(name) for name, _text in rows) + 4)
    for name, text in rows:
        first, *continuation = wrap_text(text, width - indent)
        if columns_of(name) + 4 > indent:
            yield f"  {name}"
            continuation = [first, *continuation]
        else:
            yield f"  {name}{' ' * (indent - 2 - columns_of(name))}{first}"
        yield from (f"{' ' * indent}{line}" for line in continuation)
