"""The commands of the README run as they stand, against the deployed stack."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repository import REPOSITORY
from tests.support.stack import Stack, standard_only
from tests.support.waiting import wait_until

FENCE = re.compile(r"(?P<before>[^\n]*)\n```(?P<language>\w*)\n(?P<body>.*?)```\n", re.DOTALL)
BLOCKS = list(FENCE.finditer((REPOSITORY / "README.md").read_text()))
TESTED = [
    block["body"]
    for block in BLOCKS
    if block["language"] == "sh" and not re.match(r"<!-- not tested: .+ -->", block["before"])
]


@pytest.fixture(scope="module")
def aws_cli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the AWS CLI, version 1, in an environment of its own."""
    folder = tmp_path_factory.mktemp("awscli")
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    subprocess.run(
        [
            *(uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes"),
            *("--python", folder / "bin" / "python"),
            *("--requirement", REPOSITORY / "requirements" / "awscli.txt"),
        ],
        check=True,
    )
    return folder / "bin"


def test_every_block_says_what_it_is() -> None:
    assert {block["language"] for block in BLOCKS} <= {"sh", "text", "mermaid"}
    assert TESTED


@standard_only
def test_the_commands_run_and_do_what_they_say(stack: Stack, aws_cli: Path) -> None:
    environment = stack.cloud.environment()
    environment["PATH"] = f"{aws_cli}{os.pathsep}{environment['PATH']}"
    before = stack.executions()
    for block in TESTED:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"

    # the upload, and the same photo once more
    started = wait_until(
        lambda: found if len(found := stack.executions() - before) >= 2 else None,
        "two executions",
    )
    keys = {
        json.loads(stack.ended(execution)["input"])["detail"]["object"]["key"]
        for execution in started
    }
    assert keys == {"uploads/42/bicycle-courier.jpg"}
    orders = stack.outputs["OrdersTableName"]
    wait_until(
        lambda: stack.dynamodb.get_item(TableName=orders, Key={"order_id": {"S": "1001"}}).get(
            "Item"
        ),
        "the order",
    )
