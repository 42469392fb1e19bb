/**
 * What the page behind a link says of itself: `@parley/client/previews`. It takes in nothing else of the library, and asks
 * over plain HTTP, so that a page which shows no previews loads nothing of them.
 */
import type { ParleyClient } from "./client.js";

/** Of one line each. Show the host of the address with it: a page says of itself what it likes. */
export interface LinkPreview {
  readonly url: string;
  readonly title: string;
  /** Empty when the page says none, as is the name. */
  readonly description: string;
  readonly siteName: string;
}

export interface LinkPreviewOptions {
  /** Ends the question when the link is another one by now. */
  readonly signal?: AbortSignal;
}

/** Of the client, what is needed here. */
export type Asking = Pick<ParleyClient, "baseUrl" | "tokens">;

/** The host is given 5 s. Raising it keeps people waiting when the service hangs; lowering it gives slow pages up. */
const TIMEOUT_MS = 10_000;
const NOT_IMPLEMENTED = 501;
/** Those whose installation makes no previews: it says so once. */
const without = new WeakSet<Asking>();

/**
 * Asks for the preview of an address, before it is sent. Undefined when there is none, and when it cannot be had: a link goes
 * without it then. Rejects only when the signal aborts.
 */
export async function linkPreview(client: Asking, url: string, { signal }: LinkPreviewOptions = {}): Promise<LinkPreview | undefined> {
  signal?.throwIfAborted();
  if (without.has(client)) return undefined;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const token = await client.tokens.get();
    const response = await fetch(`${client.baseUrl}/v1/link-preview?url=${encodeURIComponent(url)}`, {
      headers: { authorization: `Bearer ${token.value}` },
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      redirect: "error",
    });
    if (response.status === NOT_IMPLEMENTED) without.add(client);
    return response.ok ? read(url, await response.json()) : undefined;
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}

/** Undefined for what is no preview, whoever answered. */
function read(url: string, answer: unknown): LinkPreview | undefined {
  const said = new Map(Object.entries(answer ?? {}));
  const text = (name: string): string => {
    const value: unknown = said.get(name);
    return typeof value === "string" ? value : "";
  };
  const title = text("title");
  return title ? { url, title, description: text("description"), siteName: text("siteName") } : undefined;
}
