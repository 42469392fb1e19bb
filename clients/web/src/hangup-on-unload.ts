import { encode } from "./codec.js";
import { encodeFrame } from "./grpc-web-frames.js";
import { methodsOf } from "./services.js";

/**
 * Hangs up from a page that is being closed. Best effort: nothing tells whether it arrived.
 *
 * Made by hand, because only a request that is made within the `pagehide` handler itself is let out, and a client's
 * interceptor runs later.
 */
export function hangUpOnUnload(baseUrl: string, token: string, callId: string, deviceId: string): void {
  const method = methodsOf("parley.calls.v1.CallsService").find(({ localName }) => localName === "leaveCall");
  if (!method) return;
  const body = encodeFrame(encode(method.input, { callId, deviceId }));
  const headers = { "content-type": "application/grpc-web+proto", "x-grpc-web": "1", authorization: `Bearer ${token}` };
  void fetch(`${baseUrl}/${method.path}`, { method: "POST", headers, body, keepalive: true }).catch(() => undefined);
}
