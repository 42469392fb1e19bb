import { Aes128Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } from "@hpke/core";
import type { CallDevice } from "../core/call-keys.js";
import { accountKeyInfo, type Bytes, callKeyInfo, callKeySigned, concat, type DevicePublicKeys, deviceStatement } from "./key-statements.js";

/** RFC 9180: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM; base mode. */
const SUITE = new CipherSuite({ kem: new DhkemP256HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() });
const ENC_BYTES = 65;
const SIGNATURE_BYTES = 64;
const SIGNS = { name: "ECDSA", namedCurve: "P-256" };
const HOW = { name: "ECDSA", hash: "SHA-256" };

/** A device's private keys: script uses them and cannot read them. */
export interface DeviceSecrets {
  readonly signing: CryptoKeyPair;
  readonly kem: CryptoKeyPair;
}

export async function makeDeviceSecrets(): Promise<DeviceSecrets> {
  const signing = (await crypto.subtle.generateKey(SIGNS, false, ["sign", "verify"])) as CryptoKeyPair;
  const kem = (await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, false, ["deriveBits"])) as CryptoKeyPair;
  return { signing, kem };
}

export async function publicKeysOf({ signing, kem }: DeviceSecrets): Promise<DevicePublicKeys> {
  return { signingKey: await rawOf(signing.publicKey), kemKey: await rawOf(kem.publicKey) };
}

/** An account's key while it is in use: it lies nowhere but sealed to devices. */
export interface AccountKey {
  readonly publicKey: Bytes;
  readonly privateKey: CryptoKey;
  readonly pkcs8: Bytes;
}

export async function makeAccountKey(): Promise<AccountKey> {
  const pair = (await crypto.subtle.generateKey(SIGNS, true, ["sign", "verify"])) as CryptoKeyPair;
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  return { publicKey: await rawOf(pair.publicKey), privateKey: pair.privateKey, pkcs8 };
}

export interface Confirmation {
  readonly signature: Bytes;
  readonly sealedAccountKey: Bytes;
}

/** The account's signature for a device, and the account's key for it. */
export async function confirmDevice(account: AccountKey, device: CallDevice, version: number, keys: DevicePublicKeys): Promise<Confirmation> {
  const signature = await sign(account.privateKey, deviceStatement(device, version, keys));
  return { signature, sealedAccountKey: await seal(keys.kemKey, accountKeyInfo(device, version), account.pkcs8) };
}

export async function isConfirmed(accountKey: Uint8Array, device: CallDevice, version: number, keys: DevicePublicKeys, signature: Uint8Array): Promise<boolean> {
  return verify(accountKey, deviceStatement(device, version, keys), signature);
}

/** The account's key as it was sealed to this device; undefined when it is not the one of that public key. */
export async function openAccountKey(secrets: DeviceSecrets, device: CallDevice, version: number, publicKey: Uint8Array, sealed: Uint8Array): Promise<AccountKey | undefined> {
  try {
    const pkcs8 = await open(secrets.kem, accountKeyInfo(device, version), sealed);
    const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, SIGNS, false, ["sign"]);
    const proof = deviceStatement(device, version, { signingKey: publicKey, kemKey: publicKey });
    if (!(await verify(publicKey, proof, await sign(privateKey, proof)))) return undefined;
    return { publicKey: Uint8Array.from(publicKey), privateKey, pkcs8 };
  } catch {
    return undefined;
  }
}

/** A frame key for one device, signed by the one that sends it. */
export async function sealCallKey(secrets: DeviceSecrets, callId: string, sender: CallDevice, recipient: CallDevice, kemKey: Uint8Array, epoch: number, key: Bytes): Promise<Bytes> {
  const info = callKeyInfo(callId, sender, recipient, epoch);
  const sealed = await seal(kemKey, info, key);
  return concat(sealed, await sign(secrets.signing.privateKey, callKeySigned(info, sealed)));
}

/** The frame key; undefined for one that is not from that device, or not for this call, device and epoch. */
export async function openCallKey(secrets: DeviceSecrets, callId: string, sender: CallDevice, signingKey: Uint8Array, recipient: CallDevice, epoch: number, sealedKey: Uint8Array): Promise<Bytes | undefined> {
  const [sealed, signature] = [sealedKey.slice(0, -SIGNATURE_BYTES), sealedKey.slice(-SIGNATURE_BYTES)];
  const info = callKeyInfo(callId, sender, recipient, epoch);
  if (!(await verify(signingKey, callKeySigned(info, sealed), signature))) return undefined;
  try {
    return await open(secrets.kem, info, sealed);
  } catch {
    return undefined;
  }
}

async function seal(kemKey: Uint8Array, info: Bytes, secret: Bytes): Promise<Bytes> {
  const recipientPublicKey = await SUITE.kem.deserializePublicKey(Uint8Array.from(kemKey).buffer);
  const { enc, ct } = await SUITE.seal({ recipientPublicKey, info: info.buffer }, secret.buffer);
  return concat(new Uint8Array(enc), new Uint8Array(ct));
}

async function open(kem: CryptoKeyPair, info: Bytes, sealed: Uint8Array): Promise<Bytes> {
  const [enc, ct] = [Uint8Array.from(sealed.subarray(0, ENC_BYTES)), Uint8Array.from(sealed.subarray(ENC_BYTES))];
  return new Uint8Array(await SUITE.open({ recipientKey: kem, enc: enc.buffer, info: info.buffer }, ct.buffer));
}

async function sign(privateKey: CryptoKey, bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.sign(HOW, privateKey, bytes));
}

async function verify(publicKey: Uint8Array, bytes: Bytes, signature: Uint8Array): Promise<boolean> {
  try {
    const key = await crypto.subtle.importKey("raw", Uint8Array.from(publicKey), SIGNS, false, ["verify"]);
    return await crypto.subtle.verify(HOW, key, Uint8Array.from(signature), bytes);
  } catch {
    // No point of the curve.
    return false;
  }
}

async function rawOf(key: CryptoKey): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.exportKey("raw", key));
}
