"""The use cases that samconfig.toml has an environment for, as the local cloud runs them."""

import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from local.processes import PROJECT, SAMPLE_PHOTOS, LocalCloudError

DEFAULT = "vehicles"  # the environment `default`; each other environment has its use case's name
LOCAL = "local"  # the environment of the local cloud: what differs there for every use case


@dataclass(frozen=True)
class UseCase:
    """A stack with other parameters: `parameters` are those that differ from the template's."""

    name: str
    stack_name: str
    parameters: dict[str, str]

    @property
    def model(self) -> Path:
        """The folder of its model."""
        return PROJECT / "models" / self.name

    @property
    def photos(self) -> Path:
        """The folder of its sample photos."""
        return SAMPLE_PHOTOS if self.name == DEFAULT else PROJECT / "local" / "samples" / self.name

    @property
    def sample_photo(self) -> str:
        """The first sample photo, relative to the project, or a name to replace."""
        photos = sorted(self.photos.glob("*")) if self.photos.is_dir() else []
        return str(photos[0].relative_to(PROJECT)) if photos else "photo.jpg"

    @property
    def make_argument(self) -> str:
        """The argument of `make` for this use case, after a space; empty for the default."""
        return "" if self.name == DEFAULT else f" USE_CASE={self.name}"

    @property
    def labels(self) -> list[str]:
        """The labels that the stack knows."""
        labels = self.parameters.get("Labels") or default_of("Labels")
        return labels.split(",")

    @property
    def has_dispatch(self) -> bool:
        """Whether couriers get orders."""
        return self.parameters.get("Dispatch", "on") == "on"

    @property
    def sender(self) -> str:
        """What a sender of sample photos is called."""
        return "courier" if self.has_dispatch else "sender"

    @property
    def topic_labels(self) -> list[str]:
        """The labels that have a topic."""
        return list(filter(None, self.parameters.get("TopicLabels", "").split(",")))


def find_use_case(name: str, samconfig: Path = PROJECT / "samconfig.toml") -> UseCase:
    """The use case of a name.

    Raises:
        LocalCloudError: samconfig.toml has no environment for it.

    """
    environments = tomllib.loads(samconfig.read_text("utf-8"))
    environments[DEFAULT] = environments.pop("default")
    known = sorted(environments.keys() - {"version", LOCAL})
    if name not in known:
        raise LocalCloudError(
            f"there is no use case {name!r}: give one of {', '.join(known)}, or add an environment "
            "to samconfig.toml (docs/use-cases.md)"
        )
    stack_name = environments[name]["global"]["parameters"]["stack_name"]
    return UseCase(name, stack_name, overrides(environments[name]))


def default_of(parameter: str, template: Path = PROJECT / "template.yaml") -> str:
    """What a parameter of the template is if nothing sets it."""
    return str(yaml_parse(template.read_text("utf-8"))["Parameters"][parameter]["Default"])


def local_parameters(samconfig: Path = PROJECT / "samconfig.toml") -> dict[str, str]:
    """The parameters that differ on the local cloud, for every use case."""
    return overrides(tomllib.loads(samconfig.read_text("utf-8"))[LOCAL])


def overrides(environment: dict[str, Any]) -> dict[str, str]:
    """The parameters of the template that an environment sets."""
    text = environment["deploy"]["parameters"].get("parameter_overrides", "")
    pairs = (word.partition("=") for word in shlex.split(text))
    return {name: value for name, _, value in pairs}
