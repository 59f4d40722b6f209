"""Subscribe queues to the topics of the local cloud, and receive what they published."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from local.cloud import LocalCloud
from local.uploads import Upload

TOPIC_SECONDS = 30
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Message:
    """A photo that a topic received: the name of the topic, and what the message says."""

    topic: str
    sender_id: str
    photo: str
    reason: str


class Subscriber:
    """A team that responds to every topic of the stack: one queue for each."""

    def __init__(self, cloud: LocalCloud, outputs: dict[str, str]) -> None:
        """Receive from now on what the topics publish."""
        self.sqs, self.labels = cloud.client("sqs"), cloud.use_case.topic_labels
        self.queues: dict[str, str] = {}  # URLs by the name of the topic
        sns, prefix = cloud.client("sns"), outputs.get("TopicArnPrefix")
        for label in self.labels:
            topic = f"{prefix}{label}"
            queue = {"QueueUrl": self.sqs.create_queue(QueueName=f"{label}-team")["QueueUrl"]}
            attributes = self.sqs.get_queue_attributes(**queue, AttributeNames=["QueueArn"])
            arn = attributes["Attributes"]["QueueArn"]
            policy = {"Version": "2012-10-17", "Statement": [may_send(topic, arn)]}
            self.sqs.set_queue_attributes(**queue, Attributes={"Policy": json.dumps(policy)})
            raw = {"RawMessageDelivery": "true"}
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
            self.queues[topic.rpartition(":")[2]] = queue["QueueUrl"]

    def receive(self, accepted: Sequence[Upload]) -> list[Message]:
        """The messages of accepted photos, by topic; waits for them, but not for ever."""
        expected = sum(
            upload.record is not None and upload.record["label"]["S"] in self.labels
            for upload in accepted
        )
        messages: list[Message] = []
        deadline = time.monotonic() + TOPIC_SECONDS
        while len(messages) < expected and time.monotonic() < deadline:
            for topic, url in self.queues.items():
                messages += self.receive_from(topic, url)
            time.sleep(POLL_SECONDS)
        return sorted(messages, key=lambda message: (message.topic, message.photo))

    def receive_from(self, topic: str, url: str) -> list[Message]:
        """The messages that the queue of a topic holds now."""
        found = []
        received = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        for message in received.get("Messages", []):
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            body = json.loads(message["Body"])
            photo = body["s3_key"].split("/", 2)[-1]
            found.append(Message(topic, body["sender_id"], photo, body["reason"]))
        return found


def may_send(topic: str, queue: str) -> dict[str, object]:
    """The statement of a queue's policy that lets a topic send to it; both are ARNs."""
    return {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
