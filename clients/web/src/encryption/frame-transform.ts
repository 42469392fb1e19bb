import { Readability } from "../core/readability.js";
import { type Frame, type FrameKeys, IncomingFrames, OutgoingFrames } from "./frame-keys.js";

/**
 * What a transform does; each stream that is sent has a number that no other one of the call ever had. `mimeType`: of its
 * frames, where the browser does not say it with each (Firefox).
 */
export type FrameRole = { readonly role: "encrypt"; readonly stream: number; readonly mimeType: string } | { readonly role: "decrypt" };

/** An encoded frame, as far as this needs it (https://www.w3.org/TR/webrtc-encoded-transform/). */
export interface EncodedFrame {
  data: ArrayBuffer;
  getMetadata(): { readonly mimeType?: string };
}

/**
 * Replaces each frame by its encrypted or decrypted form, and drops what cannot be. `keys` are those of the moment.
 *
 * `onReadable` hears when received frames cannot be opened any more, and when they can again.
 */
export function frameTransform(role: FrameRole, keys: () => FrameKeys, onReadable: (readable: boolean) => void = () => undefined): TransformStream<EncodedFrame, EncodedFrame> {
  const step = role.role === "encrypt" ? encrypting(role.stream, role.mimeType, keys) : decrypting(keys, onReadable);
  return new TransformStream({
    async transform(frame, controller) {
      const data = await step(frame);
      if (!data) return;
      frame.data = data.buffer;
      controller.enqueue(frame);
    },
  });
}

type Step = (frame: EncodedFrame) => Promise<Frame | undefined>;

function encrypting(stream: number, mimeType: string, keys: () => FrameKeys): Step {
  const outgoing = new OutgoingFrames(stream);
  return (frame) => outgoing.step(new Uint8Array(frame.data), frame.getMetadata().mimeType ?? mimeType, keys());
}

function decrypting(keys: () => FrameKeys, onReadable: (readable: boolean) => void): Step {
  const incoming = new IncomingFrames();
  const readability = new Readability();
  return async (frame) => {
    const data = await incoming.step(new Uint8Array(frame.data), keys());
    const news = readability.note(data !== undefined);
    if (news !== undefined) onReadable(news);
    return data;
  };
}
