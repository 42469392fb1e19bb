import type { Api } from "../api.js";
import type { CallDevice } from "../core/call-keys.js";
import { readFailure } from "../errors.js";
import type { AccountKeys, DeviceKeys } from "../gen/parley/keys/v1/messages_pb.js";
import { type AccountKey, type Confirmation, confirmDevice, type DeviceSecrets, isConfirmed, makeAccountKey, makeDeviceSecrets, openAccountKey, publicKeysOf } from "./key-crypto.js";
import { type DevicePublicKeys, sameBytes } from "./key-statements.js";
import type { AccountMemory } from "./account-memory.js";

/** How this device stands in its account: others believe its keys when it is confirmed. */
export type Standing = "unknown" | "confirmed" | "waiting";

/** This device's keys: made once, published, and confirmed by the account's key. */
export class OwnDevice {
  standing: Standing = "unknown";
  account: AccountKeys | undefined;
  private secrets: DeviceSecrets | undefined;
  private keys: DevicePublicKeys | undefined;

  constructor(
    private readonly api: Api,
    readonly self: CallDevice,
    private readonly memory: AccountMemory,
    private readonly now: () => number,
  ) {}

  /** The account's devices that wait for one of the others to confirm them. */
  get waiting(): string[] {
    return this.account?.devices.filter(({ deviceId, signature }) => signature.length === 0 && deviceId !== this.self.deviceId).map(({ deviceId }) => deviceId) ?? [];
  }

  /** Only after `refresh`. */
  get privateKeys(): DeviceSecrets {
    if (!this.secrets) throw new Error("this device has no keys yet");
    return this.secrets;
  }

  /** Publishes this device's keys, if they are not, and finds out how it stands. */
  async refresh(): Promise<void> {
    this.secrets ??= (await this.memory.loadSecrets()) ?? (await this.memory.keepSecrets(await makeDeviceSecrets()));
    this.keys ??= await publicKeysOf(this.secrets);
    const { accounts } = await this.api.keys.listDeviceKeys({ userIds: [this.self.userId], shared: { case: undefined } });
    await this.take(accounts[0] ?? (await this.begin(1)));
    if (this.standing === "confirmed") return;
    // Nobody is left who could confirm it.
    if (this.account?.devices.every(({ signature }) => signature.length === 0)) return this.startAnew();
    if (!this.published) await this.take(await this.publish(this.account?.version ?? 1, this.account?.accountKey ?? new Uint8Array()));
  }

  /** Makes the account's key anew: everybody's safety number with this account changes, and its other devices have to be confirmed. */
  async startAnew(): Promise<void> {
    await this.take(await this.begin((this.account?.version ?? 0) + 1));
  }

  /** Confirms another device of the account; for the user, who knows that it is theirs. */
  async confirm(deviceId: string): Promise<void> {
    const { account } = this;
    const device = account?.devices.find((each) => each.deviceId === deviceId);
    const key = await this.accountKey();
    if (!account || !device || !key) throw new Error("this device cannot confirm others");
    const { signature, sealedAccountKey } = await confirmDevice(key, { userId: this.self.userId, deviceId }, account.version, device);
    const { signingKey, kemKey } = device;
    const { keys } = await this.api.keys.confirmDevice({ deviceId, version: account.version, signingKey, kemKey, signature, sealedAccountKey });
    await this.take(keys);
  }

  async remove(deviceId: string): Promise<void> {
    await this.api.keys.removeDeviceKeys({ deviceId });
    await this.refresh();
  }

  private get published(): DeviceKeys | undefined {
    const { keys } = this;
    const found = this.account?.devices.find(({ deviceId }) => deviceId === this.self.deviceId);
    return found && keys && sameBytes(found.signingKey, keys.signingKey) && sameBytes(found.kemKey, keys.kemKey) ? found : undefined;
  }

  private async accountKey(): Promise<AccountKey | undefined> {
    const { account, published } = this;
    return account && published && openAccountKey(this.privateKeys, this.self, account.version, account.accountKey, published.sealedAccountKey);
  }

  private async take(account: AccountKeys | undefined): Promise<void> {
    this.account = account;
    if (!account) return;
    await this.memory.check(account, this.now());
    const { published } = this;
    const known = this.memory.known(account.userId);
    const believed = known && sameBytes(known.accountKey, account.accountKey);
    const isOurs = published && believed && (await isConfirmed(account.accountKey, this.self, account.version, published, published.signature));
    this.standing = isOurs ? "confirmed" : "waiting";
  }

  private async begin(version: number): Promise<AccountKeys | undefined> {
    const key = await makeAccountKey();
    const { keys } = this;
    if (!keys) throw new Error("this device has no keys yet");
    return this.publish(version, key.publicKey, await confirmDevice(key, this.self, version, keys));
  }

  private async publish(version: number, accountKey: Uint8Array, confirmation?: Confirmation): Promise<AccountKeys | undefined> {
    const own = { deviceId: this.self.deviceId, signingKey: this.keys?.signingKey ?? new Uint8Array(), kemKey: this.keys?.kemKey ?? new Uint8Array() };
    try {
      const signed = confirmation ?? { signature: new Uint8Array(), sealedAccountKey: new Uint8Array() };
      return (await this.api.keys.publishDeviceKeys({ ...own, version, accountKey, ...signed })).keys;
    } catch (error) {
      if (readFailure(error).reason !== "ACCOUNT_KEY_OUTDATED") throw error;
      // Another device of the account was first.
      const { accounts } = await this.api.keys.listDeviceKeys({ userIds: [this.self.userId], shared: { case: undefined } });
      return accounts[0];
    }
  }
}
