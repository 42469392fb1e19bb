/** What of localStorage is used. The keys of what is stored are its own properties. */
export type KeyStorage = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** Lasts as long as the page. */
class MemoryStorage implements KeyStorage {
  [key: string]: unknown;

  getItem(key: string): string | null {
    return Object.hasOwn(this, key) ? String(this[key]) : null;
  }

  setItem(key: string, value: string): void {
    this[key] = value;
  }

  removeItem(key: string): void {
    delete this[key];
  }
}

const ofThisPage = new MemoryStorage();

/** localStorage. Where the browser has none for the page, as with blocked cookies or in another site's frame, one that the page takes with it. */
export function pageStorage(): KeyStorage {
  try {
    // Some throw when they are asked for it, some have null.
    return globalThis.localStorage ?? ofThisPage;
  } catch {
    return ofThisPage;
  }
}
