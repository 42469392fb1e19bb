import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { afterEach, describe, expect, test, vi } from "vitest";
import { MockBackend } from "../src/testing/backend.js";
import { CallsService, LeaveCallRequestSchema } from "../src/gen/parley/calls/v1/service_pb.js";
import { createWebApi } from "../src/api.js";
import { createApi } from "../src/testing/api.js";
import { cancelRequest, FailureError, orFailure, readFailure } from "../src/errors.js";
import type { StreamState } from "../src/event-stream.js";
import { EventStream } from "../src/event-stream.js";
import { hangUpOnUnload } from "../src/hangup-on-unload.js";
import { ConversationStore } from "../src/core/conversation-store.js";
import { RpcError } from "../src/rpc-error.js";
import { Messaging } from "../src/messaging.js";
import { TokenCache } from "../src/tokens.js";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function withDetails(code: Code, ...details: [string, number[]][]): ConnectError {
  const error = new ConnectError("x", code);
  Object.assign(error, { details: details.map(([type, bytes]) => ({ type, value: new Uint8Array(bytes) })) });
  return error;
}

describe("failures", () => {
  test("reason and retry delay are read from google.rpc details", () => {
    const reason = [10, 10, ...new TextEncoder().encode("OVERLOADED")];
    // RetryInfo { retry_delay { seconds: 2, nanos: 500000000 } }
    const delay = [10, 8, 8, 2, 16, 0x80, 0xca, 0xb5, 0xee, 0x01];
    const error = withDetails(Code.ResourceExhausted, ["google.rpc.ErrorInfo", reason], ["google.rpc.RetryInfo", delay]);
    expect(readFailure(error)).toMatchObject({ code: "resource_exhausted", reason: "OVERLOADED", retryDelayMs: 2500, transient: true });
  });

  test("broken details count as absent", () => {
    const error = withDetails(Code.NotFound, ["google.rpc.ErrorInfo", [10, 200, 1]], ["google.rpc.RetryInfo", [255]]);
    expect(readFailure(error)).toMatchObject({ code: "not_found", reason: undefined, retryDelayMs: 0, transient: false });
  });

  test("a network error of the browser is transient and readable", () => {
    const failure = readFailure(new TypeError("Failed to fetch"));
    expect(failure).toMatchObject({ transient: true, line: "Parley cannot be reached right now." });
  });

  test("a network error that a request of the API meets is the same", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    const api = createWebApi("http://parley.invalid", new TokenCache(() => Promise.resolve({ value: "t", userId: "alice", expiresMs: Number.POSITIVE_INFINITY }), "alice"));
    const failure = await api.calls.getCall({ callId: "1" }).then(() => undefined, readFailure);
    expect(failure).toMatchObject({ code: "unavailable", transient: true, line: "Parley cannot be reached right now." });
  });

  test("what a server or a proxy cancelled may be sent again", () => {
    const failure = readFailure(new ConnectError("stream reset", Code.Canceled));
    expect(failure).toMatchObject({ code: "canceled", transient: true, line: "Parley cannot be reached right now." });
  });

  test("what this page gave up is not, whether it was under way or not sent yet", async () => {
    const api = createApi(createRouterTransport(({ service }) => service(CallsService, { getCall: () => new Promise<never>(() => undefined) })));
    const [before, during] = [new AbortController(), new AbortController()];
    cancelRequest(before);
    const running = api.calls.getCall({ callId: "1" }, { signal: during.signal });
    setTimeout(() => cancelRequest(during));
    const requests = [running, api.calls.getCall({ callId: "1" }, { signal: before.signal })];
    for (const failure of await Promise.all(requests.map((request) => request.then(() => undefined, readFailure)))) {
      expect(failure).toMatchObject({ code: "canceled", transient: false });
    }
    expect(readFailure(new DOMException("cancelled", "AbortError"))).toMatchObject({ transient: false });
  });

  test("this page gives requests up in one way, so that its own are known", () => {
    const sources = import.meta.glob<string>("../src/**/*.ts", { query: "?raw", import: "default", eager: true });
    const others = Object.entries(sources).filter(([path, text]) => !path.includes("/gen/") && /\b(?!(?:request|transaction)\b)\w+\??\.abort\(/.test(text));
    expect(others.map(([path]) => path)).toEqual(["../src/errors.ts"]);
  });
});

describe("what a method rejects with", () => {
  const refused = () => orFailure(Promise.reject(new RpcError("text.text: is empty", Code.InvalidArgument)));

  test("is an Error: its message is for developers, its line for people", async () => {
    const error = await refused().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FailureError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ code: "invalid_argument", transient: false, line: "That was not accepted. Please check what you entered." });
    expect(String(error)).toBe("FailureError: invalid_argument: text.text: is empty");
  });

  test("names the reason and the field", () => {
    const failure = { ...readFailure(new RpcError("too long", Code.InvalidArgument)), reason: "FIELD_INVALID", field: "text.text" };
    expect(new FailureError(failure).message).toBe("invalid_argument: FIELD_INVALID: text.text: too long");
  });

  test("says the same when it is read again", async () => {
    const error = await refused().catch((thrown: unknown) => thrown);
    expect(readFailure(error)).toEqual(readFailure(new RpcError("text.text: is empty", Code.InvalidArgument)));
    await expect(orFailure(refused())).rejects.toMatchObject({ code: "invalid_argument" });
  });

  test("is a failure also where history is asked for", async () => {
    const backend = new MockBackend();
    backend.openDirect("alice", "bob");
    const value = { $typeName: "parley.messaging.v1.TextContent" as const, text: "hello", entities: [], masked: false };
    for (let i = 0; i < 120; i++) backend.post("alice+bob", "bob", { case: "text", value });
    const api = backend.apiFor("alice");
    const gone = () => Promise.reject(new ConnectError("gone", Code.NotFound));
    const messaging = new Messaging({ ...api, messaging: { ...api.messaging, listMessages: gone } }, new ConversationStore("alice"), () => undefined, () => undefined);
    await messaging.sync();
    await expect(messaging.loadOlder("alice+bob")).rejects.toBeInstanceOf(FailureError);
  });
});

describe("hang-up on unload", () => {
  test("is one gRPC-Web frame in a request that outlives the page", () => {
    const sent: { url: string; init: RequestInit }[] = [];
    vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
      sent.push({ url, init });
      return Promise.reject(new TypeError("the page is gone"));
    });
    hangUpOnUnload("http://edge", "token", "call-1", "device-1");
    const [{ url, init } = { url: "", init: {} }] = sent;
    const body = init.body as Uint8Array;
    expect(url).toBe("http://edge/parley.calls.v1.CallsService/LeaveCall");
    expect(init.keepalive).toBe(true);
    expect(new DataView(body.buffer).getUint32(1)).toBe(body.length - 5);
    expect(fromBinary(LeaveCallRequestSchema, body.subarray(5))).toMatchObject({ callId: "call-1", deviceId: "device-1" });
  });
});

describe("heartbeat watch", () => {
  /** A stream that was started by a clock of the test's, with the states that it told. */
  const begun = () => {
    vi.useFakeTimers();
    const backend = new MockBackend();
    const states: StreamState["kind"][] = [];
    const stream = new EventStream(createApi(backend.transportFor("alice")), "device-1", {
      onEvent: () => undefined,
      onState: (state) => states.push(state.kind),
      isCurrent: () => true,
    });
    stream.start();
    return { backend, states, stream };
  };

  test("three missing heartbeats open a new stream", async () => {
    const { states, stream } = begun();
    await vi.advanceTimersByTimeAsync(14_000);
    expect(states).toEqual(["connecting", "live"]);
    await vi.advanceTimersByTimeAsync(3000);
    expect(states.slice(2)).toEqual(["waiting", "connecting", "live"]);
    stream.stop();
  });

  test("heartbeats keep the stream", async () => {
    const { backend, states, stream } = begun();
    for (let i = 0; i < 20; i++) {
      await vi.advanceTimersByTimeAsync(5000);
      backend.sendEvent(["alice"], { case: "heartbeat", value: { $typeName: "parley.gateway.v1.Heartbeat" } });
    }
    expect(states).toEqual(["connecting", "live"]);
    stream.stop();
  });
});
