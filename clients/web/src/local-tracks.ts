import type { CallDevices } from "./call-devices.js";
import type { DeviceProblem } from "./core/user-messages.js";
import type { LocalMedia, SharedScreen } from "./devices.js";

/** How long joining waits for the browser's permission question. Raising it delays calls; lowering it joins without tracks, which follow. */
const DEVICE_WAIT_MS = 2500;
/** Between two times that a device is opened anew by itself. Raising it leaves a call silent for longer when a device flickers; lowering it asks more of one that ends as soon as it is opened. */
const REOPEN_PAUSE_MS = 2000;

/** What opens devices, which a page without calls never loads. */
const opener = () => import("./devices.js");

type Kind = "microphone" | "camera";

/** One's own microphone and camera during a call, or before it. */
export class LocalTracks {
  microphone: MediaStreamTrack | undefined;
  camera: MediaStreamTrack | undefined;
  screen: MediaStreamTrack | undefined;
  /** What the shared tab or window plays, where the user shares that too. */
  screenSound: MediaStreamTrack | undefined;
  muted = false;
  microphoneProblem: DeviceProblem | undefined;
  cameraProblem: DeviceProblem | undefined;
  private opening: Promise<void> = Promise.resolve();
  /** Rises with each call, so that a late answer of the browser does not switch a camera on after the end. */
  private epoch = 0;
  /** Rise with each time that one is asked for or switched off: of two answers the later question's counts. */
  private readonly openings = { microphone: 0, camera: 0, screen: 0 };
  /** Until then none is opened anew by itself, once it was; and what waits for that. */
  private readonly rests: Partial<Record<Kind, number>> = {};
  private readonly waits: Partial<Record<Kind, ReturnType<typeof setTimeout> | undefined>> = {};
  /** Tracks that the system took for something else, such as a telephone call, and gave back or not. */
  private readonly interrupted = new Set<MediaStreamTrack>();

  constructor(
    private readonly devices: CallDevices,
    private readonly changed: () => void,
  ) {}

  async open(video: boolean): Promise<void> {
    this.close();
    const epoch = this.epoch;
    this.opening = this.acquire(video, epoch);
    await this.opening;
  }

  /** Resolves when the devices are there or known to be missing, or after a short wait. */
  async opened(): Promise<void> {
    await Promise.race([this.opening, new Promise((resolve) => setTimeout(resolve, DEVICE_WAIT_MS))]);
  }

  /** Unmuting without a microphone asks for it again: the user may have allowed it meanwhile. */
  async setMuted(muted: boolean): Promise<void> {
    this.muted = muted;
    if (this.microphone) this.microphone.enabled = !muted;
    this.changed();
    if (!muted && !this.microphone) await this.openOne("microphone");
  }

  /** After another one was chosen. What is off stays off. */
  async reopen(kind: Kind): Promise<void> {
    if (this[kind]) await this.openOne(kind);
  }

  /**
   * The page is seen again, or the system gave a track back: what was interrupted is opened anew. On phones it stays silent
   * or dark else, whatever the track says of itself.
   */
  async recover(): Promise<void> {
    const lost = (["microphone", "camera"] as const).filter((kind) => this.interrupted.has(this[kind] as MediaStreamTrack));
    await Promise.all(lost.map((kind) => this.openOne(kind)));
  }

  /** Off frees the camera, so that its light goes out. */
  async setCamera(on: boolean): Promise<void> {
    if (!on) {
      this.openings.camera++;
      this.camera?.stop();
      this.camera = undefined;
      this.changed();
      return;
    }
    await this.openOne("camera");
  }

  /** The browser lets the user choose what to show; it may also end it, by a button of its own. */
  async setScreen(on: boolean): Promise<void> {
    if (!on) {
      this.openings.screen++;
      return this.endScreen();
    }
    const { epoch, openings: { screen: opening } } = this;
    const { picture, sound } = await opener().then(({ openScreen }) => openScreen(), (): SharedScreen => ({ picture: undefined, sound: undefined }));
    if (epoch !== this.epoch || opening !== this.openings.screen) return [picture, sound].forEach((track) => track?.stop());
    if (!picture) return;
    // Asked for twice, and chosen twice.
    for (const track of [this.screen, this.screenSound]) track?.stop();
    picture.onended = () => this.screen === picture && this.endScreen();
    this.screen = picture;
    this.screenSound = sound;
    this.changed();
  }

  close(): void {
    this.epoch++;
    this.interrupted.clear();
    for (const wait of Object.values(this.waits)) clearTimeout(wait);
    this.waits.microphone = this.waits.camera = undefined;
    for (const track of [this.microphone, this.camera, this.screen, this.screenSound]) track?.stop();
    this.microphone = undefined;
    this.camera = undefined;
    this.screen = undefined;
    this.screenSound = undefined;
    this.microphoneProblem = undefined;
    this.cameraProblem = undefined;
    this.muted = false;
  }

  private async openOne(kind: Kind): Promise<void> {
    const [epoch, opening] = [this.epoch, ++this.openings[kind]];
    const got = await opener().then(
      ({ openCamera, openMicrophone }) => (kind === "camera" ? openCamera : openMicrophone)(this.devices.choice[kind]),
      (): DeviceProblem => "missing",
    );
    if (epoch !== this.epoch || opening !== this.openings[kind]) return stop(got);
    this.take(kind, got);
    this.changed();
  }

  /** One that runs goes on where another cannot be had. */
  private take(kind: Kind, got: MediaStreamTrack | DeviceProblem | undefined): void {
    const [track, problem] = typeof got === "string" ? [undefined, got] : [got, undefined];
    this[`${kind}Problem`] = problem;
    if (!track && this[kind]?.readyState === "live") return;
    this[kind]?.stop();
    this[kind] = track;
    if (!track) return;
    if (kind === "microphone") track.enabled = !this.muted;
    // It was pulled out, or the system took it: another one takes its place, if there is one.
    track.onended = () => this.again(kind, track, () => this.openOne(kind));
    track.onmute = () => this.interrupted.add(track);
    track.onunmute = () => this.again(kind, track, () => this.recover());
  }

  /** Opens what took the place of a track anew, at once for the first time, and then after pauses. */
  private again(kind: Kind, track: MediaStreamTrack, open: () => Promise<void>): void {
    if (this[kind] !== track || this.waits[kind] !== undefined) return;
    const now = performance.now();
    const act = (): void => {
      this.waits[kind] = undefined;
      if (this[kind] !== track) return;
      this.rests[kind] = performance.now() + REOPEN_PAUSE_MS;
      void open();
    };
    const pause = (this.rests[kind] ?? now) - now;
    if (pause <= 0) act();
    else this.waits[kind] = setTimeout(act, pause);
  }

  private endScreen(): void {
    this.screen?.stop();
    this.screenSound?.stop();
    this.screen = undefined;
    this.screenSound = undefined;
    this.changed();
  }

  private async acquire(video: boolean, epoch: number): Promise<void> {
    const asked = { ...this.openings };
    const got = await opener().then(
      ({ openLocalMedia }) => openLocalMedia(video, this.devices.choice),
      (): LocalMedia => ({ microphone: undefined, camera: undefined, microphoneProblem: "missing", cameraProblem: video ? "missing" : undefined }),
    );
    for (const kind of ["microphone", "camera"] as const) {
      // Switched off, or asked for once more, while the browser's question stood.
      if (epoch === this.epoch && asked[kind] === this.openings[kind]) this.take(kind, got[kind] ?? got[`${kind}Problem`]);
      else got[kind]?.stop();
    }
    if (epoch === this.epoch) this.changed();
  }
}

function stop(got: MediaStreamTrack | string): void {
  if (typeof got !== "string") got.stop();
}
