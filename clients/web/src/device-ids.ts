/** Whether this browser has been a device of this user before, so that it may have kept something. */
export function isKnownHere(userId: string, storage: Pick<Storage, "getItem"> = localStorage): boolean {
  return storage.getItem(deviceKey(userId)) !== null;
}

const deviceKey = (userId: string): string => `parley.device.${userId}`;

/** This browser's device id for a user, made on first use and kept in `storage`. */
export function storedDeviceId(userId: string, storage: Storage = localStorage): string {
  const key = deviceKey(userId);
  const kept = storage.getItem(key);
  if (kept) return kept;
  const made = crypto.randomUUID();
  storage.setItem(key, made);
  return made;
}
