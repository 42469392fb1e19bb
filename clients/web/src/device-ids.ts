import { type KeyStorage, pageStorage } from "./page-storage.js";

/** Whether this browser has been a device of this user before, so that it may have kept something. */
export function isKnownHere(userId: string, storage: Pick<Storage, "getItem"> = pageStorage()): boolean {
  return storage.getItem(deviceKey(userId)) !== null;
}

const deviceKey = (userId: string): string => `parley.device.${userId}`;

/** Those for which there was no room, for as long as the page is open. */
const unkept = new Map<string, string>();

/** This browser's device id for a user, made on first use and kept in `storage`. */
export function storedDeviceId(userId: string, storage: Pick<KeyStorage, "getItem" | "setItem"> = pageStorage()): string {
  const key = deviceKey(userId);
  const kept = storage.getItem(key) ?? unkept.get(key);
  if (kept) return kept;
  const made = crypto.randomUUID();
  try {
    storage.setItem(key, made);
  } catch {
    unkept.set(key, made);
  }
  return made;
}
