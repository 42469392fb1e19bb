import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DeviceEvent, ReadySchema } from "../src/gen/parley/gateway/v1/messages_pb.js";
import { type SubscribeRequest, SubscribeResponseSchema } from "../src/gen/parley/gateway/v1/service_pb.js";
import { type Api, authorize } from "../src/api.js";
import { EventStream, type StreamState } from "../src/event-stream.js";
import { TokenCache } from "../src/tokens.js";
import { until } from "./support.js";

type Response = MessageInitShape<typeof SubscribeResponseSchema>;
/** What the gateway says on one stream; an error ends it, and without one it stays open. */
type Script = (Response | ConnectError)[];

const lost = () => new ConnectError("lost", Code.Unavailable);
const ready = (resumeToken: string, resumed = false): Response => ({
  event: { event: { case: "ready", value: create(ReadySchema, { heartbeatS: 5, resumeToken, resumed }) } },
});
const moved = (conversationId: string, position = 0n): Response => ({
  event: { event: { case: "read", value: { conversationId } } },
  position,
});

function refused(reason: string): ConnectError {
  const error = new ConnectError(reason, Code.Aborted);
  const value = new Uint8Array([10, reason.length, ...new TextEncoder().encode(reason)]);
  Object.assign(error, { details: [{ type: "google.rpc.ErrorInfo", value }] });
  return error;
}

describe("event stream", () => {
  let scripts: Script[];
  let requests: Pick<SubscribeRequest, "resumeToken" | "position">[];
  let heard: DeviceEvent["event"][];
  let states: StreamState[];
  let current: boolean;
  let stream: EventStream;

  async function* subscribe(request: SubscribeRequest, { signal }: { signal: AbortSignal }) {
    requests.push({ resumeToken: request.resumeToken, position: request.position });
    for (const line of scripts.shift() ?? []) {
      if (line instanceof ConnectError) throw line;
      yield create(SubscribeResponseSchema, line);
    }
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(lost())));
  }

  /** Runs these streams, one after the other, until the last is open. */
  async function run(...given: Script[]): Promise<void> {
    const count = given.length;
    scripts = given;
    stream.start();
    await until("the last stream", () => {
      if (requests.length < count) stream.retryNow();
      return requests.length === count && scripts.length === 0;
    });
  }

  beforeEach(() => {
    [requests, heard, states, current] = [[], [], [], true];
    const api = { gateway: { subscribe } } as unknown as Api;
    stream = new EventStream(api, "device-1", {
      onEvent: (event) => heard.push(event),
      onState: (state) => states.push(state),
      isCurrent: () => current,
    });
  });
  afterEach(() => stream.stop());

  test("the first stream is a fresh start", async () => {
    await run([ready("t1")]);
    expect(requests).toEqual([{ resumeToken: "", position: 0n }]);
  });

  test("stopped and started at once, it has one stream", async () => {
    await run([ready("t1")]);
    stream.stop();
    scripts = [[ready("t2")]];
    stream.start();
    await until("the next stream", () => states.filter(({ kind }) => kind === "live").length === 2);
    // What the first start waited for is over by now.
    stream.retryNow();
    await new Promise((resolve) => setTimeout(resolve));
    expect(requests).toHaveLength(2);
    expect(states.map(({ kind }) => kind)).toEqual(["connecting", "live", "stopped", "connecting", "live"]);
  });

  test("after a break it shows its token and the position of the last durable event", async () => {
    await run([ready("t1"), moved("c1", 1n), moved("c1", 2n), moved("c1"), lost()], [ready("t2", true)]);
    expect(requests[1]).toEqual({ resumeToken: "t1", position: 2n });
  });

  test("a stream that goes on keeps counting, with the newer token", async () => {
    await run([ready("t1"), moved("c1", 1n), lost()], [ready("t2", true), lost()], [ready("t3", true)]);
    expect(requests[2]).toEqual({ resumeToken: "t2", position: 1n });
  });

  test("a stream that could not go on counts from the start", async () => {
    await run([ready("t1"), moved("c1", 7n), lost()], [ready("t2", false), lost()], []);
    expect(requests[2]).toEqual({ resumeToken: "t2", position: 0n });
  });

  test("while something is still to be fetched, a new stream starts afresh", async () => {
    current = false;
    await run([ready("t1"), moved("c1", 3n), lost()], [ready("t2")]);
    expect(requests[1]).toEqual({ resumeToken: "", position: 0n });
  });

  test("a refusal keeps the token for the next attempt", async () => {
    await run([ready("t1"), moved("c1", 3n), lost()], [lost()], [ready("t2", true)]);
    expect(requests[2]).toEqual({ resumeToken: "t1", position: 3n });
  });

  test.each(["REPLACED", "DEVICE_LIMIT"])("after %s it does not come back by itself", async (reason) => {
    scripts = [[ready("t1"), refused(reason)]];
    stream.start();
    await until("it stopped", () => states.at(-1)?.kind === "stopped");
    expect(requests).toHaveLength(1);
  });

  test.each(["TOKEN_REVOKED", "ACCOUNT_DELETED"])("after %s it says so and does not try again", async (reason) => {
    scripts = [[ready("t1"), refused(reason)]];
    stream.start();
    await until("it stopped", () => states.at(-1)?.kind === "stopped");
    expect(states.at(-1)).toMatchObject({ reason: "login" });
    expect(requests).toHaveLength(1);
  });

  test("a device that was signed out does not sign itself in again", async () => {
    let logins = 0;
    const cache = new TokenCache(async () => ({ value: `${++logins}`, userId: "alice", expiresMs: Date.now() + 3_600_000 }), "alice");
    const refuse = async (reason: string): Promise<void> => {
      const error = new ConnectError(reason, Code.Unauthenticated);
      Object.assign(error, { details: refused(reason).details });
      const call = authorize(cache)(() => Promise.reject(error));
      await expect(call({ header: new Headers() } as Parameters<typeof call>[0])).rejects.toThrow();
    };
    await refuse("TOKEN_EXPIRED");
    await refuse("TOKEN_REVOKED");
    await refuse("TOKEN_REVOKED");
    expect(logins).toBe(2);
  });
});
