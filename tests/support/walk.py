"""Walks through a state machine. The local engine evaluates it, a test gives the responses.

What a state machine sends is compared with AWS's service models: names, types, lengths, patterns.
Variables have the scope that they have on AWS, which the local cloud does not enforce.
"""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import botocore.session
from botocore.validate import ParamValidator
from ministack.services import stepfunctions as engine

from tests.support.repository import STATE_MACHINES

STARTED = "2026-11-21T03:30:15.123Z"
SERVICES = {"applicationautoscaling": "application-autoscaling", "states": "stepfunctions"}


class Failure(Exception):  # noqa: N818  (what Step Functions calls it)
    """The error and cause with which a state fails. A test gives one instead of a response."""

    def __init__(self, error: str, cause: str | None) -> None:
        super().__init__(error, cause)
        self.error, self.cause = error, cause


def read(name: str, substitutions: dict[str, str]) -> dict[str, Any]:
    """A state machine of the folder statemachine/, after its substitutions."""
    text = (STATE_MACHINES / f"{name}.asl.json").read_text()
    machine: dict[str, Any] = json.loads(
        re.sub(r"\$\{(\w+)\}", lambda found: substitutions[found[1]], text)
    )
    return machine


class Walk:
    """One path through a state machine.

    Attributes:
        visited: the names of the states, in order.
        calls: the last arguments of each task, by its name.
        failure: what the execution failed with; None if it succeeded.
        output: of the execution.

    """

    def __init__(self, machine: dict[str, Any], given: dict[str, Any], event: Any) -> None:
        """`given` has a response for each task, a list for several visits, or a Failure."""
        self.given = {name: iter(v) for name, v in given.items() if isinstance(v, list)}
        self.always = given
        self.visited: list[str] = []
        self.calls: dict[str, Any] = {}
        self.failure: Failure | None = None
        self.context: dict[str, Any] = {
            "QueryLanguage": "JSONata",
            "Execution": {
                "Id": "arn:aws:states:eu-west-1:123456789012:execution:Machine:1",
                "StartTime": STARTED,
                "Input": event,
            },
            "State": {"EnteredTime": "2026-11-21T03:30:15.500Z", "RetryCount": 0},
            "variables": {},
        }
        self.output: Any = None
        try:
            self.output = self.run(machine, event)
        except Failure as failure:
            self.failure = failure

    def run(self, machine: dict[str, Any], given: Any) -> Any:
        """Run a state machine or a branch; return its output."""
        name: str | None = machine["StartAt"]
        value = given
        while name:
            self.visited.append(name)
            state = machine["States"][name]
            try:
                value, name = self.step(name, state, value)
            except Failure as failure:
                way = engine._find_matching_catcher(state.get("Catch", []), failure.error)
                if way is None:
                    raise
                value = {"Error": failure.error}
                value |= {} if failure.cause is None else {"Cause": failure.cause}
                engine._apply_state_assign(way, value, self.context, error_output=value)
                name = way["Next"]
        return value

    def step(self, name: str, state: dict[str, Any], value: Any) -> tuple[Any, str | None]:
        """Run a state; return its output and the name of the next state."""
        match state["Type"]:
            case "Choice":
                for way in state["Choices"]:
                    if engine._evaluate_jsonata_choice_rule(way, value, self.context):
                        engine._apply_state_assign(way, value, self.context)
                        return value, way["Next"]
                engine._apply_state_assign(state, value, self.context)
                return value, state["Default"]
            case "Fail":
                raise Failure(*engine._fail_state_error(state, value, self.context))
            case "Parallel":
                value = [self.branch(each, value) for each in state["Branches"]]
            case "Task":
                value = self.call(name, state, value)
        output = engine._apply_jsonata_output(state, value, self.context, value, default=value)
        engine._apply_state_assign(state, value, self.context, result=value)
        return output, state.get("Next")

    def branch(self, machine: dict[str, Any], value: Any) -> Any:
        """Run a branch. It sees the variables around it, and must not change them."""
        outer = self.context["variables"]
        self.context["variables"] = deepcopy(outer)
        try:
            return self.run(machine, value)
        finally:
            inner = self.context["variables"]
            assert {name: inner[name] for name in outer} == outer, "an outer variable was changed"
            self.context["variables"] = outer

    def call(self, name: str, state: dict[str, Any], value: Any) -> Any:
        arguments = engine._apply_jsonata_arguments(state, value, self.context)
        check(state["Resource"], arguments)
        self.calls[name] = arguments
        answer = next(self.given[name]) if name in self.given else self.always.get(name, {})
        if isinstance(answer, Failure):
            raise answer
        return answer


# ── Arguments against the service models ──


@cache
def service(name: str) -> Any:
    return botocore.session.get_session().get_service_model(SERVICES.get(name, name))


def check(resource: str, arguments: dict[str, Any]) -> None:
    """Compare a call's arguments with the service model."""
    name, action = resource.split(":::")[1].removeprefix("aws-sdk:").split(":")[:2]
    operation = action.removesuffix(".sync")
    if name == "states":  # the integration takes the input as an object
        arguments = {key[0].lower() + key[1:]: value for key, value in arguments.items()}
        arguments |= {"input": json.dumps(arguments["input"])}
    shape = service(name).operation_model(operation[0].upper() + operation[1:]).input_shape
    report = ParamValidator().validate(arguments, shape).generate_report()
    problems = ([report] if report else []) + list(deviations(arguments, shape, operation))
    assert not problems, problems


def deviations(value: Any, shape: Any, path: str) -> Iterator[str]:
    """The deviations that ParamValidator does not check."""
    about = shape.metadata
    if shape.type_name == "structure":
        for name, inner in value.items():
            yield from deviations(inner, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        if len(value) > about.get("max", len(value)):
            yield f"{path} has {len(value)} members"
        for inner in value:
            yield from deviations(inner, shape.member, f"{path}[]")
    elif shape.type_name == "map":
        for name, inner in value.items():
            yield from deviations(name, shape.key, f"{path} key")
            yield from deviations(inner, shape.value, f"{path}.{name}")
    elif shape.type_name == "string":
        if "enum" in about and value not in about["enum"]:
            yield f"{path}: {value} is none of {about['enum']}"
        if len(value) > about.get("max", len(value)):
            yield f"{path}: {value} is longer than {about['max']}"
        pattern = about.get("pattern", r"\p").strip("^$")
        if not re.search(r"\\[pu]", pattern) and not re.fullmatch(pattern, value):
            yield f"{path}: {value} does not match {pattern}"
