import type { Api } from "../api.js";
import type { CallDevice } from "../core/call-keys.js";
import type { Call } from "../core/model.js";
import type { DeviceStore } from "../device-store.js";
import type { CallKey } from "../gen/parley/keys/v1/messages_pb.js";
import { orFailure } from "../errors.js";
import { RetryingTask } from "../retrying-task.js";
import { AccountMemory } from "./account-memory.js";
import type { CallProtection, FrameCryptor, KeysView } from "./call-encryption.js";
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

  get view(): KeysView {
    const { session, device, memory } = this;
    const own = session?.blockedBySelf ? [this.self.userId] : [];
    const unable = [...own, ...(session?.unable ?? [])];
    return { standing: device.standing, waitingDevices: device.waiting, news: memory.news, protection: protectionOf(session), unable };
  }

  refresh(): void {
    this.publishing.start();
    this.session?.catchUp();
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

  /** The user has seen who cannot decrypt, and wants to be heard by them all the same. */
  allowClear(): void {
    this.session?.allowClear();
  }

  cryptorFor(callId: string, call: Call | undefined): FrameCryptor {
    if (call?.id !== callId) throw new Error("this device is not in the call any more");
    if (this.session?.callId !== callId) this.follow(call);
    if (!this.session) throw new Error("this call has no keys");
    return this.session.cryptor();
  }

  /** Lets another device of the account take part; for the user, who knows that it is theirs. */
  async confirmDevice(deviceId: string): Promise<void> {
    await orFailure(this.device.confirm(deviceId));
    this.changed();
  }

  /** Makes the account's key anew, for a device that nobody else confirms. */
  async startAnew(): Promise<void> {
    await orFailure(this.device.startAnew());
    this.session?.noteStanding();
    this.changed();
  }

  /** Sixty digits to compare with somebody in this conversation; undefined while one of the two has no keys. */
  async safetyNumber(userId: string, conversationId: string): Promise<string | undefined> {
    const shared = { case: "conversationId", value: conversationId } as const;
    const { accounts } = await orFailure(this.api.keys.listDeviceKeys({ userIds: [userId], shared }));
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

function protectionOf(session: CallSession | undefined): CallProtection {
  if (!session || session.sending === "nothing") return session?.blocked ? "blocked" : "starting";
  if (session.sending === "clear") return "clear";
  return session.blocked ? "blocked" : "on";
}
