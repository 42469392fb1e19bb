import type { EncodedFrame, FrameRole } from "./frame-transform";
import { frameTransform } from "./frame-transform";

interface Transformer {
  readonly readable: ReadableStream<EncodedFrame>;
  readonly writable: WritableStream<EncodedFrame>;
  readonly options: { readonly role: FrameRole; readonly key: CryptoKey };
}

/** One event for each sender and receiver whose `transform` names this worker. */
addEventListener("rtctransform", (event) => {
  const { readable, writable, options } = (event as Event & { readonly transformer: Transformer }).transformer;
  // The streams end with the connection; there is nobody left to tell of it.
  void readable.pipeThrough(frameTransform(options.role, options.key)).pipeTo(writable).catch(() => undefined);
});
