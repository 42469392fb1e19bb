import { describe, expect, test } from "vitest";
import { clearLength, splitFrame } from "../src/core/frame-form.js";
import { decodeHeader, encodeHeader } from "../src/core/sframe-header.js";
import { deriveSenderKey, FrameDecryptor, FrameEncryptor } from "../src/encryption/frame-cipher.js";
import { type FrameKeys, NO_KEYS } from "../src/encryption/frame-keys.js";
import { type EncodedFrame, type FrameRole, frameTransform } from "../src/encryption/frame-transform.js";

const VP8 = "video/VP8";
const OPUS = "audio/opus";
const hex = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));
const importKey = (raw: Uint8Array<ArrayBuffer>): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveKey", "deriveBits"]);
const KID = 0x1234567890n;
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
    const encrypted = await new FrameEncryptor(await key(), KID).encrypt(frame, mimeType);
    expect(encrypted?.subarray(0, clear)).toEqual(frame.subarray(0, clear));
    expect(splitFrame(encrypted ?? frame)?.clear.length).toBe(clear);
    const rest = Buffer.from(encrypted ?? []).toString("hex");
    expect(rest).not.toContain(Buffer.from(frame.subarray(clear, clear + 4)).toString("hex"));
  });

  test("is opened with the same key, in any stream", async () => {
    const decryptor = new FrameDecryptor();
    const base = await key();
    const streams = [new FrameEncryptor(base, KID), new FrameEncryptor(base, KID + 1n)];
    for (const frame of [KEY_FRAME, DELTA_FRAME, DELTA_FRAME])
      for (const stream of streams) expect(await decryptor.decrypt((await stream.encrypt(frame, VP8)) ?? frame, base)).toEqual(frame);
  });

  test("gives nothing with another key", async () => {
    const encrypted = await new FrameEncryptor(await key(1), KID).encrypt(KEY_FRAME, VP8);
    expect(await new FrameDecryptor().decrypt(encrypted ?? KEY_FRAME, await key(2))).toBeUndefined();
  });

  test("gives nothing once a byte was changed, in the clear part, the rest, the header or the lengths", async () => {
    const base = await key();
    const encrypted = (await new FrameEncryptor(base, KID).encrypt(DELTA_FRAME, VP8)) ?? DELTA_FRAME;
    const decryptor = new FrameDecryptor();
    for (let at = 0; at < encrypted.length; at++) {
      const changed = Uint8Array.from(encrypted);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(await decryptor.decrypt(changed, base)).toBeUndefined();
    }
  });

  test("gives nothing for a frame that was never encrypted, however short", async () => {
    for (const frame of [new Uint8Array(), Uint8Array.from([0]), KEY_FRAME, DELTA_FRAME]) expect(await new FrameDecryptor().decrypt(frame, await key())).toBeUndefined();
  });

  test("never encrypts two frames alike, nor in two streams", async () => {
    const seen = new Set<string>();
    for (let stream = 0n; stream < 3n; stream++) {
      const encryptor = new FrameEncryptor(await key(), KID + stream);
      for (let i = 0; i < 10; i++) seen.add(Buffer.from((await encryptor.encrypt(DELTA_FRAME, VP8)) ?? []).toString("hex"));
    }
    expect(seen.size).toBe(30);
  });

  test("sends nothing of a codec that it does not know", async () => {
    expect(clearLength("video/H264", KEY_FRAME)).toBeUndefined();
    expect(await new FrameEncryptor(await key(), KID).encrypt(KEY_FRAME, undefined)).toBeUndefined();
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

  const TAG = 9;
  const out = (stream = 1): FrameRole => ({ role: "encrypt", stream, mimeType: VP8 });
  const into: FrameRole = { role: "decrypt" };
  /** Sends with the key of an epoch. */
  const sending = async (byte = 7, epoch = 1): Promise<FrameKeys> => ({ ...NO_KEYS, sending: "encrypted", own: { tag: TAG, epoch, key: await key(byte) } });
  /** Knows the sender's keys, each a byte, by epochs from 1 on. */
  const knowing = async (bytes: readonly number[], change: Partial<FrameKeys> = {}): Promise<FrameKeys> => {
    const epochs = await Promise.all(bytes.map(async (byte, at) => ({ epoch: at + 1, key: await key(byte) })));
    return { ...NO_KEYS, senders: new Map([[TAG, epochs]]), ...change };
  };
  const through = async (frames: EncodedFrame[], from: FrameKeys, to: FrameKeys) => run(frames, frameTransform(out(), () => from), frameTransform(into, () => to));
  const both = () => [frame(KEY_FRAME), frame(DELTA_FRAME)];

  test("bring the frames back in their order", async () => {
    expect(await through(both(), await sending(), await knowing([7]))).toEqual([KEY_FRAME, DELTA_FRAME]);
  });

  test("take a stream for what was negotiated, in a browser that does not say it with each frame", async () => {
    const silent = (data: Uint8Array): EncodedFrame => ({ ...frame(data), getMetadata: () => ({}) });
    expect(await through([silent(KEY_FRAME)], await sending(), await knowing([7]))).toEqual([KEY_FRAME]);
  });

  test("drop what is encrypted with another key, another epoch's, or by nobody known", async () => {
    expect(await through(both(), await sending(1), await knowing([2]))).toEqual([]);
    expect(await through(both(), await sending(7, 2), await knowing([7]))).toEqual([]);
    expect(await through(both(), await sending(), NO_KEYS)).toEqual([]);
  });

  test("open the epochs that are known, whichever comes", async () => {
    const to = await knowing([1, 2]);
    for (const epoch of [2, 1, 2]) expect(await through(both(), await sending(epoch, epoch), to)).toEqual([KEY_FRAME, DELTA_FRAME]);
  });

  test("go over to a new key in the middle of a stream, and never begin again with an old one's counter", async () => {
    const epochs = [await sending(1, 1), await sending(2, 2)];
    let now = 0;
    const sealed = await run([frame(DELTA_FRAME), frame(DELTA_FRAME), frame(DELTA_FRAME)], frameTransform(out(), () => epochs[now++ === 0 ? 0 : 1] ?? NO_KEYS));
    expect(new Set(sealed.map((data) => Buffer.from(data).toString("hex"))).size).toBe(3);
    const keys = await knowing([1, 2]);
    expect(await run(sealed.map((data) => frame(data)), frameTransform(into, () => keys))).toEqual([DELTA_FRAME, DELTA_FRAME, DELTA_FRAME]);
  });

  test("send nothing without a key, and nothing in the clear that was not allowed", async () => {
    expect(await run(both(), frameTransform(out(), () => NO_KEYS))).toEqual([]);
    expect(await run(both(), frameTransform(out(), () => ({ ...NO_KEYS, sending: "encrypted" })))).toEqual([]);
    expect(await run(both(), frameTransform(out(), () => ({ ...NO_KEYS, sending: "clear" })))).toEqual([KEY_FRAME, DELTA_FRAME]);
  });

  test("show what is in the clear only while somebody cannot encrypt, and of who can never", async () => {
    const clear = { ...NO_KEYS, sending: "clear" } as const;
    expect(await through(both(), clear, await knowing([7]))).toEqual([]);
    expect(await through(both(), clear, await knowing([7], { acceptsClear: true }))).toEqual([KEY_FRAME, DELTA_FRAME]);
    // Encrypted by somebody who was not known to, a moment ago.
    expect(await through(both(), await sending(), { ...NO_KEYS, acceptsClear: true })).toEqual([]);
    // Encrypted by who is known: dropped, rather than played as noise, while its key is not here.
    expect(await through(both(), await sending(7, 5), await knowing([7], { acceptsClear: true }))).toEqual([]);
  });

  test("say once that many frames in a row cannot be opened, and once that they can again", async () => {
    const many = (count: number) => Array.from({ length: count }, () => frame(DELTA_FRAME));
    const told: boolean[] = [];
    let stream = 0;
    const sealed = async (byte: number, count: number) => {
      const from = await sending(byte);
      const role = out(++stream);
      return (await run(many(count), frameTransform(role, () => from))).map((data) => frame(data));
    };
    const frames = [...(await sealed(2, 99)), ...(await sealed(1, 1)), ...(await sealed(2, 250)), ...(await sealed(1, 5))];
    const keys = await knowing([1]);
    expect(await run(frames, frameTransform(into, () => keys, (readable) => told.push(readable)))).toHaveLength(6);
    expect(told).toEqual([false, true]);
  });
});
