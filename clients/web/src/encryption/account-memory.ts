import type { DeviceStore } from "../device-store.js";
import type { AccountKeys } from "../gen/parley/keys/v1/messages_pb.js";
import type { DeviceSecrets } from "./key-crypto.js";
import type { DevicePublicKeys } from "./key-statements.js";
import { checkAccount, type KeyNews, type KnownAccount } from "./known-accounts.js";

/** News that are kept. Raising it keeps lines of long ago; lowering it forgets some that nobody has read. */
const MAX_NEWS = 200;

/** What this device keeps of keys: its own, those of accounts that it has seen, and what became of them since. */
export class AccountMemory {
  private accounts = new Map<string, KnownAccount>();
  news: readonly KeyNews[] = [];
  /** One check after the other: each starts from what the one before it has left. */
  private turn: Promise<unknown> = Promise.resolve();
  private loaded: Promise<void> | undefined;

  constructor(
    private readonly store: DeviceStore,
    private readonly selfId: string,
  ) {}

  loadSecrets(): Promise<DeviceSecrets | undefined> {
    return this.store.loadKeys("own");
  }

  /** Those that are kept from now on: of two windows at once, the first one's. */
  keepSecrets(secrets: DeviceSecrets): Promise<DeviceSecrets> {
    return this.store.saveKeys("own", secrets, true);
  }

  known(userId: string): KnownAccount | undefined {
    return this.accounts.get(userId);
  }

  /** The devices of an account that may be believed. What is new of it is kept, to be shown. */
  check(told: AccountKeys, nowMs: number): Promise<ReadonlyMap<string, DevicePublicKeys>> {
    const checking = this.turn.then(async () => {
      await this.load();
      const before = this.accounts.get(told.userId);
      const { known, devices, news } = await checkAccount(told, before, nowMs);
      if (known && JSON.stringify(comparable(known)) !== JSON.stringify(before && comparable(before))) {
        this.accounts.set(told.userId, known);
        // Of one's own account the settings tell.
        if (told.userId !== this.selfId) this.news = [...this.news, ...news].slice(-MAX_NEWS);
        await this.store.saveKeys("others", { accounts: [...this.accounts.values()], news: this.news });
      }
      return devices;
    });
    this.turn = checking.catch(() => undefined);
    return checking;
  }

  load(): Promise<void> {
    this.loaded ??= this.store.loadKeys("others").then((kept) => {
      this.accounts = new Map(kept?.accounts.map((account) => [account.userId, account]));
      this.news = kept?.news ?? [];
    });
    this.loaded.catch(() => (this.loaded = undefined));
    return this.loaded;
  }
}

const comparable = ({ version, accountKey, deviceIds }: KnownAccount): unknown => [version, [...accountKey], deviceIds];
