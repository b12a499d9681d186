"""Errors of commands: a problem object for programs, a sentence in both languages for people.

Imported only when there is an error to tell.
"""

import errno
import json
import sys

from api.office.settings.setting_errors import SettingsError
from api.problems import ApiError, describe_error, problem_body
from policies.rules.rulebook import RuleError
from storage.errors import LiuhenError

_READ_ONLY = frozenset({errno.EROFS})
_DENIED = frozenset({errno.EACCES, errno.EPERM})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def report_error(error: Exception, *, as_json: bool) -> int | None:
    """Tell an error and return the exit status; None for a defect of ours, which is not hidden."""
    named = _as_liuhen_error(error)
    if named is None:
        return None
    # On the output, not the error channel: a program that asked for JSON reads one object either
    # way.
    if as_json:
        sys.stdout.write(json.dumps(problem_body(named), ensure_ascii=False) + "\n")
    else:
        sentence = describe_error(named)
        sys.stderr.write(
            f"错误 {sentence.zh} {sentence.next_zh}\n"
            f"error ({named.code}): {sentence.en} {sentence.next_en}\n"
        )
    return 2 if isinstance(named, SettingsError) else 1


def _as_liuhen_error(error: Exception) -> LiuhenError | RuleError | None:
    """Return the error as one of ours; what the system refused is told with the file's name."""
    if isinstance(error, (LiuhenError, RuleError)):
        return error
    # Without a file's name it may be a socket or a pipe of ours: a defect, whose traceback is
    # wanted.
    if not isinstance(error, OSError) or error.filename is None:
        return None
    if error.errno in _READ_ONLY:
        code = "file-read-only"
    elif error.errno in _DENIED:
        code = "file-denied"
    else:
        code = "file-full" if error.errno in _FULL else "file-refused"
    return ApiError(code, file=str(error.filename), problem=error.strerror or "")
