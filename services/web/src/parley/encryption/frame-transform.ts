import { FrameDecryptor, FrameEncryptor } from "./frame-cipher";

export type FrameRole = "encrypt" | "decrypt";

/** An encoded frame, as far as this needs it (https://www.w3.org/TR/webrtc-encoded-transform/). */
export interface EncodedFrame {
  data: ArrayBuffer;
  getMetadata(): { readonly mimeType?: string };
}

/** Replaces each frame by its encrypted or decrypted form, and drops what cannot be. */
export function frameTransform(role: FrameRole, key: CryptoKey): TransformStream<EncodedFrame, EncodedFrame> {
  const step = role === "encrypt" ? encrypting(key) : decrypting(key);
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

function decrypting(key: CryptoKey): Step {
  const decryptor = new FrameDecryptor(key);
  return (frame) => decryptor.decrypt(new Uint8Array(frame.data));
}
