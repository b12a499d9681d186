"""`liuhen accounts add|list|disable|password`: who may log in. Passwords are asked, never given.

Nothing is asked before there is an office: a wrong folder is told of first.
"""

from typing import Annotated

import typer

from api.cli.help import Commands, Json
from api.cli.terminal import OUT, say_done, say_json
from api.office.service import Service
from api.office.settings.settings import Settings
from api.office.wiring import Office
from api.problems import ApiError
from policies.access.access import Role
from policies.identifiers import SYSTEM
from storage.catalogue.people import people

app = Commands(no_args_is_help=True)
Username = Annotated[str, typer.Argument()]
Password = Annotated[str | None, typer.Option()]


@app.register_command()
def add(  # noqa: PLR0917 - typer turns each into an option
    username: Annotated[str | None, typer.Option()] = None,
    name: Annotated[str | None, typer.Option()] = None,
    role: Annotated[Role | None, typer.Option()] = None,
    password: Password = None,
    certificate: Annotated[str | None, typer.Option()] = None,
    township: Annotated[str | None, typer.Option()] = None,
    *,
    as_json: Json = False,
) -> None:
    """Add a person with an account."""
    office = Office.open(Settings())
    try:
        username = username or typer.prompt("用户名 user name", err=True)
        name = name or typer.prompt("姓名 person's name", err=True)
        role = role or typer.prompt(f"角色 role ({', '.join(Role)})", type=Role, err=True)
        more = {"certificate_no": certificate} if certificate else {}
        Service.of_office(office).identity.create_person(
            username=username,
            password=password or _asked_twice(),
            role=role,
            name=name,
            township=township or office.settings.township,
            **more,
        )
    finally:
        office.close()
    say_done(f"已建立帐号 added: {username}", as_json=as_json, username=username, role=role)


@app.register_command(name="list")
def list_accounts(*, as_json: Json = False) -> None:
    """List the accounts."""
    office = Office.open(Settings())
    try:
        with office.catalogue.read() as session:
            for account in people.list_accounts(session):
                person = people.get_person(session, account.person_id)
                if as_json:
                    say_json(
                        {
                            "username": account.username,
                            "role": account.role,
                            "name": person.name,
                            "township": person.township,
                            "disabled": account.disabled,
                        }
                    )
                    continue
                state = "停用 disabled" if account.disabled else "可用 enabled"
                line = f"{account.username}  {account.role}  {person.name}  {person.township}"
                OUT.print(f"{line}  {state}", markup=False)
    finally:
        office.close()


@app.register_command()
def disable(username: Username, *, as_json: Json = False) -> None:
    """Disable an account; its open sessions end."""
    office = Office.open(Settings())
    try:
        with office.catalogue.write() as uow:
            account = people.account_by_username(uow.session, username)
            if account is None:
                raise ApiError("not-found", what="account", id=username[:80])
            people.set_disabled(uow, account.id, disabled=True, actor=SYSTEM)
    finally:
        office.close()
    message = f"已停用 disabled: {username}"
    say_done(message, as_json=as_json, username=username, disabled=True)


@app.register_command()
def password(username: Username, password: Password = None, *, as_json: Json = False) -> None:
    """Set a new password; open sessions end."""
    office = Office.open(Settings())
    try:
        Service.of_office(office).identity.set_password(username, password or _asked_twice())
    finally:
        office.close()
    message = f"已重设密码 password set: {username}"
    say_done(message, as_json=as_json, username=username, password_set=True)


def _asked_twice() -> str:
    answer: str = typer.prompt("密码 password", hide_input=True, confirmation_prompt=True, err=True)
    return answer
