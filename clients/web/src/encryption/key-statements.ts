import type { CallDevice } from "../core/call-keys.js";

/** Bytes that WebCrypto takes. */
export type Bytes = Uint8Array<ArrayBuffer>;

export const utf8 = (text: string): Bytes => new TextEncoder().encode(text);

/** A number of 32 bits. */
export function u32(value: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** Fields one after the other, each with its length in two bytes before it: no two lists have the same bytes. */
export function statement(label: string, ...fields: readonly Uint8Array[]): Bytes {
  return concat(...[utf8(label), ...fields].flatMap((field) => [Uint8Array.of(field.length >> 8, field.length & 0xff), field]));
}

export function concat(...parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

export interface DevicePublicKeys {
  readonly signingKey: Uint8Array;
  readonly kemKey: Uint8Array;
}

/** What the account's key signs of a device. */
export function deviceStatement(device: CallDevice, version: number, keys: DevicePublicKeys): Bytes {
  return statement("parley device keys v1", utf8(device.userId), utf8(device.deviceId), u32(version), keys.signingKey, keys.kemKey);
}

/** What binds the account's private key to the device that it is sealed to (HPKE's info). */
export function accountKeyInfo(device: CallDevice, version: number): Bytes {
  return statement("parley account key v1", utf8(device.userId), utf8(device.deviceId), u32(version));
}

/** What binds a frame key to its call, its way and its epoch (HPKE's info). */
export function callKeyInfo(callId: string, sender: CallDevice, recipient: CallDevice, epoch: number): Bytes {
  const fields = [callId, sender.userId, sender.deviceId, recipient.userId, recipient.deviceId].map(utf8);
  return statement("parley call key v1", ...fields, u32(epoch));
}

/** What the sending device signs. */
export function callKeySigned(info: Uint8Array, sealed: Uint8Array): Bytes {
  return statement("parley call key signature v1", info, sealed);
}

/** The part of an SFrame key id that says whose it is; the same for everybody in the call. */
export async function senderTag(callId: string, device: CallDevice): Promise<number> {
  const digest = await crypto.subtle.digest("SHA-256", statement("parley sender v1", utf8(callId), utf8(device.userId), utf8(device.deviceId)));
  return new DataView(digest).getUint32(0) >>> 8;
}
