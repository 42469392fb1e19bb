import type { Api } from "../api.js";
import { type CallDevice, type CallKeyEffect, CallKeys, refOf } from "../core/call-keys.js";
import type { Call } from "../core/model.js";
import { MAX_STREAMS, shortEpoch } from "../core/sframe-key-id.js";
import { readFailure } from "../errors.js";
import type { CallKey } from "../gen/parley/keys/v1/messages_pb.js";
import { RetryingTask } from "../retrying-task.js";
import type { FrameCryptor } from "./call-encryption.js";
import { WorkerFrameCryptor } from "./frame-cryptor.js";
import type { EpochKey, FrameKeys } from "./frame-keys.js";
import { openCallKey, sealCallKey } from "./key-crypto.js";
import type { AccountMemory } from "./account-memory.js";
import { type DevicePublicKeys, senderTag } from "./key-statements.js";
import type { OwnDevice } from "./own-device.js";

/** Keys of a sender that are kept: frames of the last ones are still on the way. Raising it opens what is later; lowering it loses frames when people come and go at once. */
const KEPT_EPOCHS = 3;
/** Between the hand-over of a key and its use, while it reaches the others. Raising it keeps who comes waiting, and lets who went listen for longer; lowering it loses frames on slow event streams. */
const SWITCH_MS = 400;
/** When a device without keys is looked up again before the call says that it has none. Raising them says it later; lowering them says it of pages that have just been opened. */
const LOOK_AGAIN_MS = [700, 1500, 3000];
const KEY_BYTES = 16;

/** What guards a connection, and is told which keys hold. */
export interface CallCryptor extends FrameCryptor {
  update(keys: FrameKeys): void;
}

/** `nextStream`: a number that no stream of the call had before. */
export type NewCryptor = (nextStream: () => number, onReleased: (cryptor: CallCryptor) => void) => CallCryptor;

interface Sender {
  readonly tag: number;
  readonly keys: DevicePublicKeys;
  readonly epochs: EpochKey[];
}

/** The keys of one call on this device: carries out the effects of CallKeys, and opens what others hand over. */
export class CallSession {
  private readonly core: CallKeys;
  private readonly senders = new Map<string, Sender>();
  private readonly cryptors = new Set<CallCryptor>();
  /** Keys whose senders are not known yet, the last of each. */
  private readonly early = new Map<string, CallKey>();
  private readonly lookingOnceMore = new Set<string>();
  private own: FrameKeys["own"];
  private made: { readonly epoch: number; readonly key: CryptoKey } | undefined;
  private streams = 0;
  private closed = false;
  private readonly tasks = new Set<RetryingTask>();

  constructor(
    private readonly api: Api,
    readonly callId: string,
    private readonly device: OwnDevice,
    private readonly memory: AccountMemory,
    private readonly changed: () => void,
    private readonly now: () => number,
    private readonly newCryptor: NewCryptor = (nextStream, onReleased) => new WorkerFrameCryptor(nextStream, onReleased),
    private readonly lookAgainMs: readonly number[] = LOOK_AGAIN_MS,
  ) {
    this.core = new CallKeys(device.standing === "confirmed");
  }

  get sending(): FrameKeys["sending"] {
    return this.core.sending;
  }

  /** The users of whom a device in the call cannot decrypt. */
  get unable(): string[] {
    return [...new Set(this.core.unable.map(({ userId }) => userId))];
  }

  /** Somebody in the call hears nothing of this device, because they cannot decrypt, or it cannot encrypt. */
  get blocked(): boolean {
    return this.core.acceptsClear && this.core.sending !== "clear";
  }

  /** The same, and for the reason that this one was not confirmed, or could not find that out. */
  get blockedBySelf(): boolean {
    return this.core.acceptsClear && this.device.standing !== "confirmed";
  }

  /** A newer copy of the call. */
  update(call: Call): void {
    const present = call.participants
      .filter(({ userId, state, deviceId }) => state === "joined" && deviceId !== "" && userId !== this.device.self.userId)
      .map(({ userId, deviceId }) => ({ userId, deviceId }));
    const refs = new Set(present.map(refOf));
    for (const ref of this.senders.keys()) if (!refs.has(ref)) this.senders.delete(ref);
    this.carryOut(this.core.present(present, this.seconds()));
  }

  /** How this device stands may have changed. */
  noteStanding(): void {
    this.carryOut(this.core.setSelfAble(this.device.standing === "confirmed", this.seconds()));
  }

  allowClear(): void {
    this.core.allowClear();
    this.tell();
  }

  cryptor(): CallCryptor {
    const cryptor = this.newCryptor(() => this.nextStream(), (released) => this.cryptors.delete(released));
    this.cryptors.add(cryptor);
    cryptor.update(this.keys());
    return cryptor;
  }

  /** A key that somebody handed over; also one that came before. */
  async receive(told: CallKey): Promise<void> {
    if (told.callId !== this.callId || told.deviceId !== this.device.self.deviceId) return;
    const from = { userId: told.senderUserId, deviceId: told.senderDeviceId };
    const sender = this.senders.get(refOf(from));
    if (!sender) {
      this.early.set(refOf(from), told);
      this.lookOnceMore(from);
      return;
    }
    const epoch = shortEpoch(told.epoch);
    if (sender.epochs.some((each) => each.epoch === epoch)) return;
    const { signingKey } = sender.keys;
    const raw = await openCallKey(this.device.privateKeys, this.callId, from, signingKey, this.device.self, told.epoch, told.sealedKey);
    if (!raw || this.closed || this.senders.get(refOf(from)) !== sender) return;
    sender.epochs.push({ epoch, key: await baseKey(raw) });
    sender.epochs.splice(0, sender.epochs.length - KEPT_EPOCHS);
    this.tell();
  }

  /** After Ready and Resync, and when a connection begins: what was missed. */
  catchUp(): void {
    this.retrying(async () => {
      const { keys } = await this.api.keys.listCallKeys({ callId: this.callId, deviceId: this.device.self.deviceId });
      for (const key of keys) await this.receive(key);
    });
  }

  close(): void {
    this.closed = true;
    for (const task of this.tasks) task.cancel();
    for (const cryptor of this.cryptors) cryptor.release();
  }

  private carryOut(effects: readonly CallKeyEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "look_up") this.retrying(() => this.lookUp(effect.devices, this.lookAgainMs));
      if (effect.kind === "share") this.share(effect.epoch, effect.recipients);
      if (effect.kind === "use") this.use(effect.epoch, effect.first);
    }
    this.tell();
  }

  private async lookUp(devices: readonly CallDevice[], again: readonly number[]): Promise<void> {
    const believed = await this.believedOf([...new Set(devices.map(({ userId }) => userId))]);
    const missing: CallDevice[] = [];
    for (const device of devices) {
      const keys = believed.get(device.userId)?.get(device.deviceId);
      const tag = await senderTag(this.callId, device);
      if (this.closed) return;
      if (!keys) missing.push(device);
      else if (this.core.has(device)) await this.meet(device, { tag, keys, epochs: [] });
    }
    const [waitMs, ...rest] = again;
    if (missing.length === 0) return;
    // It may be publishing them just now.
    if (waitMs !== undefined) this.later(waitMs, () => this.retrying(() => this.lookUp(missing, rest)));
    else for (const device of missing) this.carryOut(this.core.known(device, false, this.seconds()));
  }

  /** Who hands over a key may have been confirmed since it was looked up. */
  private lookOnceMore(device: CallDevice): void {
    const ref = refOf(device);
    if (!this.core.isUnable(device) || this.lookingOnceMore.has(ref)) return;
    this.lookingOnceMore.add(ref);
    this.retrying(async () => {
      await this.lookUp([device], []);
      this.lookingOnceMore.delete(ref);
    });
  }

  private async believedOf(userIds: string[]): Promise<ReadonlyMap<string, ReadonlyMap<string, DevicePublicKeys>>> {
    const believed = new Map<string, ReadonlyMap<string, DevicePublicKeys>>();
    try {
      const { accounts } = await this.api.keys.listDeviceKeys({ userIds, shared: { case: "callId", value: this.callId } });
      for (const account of accounts) believed.set(account.userId, await this.memory.check(account, this.now()));
    } catch (error) {
      // A backend of a release before has no keys of anybody.
      if (readFailure(error).code !== "unimplemented") throw error;
    }
    return believed;
  }

  private async meet(device: CallDevice, sender: Sender): Promise<void> {
    const ref = refOf(device);
    this.senders.set(ref, sender);
    this.carryOut(this.core.known(device, true, this.seconds()));
    const early = this.early.get(ref);
    this.early.delete(ref);
    if (early) await this.receive(early);
  }

  private share(epoch: number, recipients: readonly CallDevice[]): void {
    const raw = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
    const { self, privateKeys } = this.device;
    const seal = async (device: CallDevice) => {
      const keys = this.senders.get(refOf(device))?.keys;
      return keys && { ...device, sealedKey: await sealCallKey(privateKeys, this.callId, self, device, keys.kemKey, epoch, raw) };
    };
    // Sealed once: a retry must hand over the same key, because the service takes one for each epoch.
    const sealing = Promise.all(recipients.map(seal));
    this.retrying(async () => {
      const keys = (await sealing).filter((key) => key !== undefined);
      await this.api.keys.sendCallKeys({ callId: this.callId, deviceId: self.deviceId, epoch, keys });
      if (this.closed) return;
      this.made = { epoch, key: await baseKey(raw) };
      this.carryOut(this.core.shared(epoch, this.seconds()));
    });
  }

  private use(epoch: number, first: boolean): void {
    const made = this.made;
    if (made?.epoch !== epoch) return;
    const begin = async (): Promise<void> => {
      const tag = await senderTag(this.callId, this.device.self);
      this.own = { tag, epoch: shortEpoch(epoch), key: made.key };
      this.tell();
    };
    if (first) void begin();
    else this.later(SWITCH_MS, () => void begin());
  }

  private later(ms: number, then: () => void): void {
    setTimeout(() => {
      if (!this.closed) then();
    }, ms);
  }

  /** Tries again for as long as the call lasts; what the service refuses for good is left. */
  private retrying(run: () => Promise<void>): void {
    const task: RetryingTask = new RetryingTask(async () => {
      try {
        await run();
      } catch (error) {
        if (!isFinal(readFailure(error).reason)) throw error;
      }
      this.tasks.delete(task);
    });
    this.tasks.add(task);
    task.start();
  }

  private tell(): void {
    if (this.closed) return;
    for (const cryptor of this.cryptors) cryptor.update(this.keys());
    this.changed();
  }

  private keys(): FrameKeys {
    const senders = new Map<number, readonly EpochKey[]>();
    // Of two with the same tag, the first one's frames are opened.
    for (const { tag, epochs } of this.senders.values()) if (!senders.has(tag)) senders.set(tag, [...epochs]);
    return { sending: this.core.sending, acceptsClear: this.core.acceptsClear, own: this.own, senders };
  }

  private nextStream(): number {
    if (this.streams >= MAX_STREAMS) throw new Error("this call has had as many streams as can be told apart");
    return this.streams++;
  }

  private seconds(): number {
    return Math.floor(this.now() / 1000);
  }
}

const isFinal = (reason: string | undefined): boolean => ["CALL_ENDED", "NOT_IN_CALL", "CALL_NOT_FOUND"].includes(reason ?? "");

/** An HKDF key that script can use and not read. */
function baseKey(raw: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveKey", "deriveBits"]);
}
