import { clearLength, isClearLength, joinFrame, splitFrame } from "../core/frame-form.js";
import { decodeHeader, encodeHeader } from "../core/sframe-header.js";

/** AES_128_GCM_SHA256_128 (RFC 9605 section 4.5). */
const SUITE = 0x0004;
const KEY_BITS = 128;
const NONCE_BYTES = 12;
/** Sender keys in memory. Raising it gives more memory to a sender that invents key ids; lowering it derives keys again in large calls. */
const MAX_SENDERS = 64;

export interface SenderKey {
  readonly key: CryptoKey;
  readonly salt: Uint8Array;
}

/** A sender's key and salt of the call's key (RFC 9605 section 4.4.2); `base` is an HKDF key. */
export async function deriveSenderKey(base: CryptoKey, kid: bigint): Promise<SenderKey> {
  const empty = new Uint8Array();
  const derive = (what: string): HkdfParams => ({ name: "HKDF", hash: "SHA-256", salt: empty, info: label(what, kid) });
  const aes = { name: "AES-GCM", length: KEY_BITS };
  const key = await crypto.subtle.deriveKey(derive("key"), base, aes, false, ["encrypt", "decrypt"]);
  const salt = await crypto.subtle.deriveBits(derive("salt"), base, NONCE_BYTES * 8);
  return { key, salt: new Uint8Array(salt) };
}

function label(what: string, kid: bigint): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(`SFrame 1.0 Secret ${what} `);
  const bytes = new Uint8Array(text.length + 10);
  bytes.set(text);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(text.length, kid);
  view.setUint16(text.length + 8, SUITE);
  return bytes;
}

/** Encrypts one stream's frames with one key. Nothing else may use its key id: they would share nonces. */
export class FrameEncryptor {
  private counter = 0n;
  private readonly sender: Promise<SenderKey>;

  constructor(
    base: CryptoKey,
    private readonly kid: bigint,
  ) {
    this.sender = deriveSenderKey(base, kid);
  }

  /** Undefined for a codec whose clear bytes are not known: such a frame must not be sent. */
  async encrypt(frame: Uint8Array, mimeType: string | undefined): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const length = clearLength(mimeType, frame);
    if (length === undefined) return undefined;
    const counter = this.counter++;
    const header = encodeHeader({ kid: this.kid, counter });
    const clear = frame.subarray(0, length);
    const { key, salt } = await this.sender;
    const ciphertext = await crypto.subtle.encrypt(parameters(salt, counter, header, clear), key, own(frame.subarray(length)));
    return joinFrame({ clear, ciphertext: new Uint8Array(ciphertext), header });
  }
}

/** The key id that a frame names; undefined for one that has not the form of an encrypted one. */
export function keyIdOf(frame: Uint8Array): bigint | undefined {
  const parts = splitFrame(frame);
  return parts && isClearLength(parts.clear.length) ? decodeHeader(parts.header)?.kid : undefined;
}

/** Decrypts the frames of a receive slot, whose sender changes: each frame names its key. */
export class FrameDecryptor {
  private readonly senders = new Map<bigint, { readonly base: CryptoKey; readonly sender: Promise<SenderKey> }>();

  /** Undefined for a frame that is not encrypted, was changed, or was encrypted with another key: it must not be shown. */
  async decrypt(frame: Uint8Array, base: CryptoKey): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const parts = splitFrame(frame);
    const header = parts && decodeHeader(parts.header);
    if (!parts || !header) return undefined;
    const { key, salt } = await this.senderKey(header.kid, base);
    try {
      const how = parameters(salt, header.counter, parts.header, parts.clear);
      return concat(parts.clear, new Uint8Array(await crypto.subtle.decrypt(how, key, own(parts.ciphertext))));
    } catch {
      return undefined;
    }
  }

  private senderKey(kid: bigint, base: CryptoKey): Promise<SenderKey> {
    const known = this.senders.get(kid);
    if (known?.base === base) return known.sender;
    for (const oldest of this.senders.keys()) if (this.senders.size >= MAX_SENDERS) this.senders.delete(oldest);
    const sender = deriveSenderKey(base, kid);
    this.senders.set(kid, { base, sender });
    return sender;
  }
}

/** The nonce is the salt with the counter over its end; the header and what is in the clear are authenticated (4.4.3). */
function parameters(salt: Uint8Array, counter: bigint, header: Uint8Array, clear: Uint8Array): AesGcmParams {
  const iv = new Uint8Array(salt);
  const view = new DataView(iv.buffer);
  view.setBigUint64(NONCE_BYTES - 8, view.getBigUint64(NONCE_BYTES - 8) ^ counter);
  return { name: "AES-GCM", iv, additionalData: concat(header, clear) };
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** WebCrypto's types want bytes that no other thread shares. */
function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}
