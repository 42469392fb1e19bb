import { vi } from "vitest";

type Kind = "audio" | "video";
const KIND_OF: Readonly<Record<MediaDeviceKind, Kind | undefined>> = { audioinput: "audio", videoinput: "video", audiooutput: undefined };

export class FakeTrack {
  enabled = true;
  readyState = "live";
  onended: () => void = () => undefined;
  readonly id = crypto.randomUUID();
  constructor(
    readonly kind: Kind,
    readonly deviceId: string,
  ) {}
  stop(): void {
    this.readyState = "ended";
  }
}

class FakeStream {
  constructor(readonly tracks: readonly FakeTrack[] = []) {}
  getAudioTracks = (): FakeTrack[] => this.tracks.filter(({ kind }) => kind === "audio");
  getVideoTracks = (): FakeTrack[] => this.tracks.filter(({ kind }) => kind === "video");
}

export interface Plugged {
  readonly kind: MediaDeviceKind;
  readonly deviceId: string;
  readonly label: string;
}

/** A browser's microphones, cameras and loudspeakers. As in browsers, names are told once the page has been let in. */
export class FakeDevices extends EventTarget {
  readonly opened: FakeTrack[] = [];
  refused = false;
  private known = false;

  constructor(private plugged: readonly Plugged[]) {
    super();
  }

  /** What is plugged in from now on. */
  plug(plugged: readonly Plugged[]): void {
    this.plugged = plugged;
    for (const track of this.opened) if (track.readyState === "live" && !plugged.some(({ deviceId }) => deviceId === track.deviceId)) this.end(track);
    this.dispatchEvent(new Event("devicechange"));
  }

  enumerateDevices(): Promise<Plugged[]> {
    return Promise.resolve(this.plugged.map((device) => (this.known ? device : { ...device, deviceId: "", label: "" })));
  }

  getUserMedia(constraints: MediaStreamConstraints): Promise<FakeStream> {
    if (this.refused) return Promise.reject(new DOMException("no", "NotAllowedError"));
    const tracks = (["audio", "video"] as const).flatMap((kind) => (constraints[kind] ? [this.open(kind, constraints[kind])] : []));
    if (tracks.some((track) => !track)) return Promise.reject(new DOMException("none", "NotFoundError"));
    this.known = true;
    this.opened.push(...(tracks as FakeTrack[]));
    return Promise.resolve(new FakeStream(tracks as FakeTrack[]));
  }

  /** Those that are on. */
  get live(): string[] {
    return this.opened.filter(({ readyState }) => readyState === "live").map(({ deviceId }) => deviceId);
  }

  private open(kind: Kind, constraints: boolean | MediaTrackConstraints): FakeTrack | undefined {
    const wished = typeof constraints === "object" ? (constraints.deviceId as ConstrainDOMStringParameters | undefined)?.ideal : undefined;
    const fitting = this.plugged.filter((device) => KIND_OF[device.kind] === kind);
    const device = fitting.find(({ deviceId }) => deviceId === wished) ?? fitting[0];
    return device && new FakeTrack(kind, device.deviceId);
  }

  private end(track: FakeTrack): void {
    track.stop();
    track.onended();
  }
}

/** Puts them into the page, with what jsdom has not. Undone with the stubs and spies. */
export function useDevices(plugged: readonly Plugged[]): FakeDevices {
  const devices = new FakeDevices(plugged);
  vi.stubGlobal("MediaStream", FakeStream);
  Object.defineProperty(navigator, "mediaDevices", { configurable: true, value: devices });
  vi.spyOn(HTMLMediaElement.prototype, "play").mockResolvedValue();
  HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
    this.open = true;
  };
  HTMLDialogElement.prototype.close ??= function (this: HTMLDialogElement) {
    this.open = false;
  };
  return devices;
}
