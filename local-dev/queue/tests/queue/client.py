"""Uses a FIFO queue with boto3, which compares every digest. Its URL and its endpoint are the arguments."""

import sys

import boto3

endpoint, url = sys.argv[1:]
sqs = boto3.client("sqs", endpoint_url=endpoint, region_name="eu-west-1", aws_access_key_id="AKID", aws_secret_access_key="x")
attributes = {
    "word": {"DataType": "String", "StringValue": "hé"},
    "bytes": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
    "number": {"DataType": "Number", "StringValue": "-1.5"},
}
entry = {"MessageBody": "hé", "MessageAttributes": attributes, "MessageGroupId": "A"}
sent = sqs.send_message(QueueUrl=url, MessageDeduplicationId="1", **entry)
batch = sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "x", "MessageDeduplicationId": "2", **entry}])
assert batch["Successful"][0]["SequenceNumber"] > sent["SequenceNumber"], batch
messages = sqs.receive_message(
    QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
)["Messages"]
assert [message["Body"] for message in messages] == ["hé", "hé"], messages
assert messages[0]["MessageAttributes"] == attributes, messages[0]
assert messages[0]["Attributes"]["MessageGroupId"] == "A", messages[0]
sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=messages[0]["ReceiptHandle"], VisibilityTimeout=60)
for message in messages:
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
try:
    sqs.get_queue_url(QueueName="no")
except sqs.exceptions.QueueDoesNotExist as error:
    assert error.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue", error.response
    print("done")
