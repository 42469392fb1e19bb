/** A device in a call. */
export interface CallDevice {
  readonly userId: string;
  readonly deviceId: string;
}

/** What the shell does next. */
export type CallKeyEffect =
  | { readonly kind: "look_up"; readonly devices: readonly CallDevice[] }
  /** Make a key for the epoch and hand it over to these devices; then say `shared`. */
  | { readonly kind: "share"; readonly epoch: number; readonly recipients: readonly CallDevice[] }
  /** Encrypt with the key of that epoch from now on. */
  | { readonly kind: "use"; readonly epoch: number; readonly first: boolean };

/** What this device's frames become: dropped, encrypted, or sent as they are. */
export type Sending = "nothing" | "encrypted" | "clear";

interface Other {
  readonly device: CallDevice;
  /** Undefined while it is looked up. */
  readonly able: boolean | undefined;
}

/**
 * Who gets which key of this device in one call, and whether anything leaves it in the clear. No IO; time is an argument.
 *
 * Each set of devices that can decrypt has an epoch of its own: whoever comes does not get the key of before, and whoever
 * goes does not get the next one. Nothing is sent in the clear unless the user allowed it, knowing who cannot decrypt.
 */
export class CallKeys {
  private others = new Map<string, Other>();
  private epoch = 0;
  private usedBy: string | undefined;
  private sharing: { readonly epoch: number; readonly recipients: readonly CallDevice[] } | undefined;
  private clearAllowed = false;

  /** `selfAble`: this device can encrypt, and others will believe that its keys are this user's. */
  constructor(private selfAble: boolean) {}

  /** The other devices in the call, all of them. `nowS`: Unix seconds. */
  present(devices: readonly CallDevice[], nowS: number): CallKeyEffect[] {
    const before = this.others;
    this.others = new Map(devices.map((device) => [refOf(device), before.get(refOf(device)) ?? { device, able: undefined }]));
    this.forgetConsent();
    const unknown = devices.filter((device) => !before.has(refOf(device)));
    return [...(unknown.length > 0 ? [{ kind: "look_up", devices: unknown } as const] : []), ...this.next(nowS)];
  }

  /** Whether the device is still in the call. */
  has(device: CallDevice): boolean {
    return this.others.has(refOf(device));
  }

  /** What a device can do was found out, perhaps once more. One that has gone since is passed over. */
  known(device: CallDevice, able: boolean, nowS: number): CallKeyEffect[] {
    if (!this.others.has(refOf(device))) return [];
    this.others.set(refOf(device), { device, able });
    this.forgetConsent();
    return this.next(nowS);
  }

  /** The own device was confirmed, or is not any more. */
  setSelfAble(able: boolean, nowS: number): CallKeyEffect[] {
    this.selfAble = able;
    this.forgetConsent();
    return this.next(nowS);
  }

  /** The key of the epoch is with the server, for each of its recipients. */
  shared(epoch: number, nowS: number): CallKeyEffect[] {
    if (this.sharing?.epoch !== epoch) return [];
    const first = this.usedBy === undefined;
    this.usedBy = setOf(this.sharing.recipients);
    this.sharing = undefined;
    return [{ kind: "use", epoch, first }, ...this.next(nowS)];
  }

  /** The user lets this device send what everybody on the way can see and hear, while somebody cannot decrypt. */
  allowClear(): void {
    this.clearAllowed = this.someCannot;
  }

  get sending(): Sending {
    if (this.clearAllowed) return "clear";
    return this.selfAble && this.usedBy !== undefined ? "encrypted" : "nothing";
  }

  /** Whether frames in the clear may be shown: only while somebody is known to be unable to encrypt. */
  get acceptsClear(): boolean {
    return this.someCannot;
  }

  /** Whether it was found out that the device cannot decrypt. */
  isUnable(device: CallDevice): boolean {
    return this.others.get(refOf(device))?.able === false;
  }

  /** The other devices that cannot decrypt. */
  get unable(): CallDevice[] {
    return [...this.others.values()].filter(({ able }) => able === false).map(({ device }) => device);
  }

  private get someCannot(): boolean {
    return this.others.size > 0 && (!this.selfAble || this.unable.length > 0);
  }

  /** What was allowed for those who have gone holds for nobody who comes later. */
  private forgetConsent(): void {
    this.clearAllowed &&= this.someCannot;
  }

  private next(nowS: number): CallKeyEffect[] {
    const recipients = [...this.others.values()].filter(({ able }) => able === true).map(({ device }) => device);
    if (!this.selfAble || this.sharing || recipients.length === 0 || setOf(recipients) === this.usedBy) return [];
    // Rises also over a reload of the page.
    this.epoch = Math.max(this.epoch + 1, nowS);
    this.sharing = { epoch: this.epoch, recipients };
    return [{ kind: "share", ...this.sharing }];
  }
}

/** Ids have no line breaks. */
export const refOf = ({ userId, deviceId }: CallDevice): string => `${userId}\n${deviceId}`;

const setOf = (devices: readonly CallDevice[]): string => devices.map(refOf).sort().join("\n\n");
