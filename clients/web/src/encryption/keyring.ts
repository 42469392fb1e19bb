import type { Api } from "../api.js";
import type { CallDevice } from "../core/call-keys.js";
import type { DeviceStore } from "../device-store.js";
import { CallSession } from "./call-session.js";
import { AccountMemory } from "./account-memory.js";
import { OwnDevice } from "./own-device.js";
import { safetyNumber } from "./safety-number.js";

/** All that is loaded when keys are needed first. */
export class Keyring {
  readonly memory: AccountMemory;
  readonly device: OwnDevice;

  constructor(
    private readonly api: Api,
    private readonly self: CallDevice,
    store: DeviceStore,
    private readonly now: () => number,
  ) {
    this.memory = new AccountMemory(store, self.userId);
    this.device = new OwnDevice(api, self, this.memory, now);
  }

  session(callId: string, changed: () => void): CallSession {
    return new CallSession(this.api, callId, this.device, this.memory, changed, this.now);
  }

  async safetyNumber(userId: string, conversationId: string): Promise<string | undefined> {
    const { accounts } = await this.api.keys.listDeviceKeys({ userIds: [userId], shared: { case: "conversationId", value: conversationId } });
    for (const account of accounts) await this.memory.check(account, this.now());
    const [own, other] = [this.memory.known(this.self.userId), this.memory.known(userId)];
    return own && other && safetyNumber(own, other);
  }
}
