"""The local cloud names the errors of functions as Step Functions names them on AWS."""

from typing import Any

import pytest

from local.emulator import with_name

TRACEBACK = """2026-11-20 INFO a line of the function's log
Traceback (most recent call last):
  File "/var/task/app.py", line 1, in handler
    invoke()
botocore.errorfactory.ThrottlingException: Rate exceeded

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/var/task/app.py", line 2, in handler
    raise EndpointBusyError("endpoint x: busy")
{raised}
"""


def failed(log: str, error_type: str = "Runtime.HandlerError") -> dict[str, Any]:
    return {
        "error": True,
        "log": log,
        "body": {"errorMessage": "endpoint x: busy", "errorType": error_type},
    }


@pytest.mark.parametrize(
    ("result", "name"),
    [
        (
            failed(TRACEBACK.format(raised="app.EndpointBusyError: endpoint x: busy")),
            "EndpointBusyError",
        ),
        (failed(TRACEBACK.format(raised="ValueError: two\nlines: of it")), "ValueError"),
        (failed(TRACEBACK.format(raised="KeyError")), "KeyError"),
        (failed("no traceback"), "Runtime.HandlerError"),
        (failed(TRACEBACK, "Sandbox.Timedout"), "Sandbox.Timedout"),
        (
            {
                "error": True,
                "throttle": True,
                "log": "",
                "body": {"__type": "TooManyRequestsException", "message": "Rate Exceeded"},
            },
            "Lambda.TooManyRequestsException",
        ),
    ],
)
def test_errors_are_named_as_on_aws(result: dict[str, Any], name: str) -> None:
    assert with_name(result)["body"]["errorType"] == name


def test_results_of_functions_are_not_changed() -> None:
    assert with_name({"body": [1], "log": ""}) == {"body": [1], "log": ""}
