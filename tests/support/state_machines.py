"""State machines as files: their states, and where these lead."""

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.support.repository import STATE_MACHINES

Machine = dict[str, Any]


@dataclass
class Workflow:
    """A workflow of the stack: its name, and the resources of the template."""

    name: str
    resources: dict[str, Any]

    @property
    def text(self) -> str:
        """The file of the state machine, before substitution."""
        stem = re.sub(r"(?<!^)(?=[A-Z])", "_", self.name).lower()
        return (STATE_MACHINES / f"{stem}.asl.json").read_text()

    @property
    def machine(self) -> Machine:
        definition: Machine = json.loads(self.text)
        return definition

    @property
    def substitutions(self) -> set[str]:
        """The names that the template substitutes in the file."""
        properties = self.resources[f"{self.name}StateMachine"]["Properties"]
        return set(properties["DefinitionSubstitutions"])


def inner(state: dict[str, Any]) -> list[Machine]:
    """The machines within a Parallel or a Map."""
    return [
        *state.get("Branches", []),
        *([state["ItemProcessor"]] if "ItemProcessor" in state else []),
    ]


def machines(machine: Machine) -> list[Machine]:
    """A machine, and all machines within its states."""
    found = [machine]
    for state in machine["States"].values():
        for each in inner(state):
            found += machines(each)
    return found


def all_states(machine: Machine) -> dict[str, Any]:
    """All states by name, with those within other states."""
    return {name: state for each in machines(machine) for name, state in each["States"].items()}


def tasks(machine: Machine) -> dict[str, Any]:
    """All states that call a service, by name."""
    return {name: s for name, s in all_states(machine).items() if s["Type"] == "Task"}


def choices_and_catches(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The conditions and the caught errors that lead from a state to another."""
    return [*state.get("Choices", []), *state.get("Catch", [])]


def successors(state: dict[str, Any]) -> list[str]:
    """The states that may follow."""
    following = [way["Next"] for way in [state, *choices_and_catches(state)] if "Next" in way]
    return following + ([state["Default"]] if "Default" in state else [])
