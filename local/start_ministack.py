"""MiniStack, with the errors of functions named as Step Functions names them on AWS.

MiniStack calls every exception of a function `Runtime.HandlerError`, and a function that it refuses
for lack of concurrency `Lambda.Unknown`. State machines retry by the names that AWS uses.
"""

import re
from typing import Any

from ministack.app import main
from ministack.services import lambda_svc

# The last exception of a traceback: "app.EndpointError: endpoint x: ...".
RAISED = re.compile(r"^(?:\w+\.)*(\w+)(?::|$)", re.MULTILINE)

execute = lambda_svc._execute_function_with_config_scope  # noqa: SLF001 no public one exists


def execute_and_name_errors(function: dict[str, Any], event: Any) -> dict[str, Any]:
    """Run a function; `errorType` of its answer is the class of what it raised, or the throttle."""
    result: dict[str, Any] = execute(function, event)
    if result.get("throttle"):
        result["body"]["errorType"] = "Lambda.TooManyRequestsException"
    elif result.get("error") and result["body"].get("errorType") == "Runtime.HandlerError":
        _, found, traceback = result.get("log", "").rpartition(
            "Traceback (most recent call last):\n"
        )
        if found and (raised := RAISED.search(traceback)):
            result["body"]["errorType"] = raised[1]
    return result


if __name__ == "__main__":
    lambda_svc._execute_function_with_config_scope = execute_and_name_errors  # noqa: SLF001
    main()
