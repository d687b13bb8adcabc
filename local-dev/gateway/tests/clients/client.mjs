// Makes one call with the AWS SDK for JavaScript from the folder of modules that the first argument names: a call on
// standard input, what came of it on standard output.

import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const {
  ApiGatewayManagementApiClient,
  ApiGatewayManagementApiServiceException,
  DeleteConnectionCommand,
  GetConnectionCommand,
  PostToConnectionCommand,
} = createRequire(process.argv[2])("@aws-sdk/client-apigatewaymanagementapi");

const call = JSON.parse(await text(process.stdin));
const unsigned = { signer: { sign: async (request) => request } };
const client = new ApiGatewayManagementApiClient({
  endpoint: call.endpoint,
  ...(call.sign ? {} : unsigned),
});

async function run() {
  const connection = { ConnectionId: call.id };
  switch (call.operation) {
    case "post":
      await client.send(new PostToConnectionCommand({ Data: call.data, ...connection }));
      return null;
    case "delete":
      await client.send(new DeleteConnectionCommand(connection));
      return null;
    default: {
      const found = await client.send(new GetConnectionCommand(connection));
      return {
        source_ip: found.Identity.SourceIp,
        user_agent: found.Identity.UserAgent,
        connected_at: found.ConnectedAt.getTime(),
        last_active_at: found.LastActiveAt.getTime(),
      };
    }
  }
}

let outcome;
try {
  outcome = { Done: await run() };
} catch (error) {
  if (!(error instanceof ApiGatewayManagementApiServiceException)) throw error;
  outcome = {
    Refused: {
      code: error.name,
      message: error.message,
      status: error.$metadata.httpStatusCode,
      is_typed: error.constructor !== ApiGatewayManagementApiServiceException,
    },
  };
}
console.log(JSON.stringify(outcome));
