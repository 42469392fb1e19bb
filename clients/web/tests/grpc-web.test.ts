import { create, toBinary } from "@bufbuild/protobuf";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Api, createWebApi } from "../src/api.js";
import { cancelRequest, readFailure } from "../src/errors.js";
import { GetCallResponseSchema } from "../src/gen/parley/calls/v1/service_pb.js";
import { SubscribeResponseSchema } from "../src/gen/parley/gateway/v1/service_pb.js";
import { encodeFrame } from "../src/grpc-web-frames.js";
import { createApi } from "../src/testing/api.js";
import { TokenCache } from "../src/tokens.js";

const TOKEN = { value: "jwt", userId: "alice", expiresMs: Number.POSITIVE_INFINITY };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A frame with a flag byte of its own. */
function framed(flags: number, data: Uint8Array): Uint8Array {
  const frame = encodeFrame(data);
  frame[0] = flags;
  return frame;
}

const joined = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));
const call = encodeFrame(toBinary(GetCallResponseSchema, create(GetCallResponseSchema, { call: { callId: "c1", conversationId: "x".repeat(200) } })));
const event = (userId: string): Uint8Array =>
  encodeFrame(toBinary(SubscribeResponseSchema, create(SubscribeResponseSchema, { position: 3n, event: { event: { case: "presence", value: { userId } } } })));
const trailer = (text: string): Uint8Array => framed(0x80, bytes(text));
const OK = trailer("grpc-status: 0\r\n");
/** google.rpc.Status with code 5, a message, and ErrorInfo { reason: "GONE" } in an Any. */
const info = [10, 4, ...bytes("GONE")];
const type = bytes("type.googleapis.com/google.rpc.ErrorInfo");
const any = [10, type.length, ...type, 18, info.length, ...info];
const STATUS = btoa(String.fromCharCode(8, 5, 18, 2, ...bytes("no"), 26, any.length, ...any)).replace(/=+$/, "");

interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array;
}

let asked: { url: string; init: RequestInit }[];
let answer: Answer;
/** So many bytes come at a time. */
let piece: number;

beforeEach(() => {
  asked = [];
  piece = 1000;
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    asked.push({ url, init });
    const { status = 200, headers = {}, body = new Uint8Array() } = answer;
    const pieces = Array.from({ length: Math.ceil(body.length / piece) }, (_, i) => body.slice(i * piece, (i + 1) * piece));
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const next = pieces.shift();
        if (next) controller.enqueue(next);
        else controller.close();
      },
    });
    return Promise.resolve(new Response(stream, { status, headers: { "content-type": "application/grpc-web+proto", ...headers } }));
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const ours = (): Api => createWebApi("http://edge", new TokenCache(() => Promise.resolve(TOKEN), "alice"));
const theirs = (): Api => createApi(createGrpcWebTransport({ baseUrl: "http://edge" }));

const failed = (error: unknown): object => {
  const { code, reason } = readFailure(error);
  return { code, reason };
};

async function unary(api: Api): Promise<object> {
  return api.calls.getCall({ callId: "c1" }).then(({ call: got }) => ({ id: got?.callId, room: got?.conversationId }), failed);
}

async function stream(api: Api): Promise<unknown[]> {
  const got: unknown[] = [];
  try {
    for await (const { position, event: next } of api.gateway.subscribe({ deviceId: "d" }, { timeoutMs: 0 })) got.push([position, next?.event.case]);
  } catch (error) {
    got.push(failed(error));
  }
  return got;
}

describe("the transport and connect-web's", () => {
  test.each<[string, Answer]>([
    ["an answer", { body: joined(call, OK) }],
    ["an answer with more in its trailers", { body: joined(call, trailer("grpc-status:0\r\ngrpc-message:\r\nx: y: z\r\n")) }],
    ["an error in the trailers", { body: trailer("grpc-status: 5\r\ngrpc-message: no%20call\r\n") }],
    ["an error with details", { body: trailer(`grpc-status: 5\r\ngrpc-status-details-bin: ${STATUS}\r\n`) }],
    ["an error after an answer", { body: joined(call, trailer("grpc-status: 14\r\n")) }],
    ["an error in the headers", { headers: { "grpc-status": "7", "grpc-message": "no" } }],
    ["an error with details in the headers", { headers: { "grpc-status": "5", "grpc-status-details-bin": STATUS } }],
    ["a status that is no number of gRPC's", { body: trailer("grpc-status: 99\r\n") }],
    ["an end without an answer", { body: OK }],
    ["two answers", { body: joined(call, call, OK) }],
    ["a compressed answer", { body: joined(framed(1, call.slice(5)), OK) }],
    ["an answer without its end", { body: call }],
    ["nothing", {}],
    ...[400, 401, 403, 404, 413, 429, 500, 502, 503, 504].map((status): [string, Answer] => [`HTTP ${status}`, { status, body: bytes("<html>") }]),
  ])("take %s alike", async (name, given) => {
    answer = given;
    const [mine, other] = [await unary(ours()), await unary(theirs())];
    // What went away may succeed later; the library has a code for it that says nothing.
    const gone = name === "an answer without its end" || name === "nothing";
    expect(mine).toEqual(gone ? { code: "unavailable", reason: undefined } : other);
  });

  test.each<[string, Answer]>([
    ["some messages", { body: joined(event("a"), event("b"), event("c"), OK) }],
    ["none", { body: OK }],
    ["an error after some", { body: joined(event("a"), trailer(`grpc-status: 5\r\ngrpc-status-details-bin: ${STATUS}\r\n`)) }],
    ["an error in the headers", { headers: { "grpc-status": "16" } }],
    ["HTTP 503", { status: 503 }],
  ])("take a stream of %s alike", async (_, given) => {
    answer = given;
    expect(await stream(ours())).toEqual(await stream(theirs()));
  });
});

test.each([1, 2, 3, 5, 7, 64])("frames are read however the network cuts them: %d bytes at a time", async (size) => {
  piece = size;
  answer = { body: joined(event("a"), event("b"), OK) };
  expect(await stream(ours())).toEqual([[3n, "presence"], [3n, "presence"]]);
});

test("a stream that is cut off within a message says that the connection is gone, after what had come", async () => {
  answer = { body: joined(event("a"), event("b").slice(0, -1)) };
  expect(await stream(ours())).toEqual([[3n, "presence"], { code: "unavailable", reason: undefined }]);
});

test("details that cannot be read count as absent", async () => {
  answer = { headers: { "grpc-status": "5", "grpc-message": "%", "grpc-status-details-bin": "!!" } };
  expect(await unary(ours())).toEqual({ code: "not_found", reason: undefined });
});

test("a request bears the token, its timeout and the method's path", async () => {
  answer = { body: joined(call, OK) };
  await ours().calls.getCall({ callId: "c1" });
  const [{ url, init } = { url: "", init: {} }] = asked;
  const headers = Object.fromEntries(init.headers as Headers);
  expect(url).toBe("http://edge/parley.calls.v1.CallsService/GetCall");
  expect(headers).toEqual({ authorization: "Bearer jwt", "content-type": "application/grpc-web+proto", "grpc-timeout": "10000m", "x-grpc-web": "1" });
});

test("a request without an answer ends in time, and one that is given up at once", async () => {
  vi.useFakeTimers();
  vi.stubGlobal("fetch", (_: string, { signal }: RequestInit) => new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")))));
  const abort = new AbortController();
  const late = ours().calls.getCall({ callId: "c1" }).then(() => undefined, readFailure);
  const given = ours().calls.getCall({ callId: "c1" }, { signal: abort.signal }).then(() => undefined, readFailure);
  await vi.advanceTimersByTimeAsync(1000);
  cancelRequest(abort);
  expect(await given).toMatchObject({ code: "canceled", transient: false });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await late).toMatchObject({ code: "deadline_exceeded", transient: true });
});
