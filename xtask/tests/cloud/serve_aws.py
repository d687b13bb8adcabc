"""The AWS CLI, loaded once: half of what a command takes is loading it. Each command is a fork of this, with the arguments,
environment, folder and files of whoever calls."""

import functools
import gc
import json
import os
import signal
import socket
import sys

import awscli.clidriver
from awscli.botocore import loaders
from awscli.botocore.session import Session
from awscli.customizations import overridesslcommonname

MESSAGE_BYTES_MAX = 1 << 17

# Where the CLI has its descriptions of services, which it notes when it is loaded.
FOUND_BY = {"AWS_DATA_PATH": os.environ["AWS_DATA_PATH"]}


def load():
    """Makes what every command makes anew, to have its modules and the descriptions of services, which are kept."""
    loaders.create_loader = functools.lru_cache(loaders.create_loader)
    awscli.clidriver.create_clidriver().create_help_command()
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    # SQS, too, is where AWS_ENDPOINT_URL says.
    overridesslcommonname.SSL_COMMON_NAMES.clear()
    for service in ["cloudformation", "dsql", "lambda", "s3", "sts"]:
        Session().create_client(service, "us-east-1", **keys)


def token(named):
    """What version 2 has and version 1 hasn't: a token for Aurora DSQL, by the signer that both come with."""
    named = dict(zip(named[::2], named[1::2]))
    client = Session().create_client("dsql", named["--region"])
    print(client.generate_db_connect_admin_auth_token(named["--hostname"], named["--region"]))


def run(call, files):
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update({**FOUND_BY, **call["environment"]})
    os.chdir(call["folder"])
    if call["arguments"][:2] == ["dsql", "generate-db-connect-admin-auth-token"]:
        sys.exit(token(call["arguments"][2:]))
    sys.argv = ["aws", *call["arguments"]]
    sys.exit(awscli.clidriver.main())


def answer(caller):
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, files, _, _ = socket.recv_fds(caller, MESSAGE_BYTES_MAX, 3)
    command = os.fork()
    if command == 0:
        caller.close()
        run(json.loads(message), files)
    _, status = os.waitpid(command, 0)
    caller.send(bytes([os.waitstatus_to_exitcode(status) & 0xFF]))
    os._exit(0)


load()
# What is loaded is garbage in no fork.
gc.freeze()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1])
listener.listen(64)
print("ready", flush=True)
while True:
    caller, _ = listener.accept()
    if os.fork() == 0:
        listener.close()
        answer(caller)
    caller.close()
