"""Policy documents are read in every form that AWS accepts."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.policies import statements

NAMES = st.lists(st.sampled_from(["*", "arn:aws:iam::111122223333:role/r", "a"]), min_size=1)
ACTIONS = st.lists(st.sampled_from(["s3:GetObject", "s3:*", "*"]), min_size=1)
PRINCIPALS = st.dictionaries(
    st.sampled_from(["AWS", "Service", "Federated", "CanonicalUser"]), NAMES, min_size=1
)


@st.composite
def policies(draw: st.DrawFn) -> tuple[list[dict[str, Any]], Any]:
    """Statements with lists everywhere, and the same policy in a form that AWS accepts."""

    def short(values: list[str]) -> list[str] | str:
        return values[0] if len(values) == 1 and draw(st.booleans()) else values

    plain, written = [], []
    for _ in range(draw(st.integers(1, 3))):
        names, actions = draw(PRINCIPALS), draw(ACTIONS)
        negated = draw(st.sampled_from(["", "Not"]))
        action = draw(st.sampled_from(["Action", "NotAction"]))
        written_names: Any = {kind: short(each) for kind, each in names.items()}
        if names == {"AWS": ["*"]} and draw(st.booleans()):
            written_names = "*"
        plain.append({"principals": names, "negated": negated, action: actions})
        written.append(
            {"Effect": "Allow", f"{negated}Principal": written_names, action: short(actions)}
        )
    form: Any = {"Statement": written}
    if len(written) == 1 and draw(st.booleans()):
        form["Statement"] = written[0]
    encode = draw(st.sampled_from([lambda x: x, json.dumps, lambda x: quote(json.dumps(x))]))
    return plain, encode(form)


@given(policies())
def test_statements_are_the_same_in_every_form_of_a_policy(
    policy: tuple[list[dict[str, Any]], Any],
) -> None:
    plain, document = policy
    found = list(statements(document))
    assert len(found) == len(plain)
    for one, expected in zip(found, plain, strict=True):
        used, unused = one.principals, one.not_principals
        if expected["negated"]:
            used, unused = unused, used
        assert (used, unused) == (expected["principals"], None)
        assert one.actions == expected.get("Action")
        assert one.not_actions == expected.get("NotAction")


@pytest.mark.parametrize(
    ("written", "covers"),
    [
        ({"Action": "s3:Delete*"}, True),
        ({"Action": "S3:deleteobject"}, True),
        ({"Action": ["s3:GetObject", "*"]}, True),
        ({"Action": "s3:DeleteObjec?"}, True),
        ({"Action": "s3:GetObject"}, False),
        ({"Action": "s3:Delete[O]bject"}, False),
        ({"NotAction": "s3:GetObject"}, True),
        ({"NotAction": "s3:Delete*"}, False),
    ],
)
def test_an_action_is_covered_by_wildcards_and_negation(
    written: dict[str, Any], covers: bool
) -> None:
    [found] = statements({"Statement": {"Effect": "Deny", "Principal": "*", **written}})
    assert found.covers("s3:DeleteObject") == covers


def test_a_policy_without_statements_allows_nothing() -> None:
    assert list(statements("{}")) == []
