"""Check the arguments of `make launch` and the stack, before torch is installed."""

import os
import sys

from botocore.exceptions import BotoCoreError, ClientError

from operations.errors import UserError, explain
from training.launch.cloud import Cloud
from training.launch.settings import make_parser


def main(arguments: list[str] | None = None) -> None:
    """Exit with one line if something is wrong."""
    options = make_parser(__doc__).parse_args(arguments)
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
