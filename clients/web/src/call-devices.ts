/** What of this device a call uses. */
export type DeviceKind = "microphone" | "camera" | "speaker";

/** The browser's ids of what was chosen; of the others it chooses itself. One that is not there any more is stood in for by another. */
export type DeviceChoice = { readonly [K in DeviceKind]?: string | undefined };

/** Phones' browsers have no such thing. */
export function canShareScreen(): boolean {
  return typeof navigator !== "undefined" && typeof navigator.mediaDevices?.getDisplayMedia === "function";
}

const KEY = "parley.devices";

/** Which microphone, camera and loudspeaker calls use in this browser, whoever is logged in. */
export class CallDevices {
  choice: DeviceChoice = {};

  constructor(private readonly storage: Pick<Storage, "getItem" | "setItem">) {
    try {
      this.choice = { ...JSON.parse(storage.getItem(KEY) ?? "{}") };
    } catch {
      // What is kept there is not ours.
    }
  }

  /** An empty id leaves it to the browser. A storage that is full forgets the choice at the page's end, not before. */
  choose(kind: DeviceKind, deviceId: string): void {
    this.choice = { ...this.choice, [kind]: deviceId || undefined };
    try {
      this.storage.setItem(KEY, JSON.stringify(this.choice));
    } catch {
      // Full, or not allowed.
    }
  }
}
