/** Why bytes did not get to the store. */
export class TransferError extends Error {
  /** `status` is the store's HTTP status; 0 when it could not be reached. */
  constructor(readonly status: number) {
    super(`the store answered ${status}`);
  }
}

export interface PutOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Blob;
  readonly signal: AbortSignal;
  readonly onProgress: (sentBytes: number) => void;
}

/** Puts bytes to the store. Rejects with a TransferError, or an AbortError when cancelled. */
export type Put = (options: PutOptions) => Promise<void>;

/** By XMLHttpRequest, because fetch tells nothing of how far a request's body got. */
export const putByXhr: Put = ({ url, headers, body, signal, onProgress }) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = (): void => request.abort();
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) if (!FORBIDDEN.has(name.toLowerCase())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => (request.status < 300 ? resolve() : reject(new TransferError(request.status)));
    request.onerror = () => reject(new TransferError(0));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    request.send(body);
  });

/** The browser sets these itself, from the body and the address, and refuses to have them set. */
const FORBIDDEN = new Set(["content-length", "host"]);
