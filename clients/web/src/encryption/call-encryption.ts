import type { Api } from "../api.js";
import type { CallDevice } from "../core/call-keys.js";
import type { Call } from "../core/model.js";
import type { DeviceStore } from "../device-store.js";
import type { CallKey } from "../gen/parley/keys/v1/messages_pb.js";
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

export interface KeysView {
  /** Whether the account's other devices have confirmed this one; `unknown` until that is found out. */
  readonly standing: "unknown" | "confirmed" | "waiting";
  /** The ids of the account's other devices that wait to be confirmed. */
  readonly waitingDevices: readonly string[];
  /** What ought to be seen of others' keys, the oldest first. */
  readonly news: readonly KeyNews[];
  readonly protection: CallProtection;
  /** The users in the call with a device that cannot decrypt; with this one's own where that is the reason. */
  readonly unable: readonly string[];
}

/**
 * End-to-end encryption of this device's calls (RFC 9605, SFrame), with keys that devices seal to each other.
 *
 * It is always on. What leaves this device in the clear, while somebody in a call cannot decrypt, its user has allowed.
 * The code of it is loaded when it is needed first: whatever is said before waits for that, in turn.
 */
export class CallEncryption {
  private loading: Promise<Keyring> | undefined;
  private keyring: Keyring | undefined;
  /** The call that this device is in, in its newest copy. */
  private call: Call | undefined;

  constructor(
    private readonly api: Api,
    private readonly self: CallDevice,
    private readonly store: DeviceStore,
    private readonly changed: () => void,
  ) {}

  /** Whether this browser can do it. */
  get isSupported(): boolean {
    return typeof RTCRtpScriptTransform !== "undefined";
  }

  /** This device's. */
  get ownId(): string {
    return this.self.deviceId;
  }

  /** How everything stands. */
  get view(): KeysView {
    return this.keyring?.view ?? { standing: "unknown", waitingDevices: [], news: [], protection: this.isSupported ? "starting" : "impossible", unable: [] };
  }

  /** Publishes this device's keys, and finds out how it stands, and what it missed. Also after the account's keys changed. */
  refresh(): void {
    this.run((keyring) => keyring.refresh());
  }

  /** A copy of the call that this device is in. */
  follow(call: Call): void {
    this.call = call;
    this.run((keyring) => keyring.follow(call));
  }

  /** This device is in no call. */
  end(): void {
    this.call = undefined;
    if (this.loading) this.run((keyring) => keyring.end());
  }

  receive(key: CallKey): void {
    this.run((keyring) => keyring.receive(key));
  }

  /** What guards a connection of this call; undefined in a browser that cannot. */
  async cryptorFor(callId: string): Promise<FrameCryptor | undefined> {
    return this.isSupported ? (await this.keys()).cryptorFor(callId, this.call) : undefined;
  }

  close(): void {
    this.call = undefined;
    this.keyring?.close();
  }

  private run(act: (keyring: Keyring) => void): void {
    // What could not be loaded is tried again by whoever asks next: a connection that is to be encrypted does.
    if (this.isSupported) void this.keys().then(act, () => undefined);
  }

  /** What users do with keys. Rejects while its code cannot be loaded. */
  keys(): Promise<Keyring> {
    this.loading ??= import("./keyring.js").then(async ({ Keyring }) => {
      const keyring = new Keyring(this.api, this.self, this.store, this.changed);
      // Where nothing can be kept, a call says that this device cannot encrypt: nothing is sent without that being allowed.
      await keyring.memory.load().catch(() => undefined);
      return (this.keyring = keyring);
    });
    this.loading.catch(() => (this.loading = undefined));
    return this.loading;
  }
}
