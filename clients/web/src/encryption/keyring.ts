import type { Api } from "../api.js";
import type { CallDevice } from "../core/call-keys.js";
import type { Call } from "../core/model.js";
import type { DeviceStore } from "../device-store.js";
import type { CallKey } from "../gen/parley/keys/v1/messages_pb.js";
import { RetryingTask } from "../retrying-task.js";
import { AccountMemory } from "./account-memory.js";
import type { CallProtection, FrameCryptor } from "./call-encryption.js";
import { CallSession } from "./call-session.js";
import { OwnDevice } from "./own-device.js";
import { safetyNumber } from "./safety-number.js";

/** Keys that came before their call. Raising it keeps more of what nobody may ask for; lowering it loses keys of large calls, which are then asked for. */
const MAX_EARLY = 64;

/** All that is loaded when keys are needed first: this device's keys, what it knows of others', and those of the call. */
export class Keyring {
  readonly memory: AccountMemory;
  readonly device: OwnDevice;
  private session: CallSession | undefined;
  private early: CallKey[] = [];
  private readonly now = (): number => Date.now();
  private readonly publishing = new RetryingTask(async () => {
    await this.device.refresh();
    this.session?.noteStanding();
    this.changed();
  });

  constructor(
    private readonly api: Api,
    private readonly self: CallDevice,
    store: DeviceStore,
    private readonly changed: () => void,
  ) {
    this.memory = new AccountMemory(store, self.userId);
    this.device = new OwnDevice(api, self, this.memory, this.now);
  }

  get protection(): Exclude<CallProtection, "impossible"> {
    const sending = this.session?.sending ?? "nothing";
    if (sending === "clear") return "clear";
    if (this.session?.blocked) return "blocked";
    return sending === "encrypted" ? "on" : "starting";
  }

  get unable(): readonly string[] {
    const own = this.session?.blockedBySelf ? [this.self.userId] : [];
    return [...own, ...(this.session?.unable ?? [])];
  }

  refresh(): void {
    this.publishing.start();
  }

  follow(call: Call): void {
    if (this.session?.callId !== call.id) this.begin(call.id);
    this.session?.update(call);
  }

  end(): void {
    this.session?.close();
    this.session = undefined;
    this.early = [];
  }

  receive(key: CallKey): void {
    if (this.session) void this.session.receive(key);
    else if (this.early.length < MAX_EARLY) this.early.push(key);
  }

  catchUp(): void {
    this.session?.catchUp();
  }

  allowClear(): void {
    this.session?.allowClear();
  }

  cryptorFor(callId: string, call: Call | undefined): FrameCryptor {
    if (call?.id !== callId) throw new Error("this device is not in the call any more");
    if (this.session?.callId !== callId) this.follow(call);
    if (!this.session) throw new Error("this call has no keys");
    return this.session.cryptor();
  }

  async startAnew(): Promise<void> {
    await this.device.startAnew();
    this.session?.noteStanding();
    this.changed();
  }

  async safetyNumber(userId: string, conversationId: string): Promise<string | undefined> {
    const { accounts } = await this.api.keys.listDeviceKeys({ userIds: [userId], shared: { case: "conversationId", value: conversationId } });
    for (const account of accounts) await this.memory.check(account, this.now());
    this.changed();
    const [own, other] = [this.memory.known(this.self.userId), this.memory.known(userId)];
    return own && other && safetyNumber(own, other);
  }

  close(): void {
    this.publishing.cancel();
    this.end();
  }

  private begin(callId: string): void {
    this.session?.close();
    const session = new CallSession(this.api, callId, this.device, this.memory, this.changed, this.now);
    this.session = session;
    if (this.device.standing === "unknown") this.refresh();
    for (const key of this.early.splice(0)) void session.receive(key);
    session.catchUp();
  }
}
