import { Aes128Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } from "@hpke/core";
import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { groupedDigits } from "../src/core/digits.js";
import type { CallDevice } from "../src/core/call-keys.js";
import { confirmDevice, isConfirmed, makeAccountKey, makeDeviceSecrets, openAccountKey, openCallKey, publicKeysOf, sealCallKey } from "../src/encryption/key-crypto.js";
import { deviceStatement, senderTag } from "../src/encryption/key-statements.js";
import { checkAccount, type KnownAccount } from "../src/encryption/known-accounts.js";
import { safetyNumber } from "../src/encryption/safety-number.js";
import { type AccountKeys, AccountKeysSchema } from "../src/gen/parley/keys/v1/messages_pb.js";

const hex = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(text.match(/../g) ?? [], (byte) => parseInt(byte, 16));
const counted = (from: number): Uint8Array => Uint8Array.from([4, ...Array.from({ length: 64 }, (_, at) => from + at)]);
const phone: CallDevice = { userId: "alice", deviceId: "phone-01" };
const tablet: CallDevice = { userId: "bob", deviceId: "tablet-1" };

describe("the suite", () => {
  test("opens what RFC 9180 appendix A.3.1 seals", async () => {
    const suite = new CipherSuite({ kem: new DhkemP256HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() });
    const recipientKey = await suite.kem.deserializePrivateKey(hex("f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2").buffer);
    const enc = hex("04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4").buffer;
    const info = hex("4f6465206f6e2061204772656369616e2055726e").buffer;
    const ct = hex("5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434").buffer;
    const opened = await suite.open({ recipientKey, enc, info }, ct, hex("436f756e742d30").buffer);
    expect(new TextDecoder().decode(opened)).toBe("Beauty is truth, truth beauty");
  });
});

describe("what is signed", () => {
  test("has its label, each field with its length, and no two ways to be read", () => {
    const statement = deviceStatement(phone, 2, { signingKey: Uint8Array.of(1, 2), kemKey: Uint8Array.of(3) });
    expect(Buffer.from(statement).toString("hex")).toBe(
      "00157061726c657920646576696365206b6579732076310005616c696365000870686f6e652d303100040000000200020102000103",
    );
  });

  test("a sender's tag is the same for everybody", async () => {
    expect((await senderTag("call-1", phone)).toString(16)).toBe("76247d");
  });
});

describe("a safety number", () => {
  // Computed with Python's hashlib.
  const NUMBER = "149822420849471927334276556450275869045846506412338053611564";

  test("is the one that the document has, whoever asks", async () => {
    const [alice, bob] = [{ userId: "alice", accountKey: counted(0) }, { userId: "bob", accountKey: counted(64) }];
    expect(await safetyNumber(alice, bob)).toBe(NUMBER);
    expect(await safetyNumber(bob, alice)).toBe(NUMBER);
    expect(groupedDigits(NUMBER)).toHaveLength(12);
    expect(groupedDigits(NUMBER).join("")).toBe(NUMBER);
  });

  test("is another one with another key, or of another person", async () => {
    const bob = { userId: "bob", accountKey: counted(64) };
    for (const other of [{ userId: "alice", accountKey: counted(1) }, { userId: "alicia", accountKey: counted(0) }]) expect(await safetyNumber(other, bob)).not.toBe(NUMBER);
  });
});

describe("a device", () => {
  test("has private keys that no script reads", async () => {
    const { signing, kem } = await makeDeviceSecrets();
    for (const { privateKey } of [signing, kem]) await expect(crypto.subtle.exportKey("pkcs8", privateKey)).rejects.toThrow();
  });

  test("is confirmed by the account's key for these keys, this version and this id alone", async () => {
    const account = await makeAccountKey();
    const keys = await publicKeysOf(await makeDeviceSecrets());
    const others = await publicKeysOf(await makeDeviceSecrets());
    const { signature } = await confirmDevice(account, phone, 1, keys);
    expect(await isConfirmed(account.publicKey, phone, 1, keys, signature)).toBe(true);
    expect(await isConfirmed(account.publicKey, phone, 2, keys, signature)).toBe(false);
    expect(await isConfirmed(account.publicKey, { ...phone, deviceId: "phone-02" }, 1, keys, signature)).toBe(false);
    expect(await isConfirmed(account.publicKey, phone, 1, { ...keys, kemKey: others.kemKey }, signature)).toBe(false);
    expect(await isConfirmed((await makeAccountKey()).publicKey, phone, 1, keys, signature)).toBe(false);
    for (const damaged of [new Uint8Array(), new Uint8Array(64)]) expect(await isConfirmed(account.publicKey, phone, 1, keys, damaged)).toBe(false);
    expect(await isConfirmed(new Uint8Array(65), phone, 1, keys, signature)).toBe(false);
  });

  test("gets the account's key sealed, and confirms the next device with it", async () => {
    const [first, second] = [await makeDeviceSecrets(), await makeDeviceSecrets()];
    const account = await makeAccountKey();
    const { sealedAccountKey } = await confirmDevice(account, phone, 1, await publicKeysOf(first));
    expect(sealedAccountKey.length).toBeLessThanOrEqual(512);
    const opened = await openAccountKey(first, phone, 1, account.publicKey, sealedAccountKey);
    if (!opened) throw new Error("not opened");
    const keys = await publicKeysOf(second);
    const { signature } = await confirmDevice(opened, { ...phone, deviceId: "laptop-1" }, 1, keys);
    expect(await isConfirmed(account.publicKey, { ...phone, deviceId: "laptop-1" }, 1, keys, signature)).toBe(true);
    expect(await openAccountKey(second, phone, 1, account.publicKey, sealedAccountKey)).toBeUndefined();
    expect(await openAccountKey(first, phone, 2, account.publicKey, sealedAccountKey)).toBeUndefined();
    // Anybody can seal a key to a device: it has to be the account's.
    const planted = await confirmDevice(await makeAccountKey(), phone, 1, await publicKeysOf(first));
    expect(await openAccountKey(first, phone, 1, account.publicKey, planted.sealedAccountKey)).toBeUndefined();
  });
});

describe("a frame key", () => {
  const raw = hex("000102030405060708090a0b0c0d0e0f");

  test("is opened by its recipient, for its call, sender and epoch alone", async () => {
    const [alice, bob] = [await makeDeviceSecrets(), await makeDeviceSecrets()];
    const [of, to] = [await publicKeysOf(alice), await publicKeysOf(bob)];
    const sealed = await sealCallKey(alice, "call-1", phone, tablet, to.kemKey, 7, raw);
    expect(sealed.length).toBeLessThanOrEqual(256);
    expect(Buffer.from(sealed).includes(Buffer.from(raw))).toBe(false);
    expect(await openCallKey(bob, "call-1", phone, of.signingKey, tablet, 7, sealed)).toEqual(raw);
    expect(await openCallKey(bob, "call-2", phone, of.signingKey, tablet, 7, sealed)).toBeUndefined();
    expect(await openCallKey(bob, "call-1", phone, of.signingKey, tablet, 8, sealed)).toBeUndefined();
    expect(await openCallKey(bob, "call-1", { ...phone, userId: "eve" }, of.signingKey, tablet, 7, sealed)).toBeUndefined();
    expect(await openCallKey(bob, "call-1", phone, to.signingKey, tablet, 7, sealed)).toBeUndefined();
    expect(await openCallKey(alice, "call-1", phone, of.signingKey, tablet, 7, sealed)).toBeUndefined();
  });

  test("is not opened once a byte was changed", async () => {
    const [alice, bob] = [await makeDeviceSecrets(), await makeDeviceSecrets()];
    const [of, to] = [await publicKeysOf(alice), await publicKeysOf(bob)];
    const sealed = await sealCallKey(alice, "call-1", phone, tablet, to.kemKey, 7, raw);
    for (const at of [0, 10, 70, sealed.length - 1]) {
      const changed = Uint8Array.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(await openCallKey(bob, "call-1", phone, of.signingKey, tablet, 7, changed)).toBeUndefined();
    }
    expect(await openCallKey(bob, "call-1", phone, of.signingKey, tablet, 7, new Uint8Array())).toBeUndefined();
  });
});

describe("what the directory tells of an account", () => {
  const account = makeAccountKey();

  async function told(version: number, ids: readonly string[], unsigned: readonly string[] = [], by = account): Promise<AccountKeys> {
    const key = await by;
    const devices = await Promise.all(
      [...ids, ...unsigned].map(async (deviceId) => {
        const keys = await publicKeysOf(await makeDeviceSecrets());
        const { signature } = await confirmDevice(key, { userId: "alice", deviceId }, version, keys);
        return { deviceId, ...keys, signature: unsigned.includes(deviceId) ? new Uint8Array() : signature };
      }),
    );
    return create(AccountKeysSchema, { userId: "alice", version, accountKey: key.publicKey, devices });
  }

  const seen = async (answer: AccountKeys, before?: KnownAccount) => {
    const { known, devices, news } = await checkAccount(answer, before, 5);
    return { known, devices: [...devices.keys()], news: news.map(({ kind }) => kind) };
  };

  test("is believed at first sight, without a word, for devices that its key has signed", async () => {
    expect(await seen(await told(1, ["phone-01"], ["laptop-1"]))).toMatchObject({ devices: ["phone-01"], news: [] });
  });

  test("is news when a device was added, once", async () => {
    const { known } = await seen(await told(1, ["phone-01"]));
    const added = await seen(await told(1, ["phone-01", "laptop-1"]), known);
    expect(added).toMatchObject({ devices: ["phone-01", "laptop-1"], news: ["device_added"] });
    expect((await seen(await told(1, ["phone-01", "laptop-1"]), added.known)).news).toEqual([]);
    // Hidden for a while, it is still no new one.
    const hidden = await seen(await told(1, ["phone-01"]), added.known);
    expect((await seen(await told(1, ["phone-01", "laptop-1"]), hidden.known)).news).toEqual([]);
  });

  test("is news when the account's key was made anew, and the old one is not believed any more", async () => {
    const { known } = await seen(await told(1, ["phone-01"]));
    const anew = await seen(await told(2, ["phone-01"], [], makeAccountKey()), known);
    expect(anew).toMatchObject({ devices: ["phone-01"], news: ["account_key_changed"], known: { version: 2 } });
    expect(await seen(await told(1, ["phone-01"]), anew.known)).toEqual({ known: anew.known, devices: [], news: [] });
  });

  test("is not believed with another key of the same version", async () => {
    const { known } = await seen(await told(1, ["phone-01"]));
    expect(await seen(await told(1, ["phone-01"], [], makeAccountKey()), known)).toEqual({ known, devices: [], news: [] });
  });
});
