"""Each stack uploads its artifacts into its own folder."""

import tomllib

from tests.support.repository import REPOSITORY


def test_the_artifacts_of_a_stack_are_in_the_folder_of_its_name() -> None:
    environments = tomllib.loads((REPOSITORY / "samconfig.toml").read_text())
    folders = {
        each["global"]["parameters"]["stack_name"]: each["deploy"]["parameters"]["s3_prefix"]
        for name, each in environments.items()
        if name not in ("version", "local")  # the bucket is deleted with the local cloud
    }
    assert folders
    for stack, folder in folders.items():
        assert folder == stack
