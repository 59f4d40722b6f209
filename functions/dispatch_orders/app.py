"""Dispatch orders: store couriers and orders, plan routes, and assign those that leave now."""

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.dispatch_orders.dispatching import dispatch
from functions.dispatch_orders.fleet import read_fleet
from functions.dispatch_orders.intake import Batch

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

logger = Logger(use_rfc3339=True)
tracer = Tracer(patch_modules=["botocore"])
sqs = boto3.client("sqs")
fleet = read_fleet()


@tracer.capture_lambda_handler
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> "PartialItemFailureResponse":
    """Store a batch of messages. Make a plan, unless more messages wait and none asks for a plan.

    If a message fails, it is returned with all messages after it, in their sequence.
    """
    batch = Batch(fleet, datetime.now(UTC))
    response = process_partial_response(event, batch.take, SqsFifoPartialProcessor(), context)
    if batch.must_plan or not more_messages():
        dispatch(fleet, batch.now, batch.new_orders)
    return response


def more_messages() -> bool:
    """Return whether messages wait in the queue, so that another plan follows at once."""
    attributes = sqs.get_queue_attributes(
        QueueUrl=os.environ["DISPATCH_QUEUE_URL"], AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"]) > 0
