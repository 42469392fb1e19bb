import { type FrameKeys, NO_KEYS } from "./frame-keys.js";
import type { EncodedFrame, FrameRole } from "./frame-transform.js";
import { frameTransform } from "./frame-transform.js";

interface Transformer {
  readonly readable: ReadableStream<EncodedFrame>;
  readonly writable: WritableStream<EncodedFrame>;
  readonly options: FrameRole;
}

/** What the page hears of a receive slot, by a number of its own. */
export interface ReadableMessage {
  readonly slot: number;
  readonly readable: boolean;
}

let slots = 0;
let keys = NO_KEYS;

/** The page says what holds from now on. */
addEventListener("message", ({ data }: MessageEvent<FrameKeys>) => {
  keys = data;
});

/** One event for each sender and receiver whose `transform` names this worker. */
addEventListener("rtctransform", (event) => {
  const { readable, writable, options } = (event as Event & { readonly transformer: Transformer }).transformer;
  const slot = slots++;
  const onReadable = (readable: boolean): void => postMessage({ slot, readable } satisfies ReadableMessage);
  // The streams end with the connection; there is nobody left to tell of it.
  void readable.pipeThrough(frameTransform(options, () => keys, onReadable)).pipeTo(writable).catch(() => undefined);
});
