"""Read IAM and S3 policy documents in all the forms that AWS accepts."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

EVERYONE = "*"


@dataclass(frozen=True)
class Statement:
    """A statement with one value or many, written as lists.

    Attributes:
        sid: "" if it has none.
        effect: "Allow" or "Deny".
        actions: that it applies to; None if `not_actions` says to which it does not.
        principals: of each type, such as "AWS" or "Service"; {"AWS": ["*"]} is everyone, and
            None if `not_principals` says who is exempt, or if it names no principal at all.
        resources: that it applies to.
        has_condition: whether it depends on the request.

    """

    sid: str
    effect: str
    actions: list[str] | None
    not_actions: list[str] | None
    principals: dict[str, list[str]] | None
    not_principals: dict[str, list[str]] | None
    resources: list[str]
    has_condition: bool

    def covers(self, action: str) -> bool:
        """Whether it applies to an action; names of actions ignore case, and * and ? match."""
        patterns = self.not_actions if self.actions is None else self.actions
        matches = any(
            fnmatchcase(action.lower(), each.lower().replace("[", "[[]")) for each in patterns or []
        )
        return matches == (self.actions is not None)


def statements(document: str | Mapping[str, Any]) -> Iterator[Statement]:
    """The statements of a policy: a mapping, or JSON, URL-encoded as IAM returns it or not."""
    policy = document if isinstance(document, Mapping) else _parse(document)
    for found in _list(policy.get("Statement", [])):
        yield Statement(
            sid=str(found.get("Sid", "")),
            effect=found["Effect"],
            actions=_list(found["Action"]) if "Action" in found else None,
            not_actions=_list(found["NotAction"]) if "NotAction" in found else None,
            principals=_principals(found.get("Principal")),
            not_principals=_principals(found.get("NotPrincipal")),
            resources=_list(found.get("Resource", EVERYONE)),
            has_condition=bool(found.get("Condition")),
        )


def _parse(text: str) -> dict[str, Any]:
    is_json = text.lstrip().startswith("{")
    return dict(json.loads(text if is_json else unquote(text)))


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _principals(value: Any) -> dict[str, list[str]] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return {"AWS": [value]}
    return {kind: _list(names) for kind, names in value.items()}
