"""Names that are derived from the stack's: only those that AWS accepts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.errors import UserError
from operations.stack import Names, bucket_name_problem


def names(stack: str, region: str = "eu-west-1") -> Names:
    return Names(stack, "endpoint", "123456789012", region)


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 64,
        "Scones",
        "under_score",
        "-scones",
        "scones-",
        "scones..unlimited",
        ".scones",
        "192.168.5.4",
        "xn--scones",
        "sthree-scones",
        "amzn-s3-demo-scones",
        "scones-s3alias",
        "scones--ol-s3",
        "scones.mrap",
        "scones--x-s3",
        "scones--table-s3",
        "scones\n",
        "küche",
    ],
)
def test_bucket_names_that_s3_refuses_have_a_problem(name: str) -> None:
    assert bucket_name_problem(name)


@pytest.mark.parametrize("name", ["abc", "a" * 63, "scones.unlimited", "1-2", "1.2.3", "x-n-s3"])
def test_bucket_names_that_s3_accepts_have_none(name: str) -> None:
    assert bucket_name_problem(name) is None


@given(st.from_regex(r"[a-zA-Z][-a-zA-Z0-9]{0,127}", fullmatch=True))
def test_a_stack_name_is_allowed_if_its_bucket_is(stack: str) -> None:
    bucket = f"{stack}-training-123456789012-eu-west-1"
    if bucket_name_problem(bucket):
        with pytest.raises(UserError, match="--stack-name"):
            _ = names(stack).training_bucket
    else:
        assert names(stack).training_bucket == bucket


@pytest.mark.parametrize(
    ("region", "longest"), [("us-east-1", 31), ("ap-southeast-1", 26), ("us-gov-west-1", 27)]
)
def test_the_longest_stack_name_is_said(region: str, longest: int) -> None:
    assert len(names("s" * longest, region).training_bucket) == 63
    with pytest.raises(UserError, match=f"at most {longest} characters"):
        _ = names("s" * (longest + 1), region).training_bucket


def test_capitals_in_the_name_of_a_stack_are_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="capital") as refused:
        _ = names("Scones").training_bucket
    assert "\n" not in str(refused.value)
