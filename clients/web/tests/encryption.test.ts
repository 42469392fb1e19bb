import { describe, expect, test } from "vitest";
import { clearLength, splitFrame } from "../src/core/frame-form.js";
import { decodeHeader, encodeHeader } from "../src/core/sframe-header.js";
import { deriveCallKey } from "../src/encryption/call-key.js";
import { deriveSenderKey, FrameDecryptor, FrameEncryptor } from "../src/encryption/frame-cipher.js";
import { type EncodedFrame, frameTransform } from "../src/encryption/frame-transform.js";

const VP8 = "video/VP8";
const OPUS = "audio/opus";
const hex = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));
const importKey = (raw: Uint8Array<ArrayBuffer>): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveKey", "deriveBits"]);
const key = (byte = 7): Promise<CryptoKey> => importKey(new Uint8Array(32).fill(byte));

/** 640 x 360, as RFC 6386 section 9.1 writes it, then what would be the picture. */
const KEY_FRAME = Uint8Array.from([0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01, ...new Uint8Array(200).fill(0xab)]);
const DELTA_FRAME = Uint8Array.from([0x11, ...new Uint8Array(50).fill(0xcd)]);

describe("the header of SFrame", () => {
  test("holds small numbers in one byte and others in as few as they need", () => {
    expect(encodeHeader({ kid: 3n, counter: 5n })).toEqual(hex("35"));
    // RFC 9605 appendix C.2
    expect(encodeHeader({ kid: 0x123n, counter: 0x4567n })).toEqual(hex("9901234567"));
    expect(encodeHeader({ kid: 0xffffffffffffffffn, counter: 0xffn })).toEqual(hex("f8ffffffffffffffffff"));
  });

  test.each([0n, 7n, 8n, 255n, 256n, 65535n, 1n << 40n, (1n << 64n) - 1n])("is read as it was written: %d", (value) => {
    expect(decodeHeader(encodeHeader({ kid: value, counter: value }))).toEqual({ kid: value, counter: value });
  });

  test("is refused when bytes are missing or left over", () => {
    for (const damaged of ["", "99", "990123", "990123456789"]) expect(decodeHeader(hex(damaged))).toBeUndefined();
  });
});

describe("a frame's cipher", () => {
  test("derives the key and salt that RFC 9605 appendix C.3 gives", async () => {
    const base = await importKey(hex("000102030405060708090a0b0c0d0e0f"));
    const { key: derived, salt } = await deriveSenderKey(base, 0x123n);
    expect(salt).toEqual(hex("75234edefe07819026751816"));
    const metadata = new TextEncoder().encode("IETF SFrame WG");
    const nonce = hex("75234edefe07819026755d71");
    const additionalData = Uint8Array.from([...hex("9901234567"), ...metadata]);
    const ciphertext = await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce, additionalData }, derived, new TextEncoder().encode("draft-ietf-sframe-enc"));
    expect(new Uint8Array(ciphertext)).toEqual(hex("b7412c2513a1b66dbb48841bbaf17f598751176ad847681a69c6d0b091c07018ce4adb34eb"));
  });

  test.each([
    [VP8, KEY_FRAME, 10],
    [VP8, DELTA_FRAME, 1],
    [OPUS, DELTA_FRAME, 1],
  ])("leaves of %s what the SFU reads, and nothing else", async (mimeType, frame, clear) => {
    const encrypted = await new FrameEncryptor(await key()).encrypt(frame, mimeType);
    expect(encrypted?.subarray(0, clear)).toEqual(frame.subarray(0, clear));
    expect(splitFrame(encrypted ?? frame)?.clear.length).toBe(clear);
    const rest = Buffer.from(encrypted ?? []).toString("hex");
    expect(rest).not.toContain(Buffer.from(frame.subarray(clear, clear + 4)).toString("hex"));
  });

  test("is opened with the same key, whoever sent it", async () => {
    const decryptor = new FrameDecryptor(await key());
    const senders = [new FrameEncryptor(await key()), new FrameEncryptor(await key())];
    for (const frame of [KEY_FRAME, DELTA_FRAME, DELTA_FRAME])
      for (const sender of senders) expect(await decryptor.decrypt((await sender.encrypt(frame, VP8)) ?? frame)).toEqual(frame);
  });

  test("gives nothing with another key", async () => {
    const encrypted = await new FrameEncryptor(await key(1)).encrypt(KEY_FRAME, VP8);
    expect(await new FrameDecryptor(await key(2)).decrypt(encrypted ?? KEY_FRAME)).toBeUndefined();
  });

  test("gives nothing once a byte was changed, in the clear part, the rest, the header or the lengths", async () => {
    const encrypted = (await new FrameEncryptor(await key()).encrypt(DELTA_FRAME, VP8)) ?? DELTA_FRAME;
    const decryptor = new FrameDecryptor(await key());
    for (let at = 0; at < encrypted.length; at++) {
      const changed = Uint8Array.from(encrypted);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(await decryptor.decrypt(changed)).toBeUndefined();
    }
  });

  test("gives nothing for a frame that was never encrypted, however short", async () => {
    const decryptor = new FrameDecryptor(await key());
    for (const frame of [new Uint8Array(), Uint8Array.from([0]), KEY_FRAME, DELTA_FRAME]) expect(await decryptor.decrypt(frame)).toBeUndefined();
  });

  test("never encrypts two frames alike, not even after coming back", async () => {
    const seen = new Set<string>();
    for (let life = 0; life < 3; life++) {
      const encryptor = new FrameEncryptor(await key());
      for (let i = 0; i < 10; i++) seen.add(Buffer.from((await encryptor.encrypt(DELTA_FRAME, VP8)) ?? []).toString("hex"));
    }
    expect(seen.size).toBe(30);
  });

  test("sends nothing of a codec that it does not know", async () => {
    expect(clearLength("video/H264", KEY_FRAME)).toBeUndefined();
    expect(await new FrameEncryptor(await key()).encrypt(KEY_FRAME, undefined)).toBeUndefined();
  });
});

describe("a call's key", () => {
  test("cannot be read by script, and differs by call and by passphrase", async () => {
    const keys = await Promise.all([deriveCallKey("a", "call-1"), deriveCallKey("a", "call-2"), deriveCallKey("b", "call-1")]);
    await expect(crypto.subtle.exportKey("raw", keys[0] as CryptoKey)).rejects.toThrow();
    const salts = await Promise.all(keys.map(async (base) => Buffer.from((await deriveSenderKey(base, 1n)).salt).toString("hex")));
    expect(new Set(salts).size).toBe(3);
  });

  test("is the same however the passphrase's accents were typed", async () => {
    const [one, other] = await Promise.all([deriveCallKey("caf\u00e9", "c"), deriveCallKey("cafe\u0301", "c")]);
    expect((await deriveSenderKey(one, 1n)).salt).toEqual((await deriveSenderKey(other, 1n)).salt);
  });
});

describe("the transform of a sender and of a receiver", () => {
  const frame = (data: Uint8Array, mimeType = VP8): EncodedFrame => ({ data: Uint8Array.from(data).buffer, getMetadata: () => ({ mimeType }) });

  async function run(frames: EncodedFrame[], ...stages: TransformStream<EncodedFrame, EncodedFrame>[]): Promise<Uint8Array[]> {
    let stream = new ReadableStream<EncodedFrame>({
      start(controller) {
        for (const each of frames) controller.enqueue(each);
        controller.close();
      },
    });
    for (const stage of stages) stream = stream.pipeThrough(stage);
    const out: Uint8Array[] = [];
    for await (const each of stream as unknown as AsyncIterable<EncodedFrame>) out.push(new Uint8Array(each.data));
    return out;
  }

  test("bring the frames back in their order", async () => {
    const out = await run([frame(KEY_FRAME), frame(DELTA_FRAME)], frameTransform("encrypt", await key()), frameTransform("decrypt", await key()));
    expect(out).toEqual([KEY_FRAME, DELTA_FRAME]);
  });

  test("drop what is encrypted with another key, and what is not encrypted", async () => {
    const wrong = await run([frame(KEY_FRAME), frame(DELTA_FRAME)], frameTransform("encrypt", await key(1)), frameTransform("decrypt", await key(2)));
    expect(wrong).toEqual([]);
    expect(await run([frame(KEY_FRAME)], frameTransform("decrypt", await key()))).toEqual([]);
  });

  test("say once that many frames in a row cannot be opened, and once that they can again", async () => {
    const many = (count: number) => Array.from({ length: count }, () => frame(DELTA_FRAME));
    const told: boolean[] = [];
    const sealed = async (byte: number, count: number) => (await run(many(count), frameTransform("encrypt", await key(byte)))).map((data) => frame(data));
    const frames = [...(await sealed(2, 9)), ...(await sealed(1, 1)), ...(await sealed(2, 25)), ...(await sealed(1, 5))];
    expect(await run(frames, frameTransform("decrypt", await key(1), (readable) => told.push(readable)))).toHaveLength(6);
    expect(told).toEqual([false, true]);
  });
});
