import { decode, encode, type Message } from "./codec.js";
import { encodeFrame, findStatus, type Frame, httpCode, isCompressed, isTrailer, readFrames, readTrailer } from "./grpc-web-frames.js";
import { Code, RpcError, toRpcError } from "./rpc-error.js";

/** A method of a service: where it is asked, and the places of its messages in the tables. */
export interface Method {
  readonly path: string;
  readonly input: number;
  readonly output: number;
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
  /** 0 for none. */
  readonly timeoutMs?: number;
}

/** A request on its way out. */
export interface Outgoing {
  readonly header: Headers;
}

/** Sees every request before it leaves, and every error that comes back before there is an answer. */
export type Interceptor = <R extends Outgoing, A>(next: (request: R) => Promise<A>) => (request: R) => Promise<A>;

/**
 * gRPC-Web over fetch, in binary: one request, and one answer or a stream of them
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md).
 *
 * The transport of connect-web does the same, with JSON and with descriptors of everything, which are more than half of what
 * a page would load. `tests/grpc-web.test.ts` holds the two against each other.
 */
export class GrpcWeb {
  constructor(
    private readonly baseUrl: string,
    private readonly defaultTimeoutMs: number,
    private readonly interceptor: Interceptor,
  ) {}

  /** Rejects with an RpcError. */
  async unary(method: Method, input: Message, options: RequestOptions = {}): Promise<Message> {
    const deadline = this.deadline(options);
    try {
      const response = await this.ask(method, input, deadline);
      let message: Message | undefined;
      let isEnded = false;
      for await (const frame of framesOf(response)) {
        if (isTrailer(frame)) isEnded = true;
        else if (message) throw new RpcError("more than one answer", Code.Unimplemented);
        else message = decode(method.output, frame.data);
      }
      if (!isEnded) throw cutOff();
      if (!message) throw new RpcError("no answer, and no error", Code.Unimplemented);
      return message;
    } catch (error) {
      throw deadline.failure(error);
    } finally {
      deadline.end();
    }
  }

  /** Throws an RpcError. */
  async *stream(method: Method, input: Message, options: RequestOptions = {}): AsyncGenerator<Message, void, undefined> {
    const deadline = this.deadline(options);
    try {
      const response = await this.ask(method, input, deadline);
      let isEnded = false;
      for await (const frame of framesOf(response)) {
        if (isTrailer(frame)) isEnded = true;
        else yield decode(method.output, frame.data);
      }
      if (!isEnded) throw cutOff();
    } catch (error) {
      throw deadline.failure(error);
    } finally {
      deadline.end();
    }
  }

  private deadline({ signal, timeoutMs }: RequestOptions): Deadline {
    return new Deadline(signal, timeoutMs ?? this.defaultTimeoutMs);
  }

  private ask({ path, input }: Method, message: Message, { signal, timeoutMs }: Deadline): Promise<Response> {
    const header = new Headers({ "content-type": "application/grpc-web+proto", "x-grpc-web": "1" });
    if (timeoutMs > 0) header.set("grpc-timeout", `${timeoutMs}m`);
    const body = encodeFrame(encode(input, message));
    const post = (request: Outgoing): Promise<Response> => checked(fetch(`${this.baseUrl}/${path}`, { method: "POST", headers: request.header, body, signal, redirect: "error" }));
    return this.interceptor(post)({ header });
  }
}

/** The answer, or what its headers say already: an error of HTTP, or an answer that is only an error. */
async function checked(asked: Promise<Response>): Promise<Response> {
  const response = await asked;
  throwStatus(response.headers);
  if (!response.ok) throw new RpcError(`HTTP ${response.status}`, httpCode(response.status));
  return response;
}

/** The frames of an answer, to its trailers. Throws the error that these tell. */
async function* framesOf({ body }: Response): AsyncGenerator<Frame> {
  if (!body) return;
  let isEnded = false;
  for await (const frame of readFrames(body, cutOff)) {
    if (isCompressed(frame)) throw new RpcError("compressed, which nobody asked for", Code.Internal);
    if (isEnded) throw new RpcError("more after the end", Code.Unimplemented);
    isEnded = isTrailer(frame);
    if (isEnded && !throwStatus(readTrailer(frame.data))) throw new RpcError("an end without a status", Code.Internal);
    yield frame;
  }
}

/** Whether headers or trailers have a status. Throws one that is an error. */
function throwStatus(headers: Headers): boolean {
  const status = findStatus(headers);
  if (!status) return false;
  if (status.code !== 0) throw new RpcError(status.message, status.code >= 1 && status.code <= 16 ? status.code : Code.Internal, status.details);
  return true;
}

/** The connection went away: the same may succeed later. */
function cutOff(): RpcError {
  return new RpcError("the answer was cut off", Code.Unavailable);
}

/** Ends a request in time, or when its caller gives it up. */
class Deadline {
  private readonly abort = new AbortController();
  private readonly timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly given: AbortSignal | undefined,
    readonly timeoutMs: number,
  ) {
    if (given?.aborted) this.follow();
    else given?.addEventListener("abort", this.follow);
    if (timeoutMs > 0) this.timer = setTimeout(() => this.giveUp(new RpcError("no answer in time", Code.DeadlineExceeded)), timeoutMs);
  }

  get signal(): AbortSignal {
    return this.abort.signal;
  }

  /** fetch does not say why it was given up; the signal does. */
  failure(error: unknown): RpcError {
    return this.signal.aborted ? toRpcError(this.signal.reason, Code.Canceled) : toRpcError(error);
  }

  end(): void {
    clearTimeout(this.timer);
    this.given?.removeEventListener("abort", this.follow);
  }

  private readonly follow = (): void => this.giveUp(this.given?.reason);

  private giveUp(reason: unknown): void {
    const request = this.abort;
    request.abort(reason);
  }
}
