import { Readability } from "../core/readability.js";
import { FrameDecryptor, FrameEncryptor } from "./frame-cipher.js";

export type FrameRole = "encrypt" | "decrypt";

/** An encoded frame, as far as this needs it (https://www.w3.org/TR/webrtc-encoded-transform/). */
export interface EncodedFrame {
  data: ArrayBuffer;
  getMetadata(): { readonly mimeType?: string };
}

/**
 * Replaces each frame by its encrypted or decrypted form, and drops what cannot be.
 *
 * `onReadable` hears when received frames cannot be opened any more, and when they can again.
 */
export function frameTransform(role: FrameRole, key: CryptoKey, onReadable: (readable: boolean) => void = () => undefined): TransformStream<EncodedFrame, EncodedFrame> {
  const step = role === "encrypt" ? encrypting(key) : decrypting(key, onReadable);
  return new TransformStream({
    async transform(frame, controller) {
      const data = await step(frame);
      if (!data) return;
      frame.data = data.buffer;
      controller.enqueue(frame);
    },
  });
}

type Step = (frame: EncodedFrame) => Promise<Uint8Array<ArrayBuffer> | undefined>;

function encrypting(key: CryptoKey): Step {
  const encryptor = new FrameEncryptor(key);
  return (frame) => encryptor.encrypt(new Uint8Array(frame.data), frame.getMetadata().mimeType);
}

function decrypting(key: CryptoKey, onReadable: (readable: boolean) => void): Step {
  const decryptor = new FrameDecryptor(key);
  const readability = new Readability();
  return async (frame) => {
    const data = await decryptor.decrypt(new Uint8Array(frame.data));
    const news = readability.note(data !== undefined);
    if (news !== undefined) onReadable(news);
    return data;
  };
}
