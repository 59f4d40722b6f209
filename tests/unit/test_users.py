"""`make users`: its effects and its errors."""

import sys
from typing import Any

import boto3
import pytest

from operations import users
from tests.support.tables import resources

GROUPS = ("couriers", "reviewers", "managers")


@pytest.fixture
def pool(aws: None, monkeypatch: pytest.MonkeyPatch) -> str:
    cognito = boto3.client("cognito-idp")
    policies = resources()["UserPool"]["Properties"]["Policies"]
    found: str = cognito.create_user_pool(PoolName="users", Policies=policies)["UserPool"]["Id"]
    for group in GROUPS:
        cognito.create_group(UserPoolId=found, GroupName=group)
    monkeypatch.setattr(users, "users_of", lambda _stack: users.Users(cognito, found))
    return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command; exit code, output and errors."""

    def run_command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["users", *arguments])
        code = users.main()
        return code, *capsys.readouterr()

    return run_command


def test_users_are_created_listed_blocked_and_reset(pool: str, run: Any) -> None:
    code, out, _ = run("create", "anna", "couriers")
    assert code == 0
    assert out.startswith("anna, temporary password: ")
    run("create", "max", "managers")
    assert run("block", "max")[0] == 0
    assert run("list")[1].splitlines() == [
        "anna\tcouriers\tFORCE_CHANGE_PASSWORD",
        "max\tmanagers\tblocked",
    ]
    run("unblock", "max")
    assert "blocked" not in run("list")[1]
    assert run("reset", "anna")[1] != out


def test_a_fault_is_reported_in_one_line(pool: str, run: Any) -> None:
    run("create", "anna", "couriers")
    for arguments, line in (
        (("create", "anna", "couriers"), "users: anna: The name is taken. Choose another one.\n"),
        (("reset", "ben"), "users: ben: There is no such user.\n"),
    ):
        assert run(*arguments) == (1, "", line)


@pytest.mark.parametrize("name", ["a/b", "Anna", "", "../x"])
def test_a_name_that_cannot_be_a_folder_is_refused(
    pool: str, run: Any, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run("create", name, "couriers")
    assert "use lower-case letters" in capsys.readouterr().err
