"""An account to delete from, and the command as a person runs it."""

import sys

import boto3
import botocore.session
import pytest

from operations import delete
from tests.support.account import Aws, Clean, Outcome


@pytest.fixture
def aws_account(aws: None) -> Aws:
    account = Aws()
    session = botocore.session.get_session()
    session.register("before-call", account.answer)
    boto3.setup_default_session(botocore_session=session)
    return account


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Clean:
    """Run the command as a person does. `answer` is typed at its question."""

    def run(*arguments: str, answer: str | None = None) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["delete", *arguments])

        def person(question: str) -> str:
            print(question)
            if answer is None:
                raise EOFError
            return answer

        monkeypatch.setattr("builtins.input", person)
        with pytest.raises(SystemExit) as ended:
            sys.exit(delete.main())
        output = capsys.readouterr()
        assert "Traceback" not in output.err
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, output.out, output.err)

    return run
