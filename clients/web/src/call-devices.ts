/** What of this device a call uses. */
export type DeviceKind = "microphone" | "camera" | "speaker";

/** The browser's ids of what was chosen; of the others it chooses itself. One that is not there any more is stood in for by another. */
export type DeviceChoice = { readonly [K in DeviceKind]?: string };

const KINDS: readonly DeviceKind[] = ["microphone", "camera", "speaker"];

/** Which microphone, camera and loudspeaker calls use in this browser, whoever is logged in. */
export class CallDevices {
  choice: DeviceChoice;

  constructor(private readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> | undefined) {
    this.choice = Object.fromEntries(KINDS.map((kind) => [kind, storage?.getItem(keyOf(kind))]).filter(([, id]) => id));
  }

  /** An empty id leaves it to the browser. A storage that is full forgets the choice at the page's end, not before. */
  choose(kind: DeviceKind, deviceId: string): void {
    const { [kind]: _, ...others } = this.choice;
    this.choice = deviceId ? { ...others, [kind]: deviceId } : others;
    try {
      if (deviceId) this.storage?.setItem(keyOf(kind), deviceId);
      else this.storage?.removeItem(keyOf(kind));
    } catch {
      // Full, or not allowed.
    }
  }
}

const keyOf = (kind: DeviceKind): string => `parley.device.${kind}`;
