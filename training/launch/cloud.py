"""The account, the region and the deployed stack that a run works in.

    python -m training.launch.cloud    # ends with one line if a run could not work there

`make launch` asks this first, with the small environment, before it installs torch.
"""

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from operations.errors import UserError, explain
from operations.stack import DEFAULT_STACK, Names, require_stack


class Cloud:
    """Clients for an account and region, and what the deployed stack has for training.

    Raises:
        UserError: the stack is not deployed.

    """

    def __init__(self, stack: str) -> None:
        self.session = boto3.Session()
        if self.session.region_name is None:
            raise NoRegionError
        identity = self.client("sts").get_caller_identity()
        self.caller = identity["Arn"]
        self.stack = require_stack(self.client("cloudformation"), stack)
        endpoint = self.stack.parameter("EndpointName")
        self.names = Names(stack, endpoint, identity["Account"], self.session.region_name)
        self.bucket = self.stack.output("TrainingBucketName")

    def client(self, service: str, **options: Any) -> Any:
        retries = Config(retries={"mode": "standard", "max_attempts": 5}, **options)
        client: Callable[..., Any] = self.session.client  # its stub wants a literal
        return client(service, config=retries)

    def uri(self, key: str) -> str:
        """The S3 URI of a key in the training bucket."""
        return f"s3://{self.bucket}/{key}"


def main(arguments: list[str] | None = None) -> None:
    """Look for the stack that the arguments of a run name."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--stack-name", default=DEFAULT_STACK)
    parser.add_argument("--region")
    options, _ = parser.parse_known_args(arguments)
    if options.region:
        os.environ["AWS_DEFAULT_REGION"] = options.region
    try:
        Cloud(options.stack_name)
    except UserError as error:
        sys.exit(f"launch: {error}")
    except (ClientError, BotoCoreError) as error:
        sys.exit(f"launch: {explain(error)}")


if __name__ == "__main__":
    main()
