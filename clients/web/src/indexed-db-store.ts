import { KEPT_FORMAT, type Kept, type KeptConversation, type KeptPerson } from "./core/kept.js";
import type { Outgoing } from "./core/model.js";
import { type Claim, type DeviceStore, inOrder, type KeptChange, type KeptKeys, WIPED } from "./device-store.js";

/** The layout of the database. A higher one makes the tables of conversations anew; what waits to be sent and keys stay. */
const LAYOUT = 2;
const CONVERSATIONS = "conversations";
const ACCOUNT = "account";
const UNSENT = "unsent";
const KEYS = "keys";
const STORES = [CONVERSATIONS, ACCOUNT, UNSENT, KEYS];
/** The one row of ACCOUNT. */
const STATE = "state";

/**
 * What a transaction fails with when its connection is gone: before it begins, while it is under way, and when the store's
 * process has died. Phones take connections from pages that sleep, often without an event.
 */
const LOST = ["InvalidStateError", "AbortError", "UnknownError"];

/** Done again when the first time came to nothing. */
type Work<T> = (transaction: IDBTransaction) => T | Promise<T>;

interface AccountRow {
  readonly format: number;
  readonly syncToken: string;
  readonly people: readonly KeptPerson[];
  readonly writer: string;
  readonly version: number;
}

const NOTHING: AccountRow = { format: KEPT_FORMAT, syncToken: "", people: [], writer: "", version: 0 };

/** A DeviceStore in IndexedDB: a database of each user's own. */
export class IndexedDbStore implements DeviceStore {
  private opening: Promise<IDBDatabase> | undefined;
  private isWiped = false;
  private readonly name: string;

  constructor(
    userId: string,
    private readonly factory: IDBFactory = indexedDB,
  ) {
    this.name = `parley.${userId}`;
  }

  load(tidy: (kept: KeptConversation) => KeptConversation | undefined): Promise<Kept> {
    return this.run("readwrite", async (transaction) => {
      const table = transaction.objectStore(CONVERSATIONS);
      const unsent = inOrder((await got(transaction.objectStore(UNSENT).getAll())) as Outgoing[]);
      const account = await readAccount(transaction);
      if (account.format !== KEPT_FORMAT) {
        table.clear();
        transaction.objectStore(ACCOUNT).put({ ...NOTHING, version: account.version + 1 }, STATE);
        return { syncToken: "", conversations: [], people: [], unsent, version: account.version + 1 };
      }
      const conversations: KeptConversation[] = [];
      for (const row of (await got(table.getAll())) as KeptConversation[]) {
        const tidied = tidy(row);
        if (tidied) conversations.push(tidied);
        if (!tidied) table.delete(row.conversation.id);
        else if (tidied !== row) table.put(tidied, row.conversation.id);
      }
      return { syncToken: account.syncToken, conversations, people: account.people, unsent, version: account.version };
    });
  }

  claim(writer: string): Promise<Claim> {
    return this.run("readwrite", async (transaction) => {
      const account = await readAccount(transaction);
      transaction.objectStore(ACCOUNT).put({ ...account, writer }, STATE);
      const unsent = (await got(transaction.objectStore(UNSENT).getAll())) as Outgoing[];
      return { version: account.version, unsent: inOrder(unsent) };
    });
  }

  save(writer: string, { put, remove, syncToken, people, whole }: KeptChange): Promise<number | undefined> {
    return this.run("readwrite", async (transaction) => {
      const account = await readAccount(transaction);
      if (account.writer !== writer) return undefined;
      const table = transaction.objectStore(CONVERSATIONS);
      if (whole) table.clear();
      for (const id of remove) table.delete(id);
      for (const kept of put) table.put(kept, kept.conversation.id);
      const version = account.version + 1;
      transaction.objectStore(ACCOUNT).put({ format: KEPT_FORMAT, syncToken, people, writer, version }, STATE);
      return version;
    });
  }

  putUnsent(outgoing: Outgoing): Promise<void> {
    return this.run("readwrite", (transaction) => void transaction.objectStore(UNSENT).put(outgoing, outgoing.clientMessageId));
  }

  removeUnsent(clientMessageId: string): Promise<void> {
    return this.run("readwrite", (transaction) => void transaction.objectStore(UNSENT).delete(clientMessageId));
  }

  loadKeys<R extends keyof KeptKeys>(row: R): Promise<KeptKeys[R] | undefined> {
    return this.run("readonly", (transaction) => got(transaction.objectStore(KEYS).get(row)) as Promise<KeptKeys[R] | undefined>);
  }

  saveKeys<R extends keyof KeptKeys>(row: R, value: KeptKeys[R], first = false): Promise<KeptKeys[R]> {
    return this.run("readwrite", async (transaction) => {
      const table = transaction.objectStore(KEYS);
      const kept = ((first && (await got(table.get(row)))) || value) as KeptKeys[R];
      table.put(kept, row);
      return kept;
    });
  }

  clearConversations(): Promise<void> {
    return this.run("readwrite", async (transaction) => {
      const account = await readAccount(transaction);
      transaction.objectStore(CONVERSATIONS).clear();
      transaction.objectStore(ACCOUNT).put({ ...account, syncToken: "", people: [], version: account.version + 1 }, STATE);
    });
  }

  /** Empties the tables, which no other window can hold up, and then takes the database away, which one may. */
  async wipe(): Promise<void> {
    const isFirst = !this.isWiped;
    const empty = (transaction: IDBTransaction): void => {
      for (const store of STORES) transaction.objectStore(store).clear();
    };
    const emptied = this.run("readwrite", empty, isFirst);
    // Whatever is under way would make it anew, keys among it.
    this.isWiped = true;
    try {
      await emptied;
    } finally {
      this.close();
      this.factory.deleteDatabase(this.name);
    }
  }

  close(): void {
    void this.opening?.then((database) => database.close()).catch(() => undefined);
    this.opening = undefined;
  }

  /** One transaction; once more, on another connection, when the browser took the first one away. */
  private async run<T>(mode: IDBTransactionMode, work: Work<T>, isWipe = false): Promise<T> {
    try {
      return await this.attempt(mode, work, isWipe);
    } catch (error) {
      if (!LOST.includes((error as Error).name)) throw error;
      this.close();
      return this.attempt(mode, work, isWipe);
    }
  }

  private async attempt<T>(mode: IDBTransactionMode, work: Work<T>, isWipe: boolean): Promise<T> {
    if (this.isWiped && !isWipe) throw new Error(WIPED);
    const database = await (this.opening ??= this.open());
    const transaction = database.transaction(STORES, mode);
    const ending = ended(transaction);
    try {
      const result = await work(transaction);
      await ending;
      return result;
    } catch (error) {
      // Whole or not at all. One that has ended by itself does not mind.
      ending.catch(() => undefined);
      abandon(transaction);
      throw error;
    }
  }

  private open(): Promise<IDBDatabase> {
    const opening = opened(this.factory.open(this.name, LAYOUT)).then((database) => {
      const forget = (): void => {
        database.close();
        this.drop(opening);
      };
      // Another window deletes it, or has a newer release.
      database.onversionchange = forget;
      database.onclose = forget;
      return database;
    });
    opening.catch(() => this.drop(opening));
    return opening;
  }

  /** Another one may have taken its place by now. */
  private drop(opening: Promise<IDBDatabase>): void {
    if (this.opening === opening) this.opening = undefined;
  }
}

async function readAccount(transaction: IDBTransaction): Promise<AccountRow> {
  return ((await got(transaction.objectStore(ACCOUNT).get(STATE))) as AccountRow | undefined) ?? NOTHING;
}

function opened(request: IDBOpenDBRequest): Promise<IDBDatabase> {
  request.onupgradeneeded = () => {
    const { result: database } = request;
    for (const name of [CONVERSATIONS, ACCOUNT]) if (database.objectStoreNames.contains(name)) database.deleteObjectStore(name);
    for (const name of STORES) if (!database.objectStoreNames.contains(name)) database.createObjectStore(name);
  };
  return new Promise((resolve, reject) => {
    let isGivenUp = false;
    // It comes all the same when the other window lets go, and would hold up all others then.
    request.onsuccess = () => (isGivenUp ? request.result.close() : resolve(request.result));
    request.onerror = () => reject(request.error ?? new Error("no database"));
    request.onblocked = () => {
      isGivenUp = true;
      reject(new Error("another window holds the database"));
    };
  });
}

function got(request: IDBRequest): Promise<unknown> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("a request to the database failed"));
  });
}

function abandon(transaction: IDBTransaction): void {
  try {
    transaction.abort();
  } catch {
    // It has ended.
  }
}

function ended(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error ?? new Error("a transaction was given up"));
  });
}
