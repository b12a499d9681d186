"""`liuhen`: the command line. Each command is one function in `api/commands/`; errors end here.

Exit status: 0 done, 1 a finding or a failed verification or an error, 2 wrong usage.
"""

import json
import sys

import typer

from api.commands import (
    accounts,
    archive,
    bundle,
    cameras,
    checks,
    demo,
    doctor,
    duties,
    ingest,
    jobs,
    keys,
    log,
    migrate,
    officers,
    recorders,
    retention,
    rules,
    serve,
    station,
    stations,
    verify,
    worker,
)
from api.commands.terminal import ERR
from api.problems import problem, words
from policies.rulebook import RuleError
from storage.errors import LiuhenError

app = typer.Typer(
    name="liuhen",
    help="留痕:基层执法音像留痕服务。 Liuhen: body-camera evidence for township law enforcement.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(demo.demo)
app.command()(serve.serve)
app.command()(serve.centre)
app.command()(serve.found)
app.command()(worker.worker)
app.command()(migrate.migrate)
app.command()(ingest.ingest)
app.command()(verify.verify)
app.command()(bundle.bundle)
app.command()(doctor.doctor)
app.command()(duties.duties)
app.command()(checks.evaluate)
app.add_typer(station.app, name="station", help="采集站 The station of this machine.")
app.add_typer(stations.app, name="stations", help="各采集站的登记 Enrolled stations.")
app.add_typer(accounts.app, name="accounts", help="帐号 Accounts.")
app.add_typer(checks.app, name="checks", help="双随机抽查 Random checks.")
app.add_typer(officers.app, name="officers", help="人员名册 The officer register.")
app.add_typer(recorders.app, name="recorders", help="设备 Recorders, terminals, room cameras.")
app.add_typer(cameras.app, name="cameras", help="房间摄像机 The room cameras recorded here.")
app.add_typer(rules.app, name="rules", help="规则库 The rulebook.")
app.add_typer(retention.app, name="retention", help="保管期限和销毁证明 How long, and why.")
app.add_typer(retention.holds_app, name="hold", help="冻结 Holds.")
app.add_typer(keys.app, name="keys", help="密钥 Keys.")
app.add_typer(jobs.app, name="jobs", help="后台作业 Background jobs.")
app.add_typer(archive.app, name="archive", help="归档 The archive behind the store.")
app.add_typer(log.app, name="log", help="监管链日志 The custody log.")


def main() -> None:
    """Run one command; our own errors are told in both languages, on the error channel."""
    try:
        app()
    except (LiuhenError, RuleError) as error:
        if "--json" in sys.argv:
            sys.stdout.write(json.dumps(problem(error), ensure_ascii=False) + "\n")
        else:
            told = words(error)
            ERR.print(f"[red]错误[/red] {told.zh} {told.next_zh}", highlight=False)
            ERR.print(f"error ({error.code}): {told.en} {told.next_en}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
