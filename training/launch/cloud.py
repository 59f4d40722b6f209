"""The account, the region and the deployed stack of a run.

    .venv/bin/python -m training.launch.cloud    # one line of error if the stack is not deployed

`make launch` runs this first, in the small environment, before it installs torch.
"""

from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import NoRegionError

from operations.stack import Names, require_stack


class Cloud:
    """Clients for an account and region, and names of the deployed stack.

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
