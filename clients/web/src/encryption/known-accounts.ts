import type { AccountKeys } from "../gen/parley/keys/v1/messages_pb.js";
import { isConfirmed } from "./key-crypto.js";
import { type DevicePublicKeys, sameBytes } from "./key-statements.js";

/** What this device remembers of somebody's account: the key that it saw first, or last was told of. */
export interface KnownAccount {
  readonly userId: string;
  readonly version: number;
  readonly accountKey: Uint8Array;
  readonly deviceIds: readonly string[];
}

/** Something that a person ought to see of somebody's keys. */
export interface KeyNews {
  readonly userId: string;
  readonly kind: "device_added" | "account_key_changed";
  readonly timeMs: number;
}

export interface CheckedAccount {
  readonly known: KnownAccount | undefined;
  /** Those that the account's key has signed, by their ids. */
  readonly devices: ReadonlyMap<string, DevicePublicKeys>;
  readonly news: readonly KeyNews[];
}

/** What is to be believed of an account that the directory has told, after what was known of it before. */
export async function checkAccount(told: AccountKeys, before: KnownAccount | undefined, nowMs: number): Promise<CheckedAccount> {
  const { userId, version, accountKey } = told;
  // An older key than was seen before is one that was put back.
  if (before && (version < before.version || (version === before.version && !sameBytes(accountKey, before.accountKey)))) return { known: before, devices: new Map(), news: [] };
  const devices = new Map<string, DevicePublicKeys>();
  for (const { deviceId, signingKey, kemKey, signature } of told.devices) {
    const keys = { signingKey, kemKey };
    if (await isConfirmed(accountKey, { userId, deviceId }, version, keys, signature)) devices.set(deviceId, keys);
  }
  const changed = before !== undefined && version > before.version;
  const added = before !== undefined && !changed && [...devices.keys()].some((id) => !before.deviceIds.includes(id));
  const news: KeyNews[] = [];
  if (changed) news.push({ userId, kind: "account_key_changed", timeMs: nowMs });
  if (added) news.push({ userId, kind: "device_added", timeMs: nowMs });
  // Ids are remembered also of devices that went, or else one that was hidden for a while would be new.
  const seen = changed ? [] : (before?.deviceIds ?? []);
  return { known: { userId, version, accountKey: Uint8Array.from(accountKey), deviceIds: [...new Set([...seen, ...devices.keys()])] }, devices, news };
}
