"""Makes one call with boto3: a call on standard input, what came of it on standard output."""

import json
import sys

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

call = json.load(sys.stdin)
config = None if call["sign"] else Config(signature_version=UNSIGNED)
client = boto3.client("apigatewaymanagementapi", endpoint_url=call["endpoint"], config=config)


def millis(time):
    return round(time.timestamp() * 1000)


def run():
    connection = {"ConnectionId": call["id"]}
    match call["operation"]:
        case "post":
            client.post_to_connection(Data=call["data"].encode(), **connection)
        case "delete":
            client.delete_connection(**connection)
        case "get":
            found = client.get_connection(**connection)
            return {
                "source_ip": found["Identity"]["SourceIp"],
                "user_agent": found["Identity"]["UserAgent"],
                "connected_at": millis(found["ConnectedAt"]),
                "last_active_at": millis(found["LastActiveAt"]),
            }
    return None


try:
    outcome = {"Done": run()}
except ClientError as error:
    outcome = {
        "Refused": {
            "code": error.response["Error"]["Code"],
            "message": error.response["Error"]["Message"],
            "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
            "is_typed": type(error) is not ClientError,
        }
    }
json.dump(outcome, sys.stdout)
