import { BinaryReader } from "@bufbuild/protobuf/wire";
import { Code, type RpcDetail } from "./rpc-error.js";

/** One flag byte, the length in four, the bytes. */
const HEAD_BYTES = 5;
const COMPRESSED = 0x01;
const TRAILER = 0x80;

/** What a body of gRPC-Web is made of: messages, and at its end the trailers. */
export interface Frame {
  readonly flags: number;
  readonly data: Uint8Array;
}

export const isTrailer = ({ flags }: Frame): boolean => (flags & TRAILER) !== 0;
export const isCompressed = ({ flags }: Frame): boolean => (flags & COMPRESSED) !== 0;

/** How a request ended; code 0 is success. */
export interface Status {
  readonly code: number;
  readonly message: string;
  readonly details: readonly RpcDetail[];
}

/** A message as a body of its own. */
export function encodeFrame(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(HEAD_BYTES + data.length);
  new DataView(frame.buffer).setUint32(1, data.length);
  frame.set(data, HEAD_BYTES);
  return frame;
}

/** The frames of a body, however the network has cut it. Throws `cutOff()` where it ends within one. */
export async function* readFrames(body: ReadableStream<Uint8Array>, cutOff: () => Error): AsyncGenerator<Frame> {
  const reader = body.getReader();
  const parser = new FrameParser();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield* parser.push(read.value);
  } finally {
    // Who reads no further, as after an error, needs the rest of it no more.
    void reader.cancel().catch(() => undefined);
  }
  if (!parser.isEmpty) throw cutOff();
}

class FrameParser {
  private chunks: Uint8Array[] = [];
  private length = 0;
  /** So much must be there before it is worth a look. */
  private needed = HEAD_BYTES;

  get isEmpty(): boolean {
    return this.length === 0;
  }

  *push(chunk: Uint8Array): Generator<Frame> {
    this.chunks.push(chunk);
    this.length += chunk.length;
    while (this.length >= this.needed) {
      const held = this.join();
      const end = HEAD_BYTES + new DataView(held.buffer, held.byteOffset).getUint32(1);
      if (held.length < end) this.needed = end;
      else {
        this.chunks = [held.subarray(end)];
        this.length -= end;
        this.needed = HEAD_BYTES;
        yield { flags: held[0] ?? 0, data: held.slice(HEAD_BYTES, end) };
      }
    }
  }

  private join(): Uint8Array {
    const [only, ...others] = this.chunks;
    if (only && others.length === 0) return only;
    const all = new Uint8Array(this.length);
    let at = 0;
    for (const chunk of this.chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    this.chunks = [all];
    return all;
  }
}

/** `name: value` lines. */
export function readTrailer(data: Uint8Array): Headers {
  const headers = new Headers();
  for (const line of new TextDecoder().decode(data).split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.append(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  return headers;
}

/** What headers or trailers say of the end; undefined when they say nothing. Details that cannot be read count as absent. */
export function findStatus(headers: Headers): Status | undefined {
  const code = headers.get("grpc-status");
  if (code === null) return undefined;
  const packed = headers.get("grpc-status-details-bin");
  const details = packed === null ? [] : readDetails(packed);
  return { code: Number.parseInt(code, 10), message: unescaped(headers.get("grpc-message") ?? ""), details };
}

/** Of a google.rpc.Status, in base64: field 3 has the details, each a google.protobuf.Any. */
function readDetails(packed: string): readonly RpcDetail[] {
  try {
    const reader = new BinaryReader(Uint8Array.from(atob(packed), (char) => char.charCodeAt(0)));
    const details: RpcDetail[] = [];
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field === 3) details.push(readAny(new BinaryReader(reader.bytes())));
      else reader.skip(wireType);
    }
    return details;
  } catch {
    return [];
  }
}

function readAny(reader: BinaryReader): RpcDetail {
  let [type, value] = ["", new Uint8Array()];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) type = reader.string().replace(/^.*\//, "");
    else if (field === 2) value = new Uint8Array(reader.bytes());
    else reader.skip(wireType);
  }
  return { type, value };
}

function unescaped(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}

/** The gRPC code of an answer that is no gRPC at all (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md). */
export function httpCode(status: number): number {
  return HTTP_CODES[status] ?? Code.Unknown;
}

const HTTP_CODES: Readonly<Record<number, number>> = {
  400: Code.Internal,
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  404: Code.Unimplemented,
  429: Code.Unavailable,
  502: Code.Unavailable,
  503: Code.Unavailable,
  504: Code.Unavailable,
};
