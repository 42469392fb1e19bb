import type { Api } from "../api.js";
import type { CallDevice } from "../core/call-keys.js";
import type { Call } from "../core/model.js";
import type { DeviceStore } from "../device-store.js";
import type { CallKey } from "../gen/parley/keys/v1/messages_pb.js";
import { RetryingTask } from "../retrying-task.js";
import type { CallSession } from "./call-session.js";
import type { Keyring } from "./keyring.js";
import type { KeyNews } from "./known-accounts.js";

/** Encrypts what one connection sends and decrypts what it receives, end to end. */
export interface FrameCryptor {
  /** Call before the offer is made. `onReadable` is called when it changes whether everything received can be decrypted. */
  attach(connection: RTCPeerConnection, onReadable: (readable: boolean) => void): void;
  /** The connection is closed. */
  release(): void;
}

/**
 * How a call is protected: nobody else is in it yet, or keys are on their way (`starting`); end to end (`on`); as `on`,
 * and somebody cannot decrypt, who therefore hears nothing of this device (`blocked`); this device sends in the clear, as
 * its user allowed (`clear`); this browser cannot encrypt at all (`impossible`).
 */
export type CallProtection = "starting" | "on" | "blocked" | "clear" | "impossible";

/**
 * End-to-end encryption of this device's calls (RFC 9605, SFrame), with keys that devices seal to each other.
 *
 * It is always on. What leaves this device in the clear, while somebody in a call cannot decrypt, its user has allowed.
 */
export class CallEncryption {
  private loading: Promise<Keyring> | undefined;
  private keyring: Keyring | undefined;
  private session: CallSession | undefined;
  /** The call that this device is in, in its newest copy. */
  private call: Call | undefined;
  /** Keys that came before the code was there. */
  private readonly early: CallKey[] = [];
  private readonly publishing = new RetryingTask(async () => {
    await (await this.load()).device.refresh();
    this.session?.noteStanding();
    this.changed();
  });

  constructor(
    private readonly api: Api,
    private readonly self: CallDevice,
    private readonly store: DeviceStore,
    private readonly changed: () => void = () => undefined,
  ) {}

  /** Whether this browser can do it. */
  get isSupported(): boolean {
    return typeof RTCRtpScriptTransform !== "undefined";
  }

  /** This device's. */
  get ownId(): string {
    return this.self.deviceId;
  }

  /** Whether the account's other devices have confirmed this one; `unknown` until that is found out. */
  get standing(): "unknown" | "confirmed" | "waiting" {
    return this.keyring?.device.standing ?? "unknown";
  }

  /** The ids of the account's other devices that wait to be confirmed. */
  get waitingDevices(): readonly string[] {
    return this.keyring?.device.waiting ?? [];
  }

  /** What ought to be seen of others' keys, the oldest first. */
  get news(): readonly KeyNews[] {
    return this.keyring?.memory.news ?? [];
  }

  get protection(): CallProtection {
    if (!this.isSupported) return "impossible";
    const sending = this.session?.sending ?? "nothing";
    if (sending === "clear") return "clear";
    if (this.session?.blocked) return "blocked";
    return sending === "encrypted" ? "on" : "starting";
  }

  /** The users in the call with a device that cannot decrypt; with this one's own where that is the reason. */
  get unable(): readonly string[] {
    const own = this.session?.blocked && this.standing === "waiting" ? [this.self.userId] : [];
    return [...own, ...(this.session?.unable ?? [])];
  }

  /** Publishes this device's keys, and finds out how it stands. Also after the account's keys changed. */
  refresh(): void {
    if (this.isSupported) this.publishing.start();
  }

  /** A copy of the call that this device is in. */
  follow(call: Call): void {
    if (!this.isSupported) return;
    this.call = call;
    if (this.session?.callId === call.id) this.session.update(call);
    else void this.open(call.id).catch(() => undefined);
  }

  /** This device is in no call. */
  end(): void {
    this.call = undefined;
    this.session?.close();
    this.session = undefined;
    this.early.length = 0;
  }

  receive(key: CallKey): void {
    if (this.session) void this.session.receive(key);
    // Of a call that begins; more would come of nobody.
    else if (this.early.length < 64) this.early.push(key);
  }

  /** Events may have been missed. */
  catchUp(): void {
    this.session?.catchUp();
  }

  /** The user has seen who cannot decrypt, and wants to be heard by them all the same. */
  allowClear(): void {
    this.session?.allowClear();
  }

  /** What guards a connection of this call; undefined in a browser that cannot. */
  async cryptorFor(callId: string): Promise<FrameCryptor | undefined> {
    return this.isSupported ? (await this.open(callId)).cryptor() : undefined;
  }

  async confirmDevice(deviceId: string): Promise<void> {
    await (await this.load()).device.confirm(deviceId);
    this.changed();
  }

  /** Makes the account's key anew, for a device that nobody else confirms. */
  async startAnew(): Promise<void> {
    await (await this.load()).device.startAnew();
    this.session?.noteStanding();
    this.changed();
  }

  /** Sixty digits to compare with somebody in this conversation; undefined while one of the two has no keys. */
  async safetyNumber(userId: string, conversationId: string): Promise<string | undefined> {
    const keyring = await this.load();
    const number = await keyring.safetyNumber(userId, conversationId);
    this.changed();
    return number;
  }

  close(): void {
    this.publishing.cancel();
    this.end();
  }

  private load(): Promise<Keyring> {
    this.loading ??= import("./keyring.js").then(async ({ Keyring }) => {
      const keyring = new Keyring(this.api, this.self, this.store, () => Date.now());
      await keyring.memory.load();
      this.keyring = keyring;
      return keyring;
    });
    // What could not be loaded is tried again by whoever asks next.
    this.loading.catch(() => (this.loading = undefined));
    return this.loading;
  }

  private async open(callId: string): Promise<CallSession> {
    if (this.session?.callId === callId) return this.session;
    const keyring = await this.load();
    if (keyring.device.standing === "unknown") await keyring.device.refresh().catch(() => this.refresh());
    if (this.session?.callId === callId) return this.session;
    if (this.call?.id !== callId) throw new Error("this device is not in the call any more");
    this.session?.close();
    const session = keyring.session(callId, this.changed);
    this.session = session;
    session.update(this.call);
    for (const key of this.early.splice(0)) void session.receive(key);
    session.catchUp();
    return session;
  }
}
