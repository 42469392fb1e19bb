import { create, toBinary } from "@bufbuild/protobuf";
import { LeaveCallRequestSchema } from "./gen/parley/calls/v1/service_pb.js";

/**
 * Hangs up from a page that is being closed. Best effort: nothing tells whether it arrived.
 *
 * Written by hand, because only a request that is made within the `pagehide` handler itself is let out,
 * and a client's interceptors run later. The body is gRPC-Web's: one flag byte, the length in four, the message.
 */
export function hangUpOnUnload(baseUrl: string, token: string, callId: string, deviceId: string): void {
  const message = toBinary(LeaveCallRequestSchema, create(LeaveCallRequestSchema, { callId, deviceId }));
  const body = new Uint8Array(5 + message.length);
  new DataView(body.buffer).setUint32(1, message.length);
  body.set(message, 5);
  const headers = { "content-type": "application/grpc-web+proto", "x-grpc-web": "1", authorization: `Bearer ${token}` };
  const url = `${baseUrl}/parley.calls.v1.CallsService/LeaveCall`;
  void fetch(url, { method: "POST", headers, body, keepalive: true }).catch(() => undefined);
}
