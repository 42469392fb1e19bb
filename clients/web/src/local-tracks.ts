import type { DeviceProblem } from "./core/user-messages.js";
import { openCamera, openLocalMedia, openMicrophone, openScreen } from "./devices.js";

/** How long joining waits for the browser's permission question. Raising it delays calls; lowering it joins without tracks, which follow. */
const DEVICE_WAIT_MS = 2500;

/** One's own microphone and camera during a call. */
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

  constructor(private readonly changed: () => void) {}

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
    if (muted || this.microphone) return;
    const epoch = this.epoch;
    const got = await openMicrophone();
    if (epoch !== this.epoch) return stop(got);
    this.microphoneProblem = typeof got === "string" ? got : undefined;
    this.microphone = typeof got === "string" ? undefined : got;
    this.changed();
  }

  /** Off frees the camera, so that its light goes out. */
  async setCamera(on: boolean): Promise<void> {
    if (!on) {
      this.camera?.stop();
      this.camera = undefined;
      this.changed();
      return;
    }
    const epoch = this.epoch;
    const got = await openCamera();
    if (epoch !== this.epoch) return stop(got);
    this.cameraProblem = typeof got === "string" ? got : undefined;
    this.camera = typeof got === "string" ? undefined : got;
    this.changed();
  }

  /** The browser lets the user choose what to show; it may also end it, by a button of its own. */
  async setScreen(on: boolean): Promise<void> {
    if (!on) return this.endScreen();
    const epoch = this.epoch;
    const got = await openScreen();
    const { picture, sound } = got;
    if (epoch !== this.epoch) return [picture, sound].forEach((track) => track?.stop());
    if (!picture) return;
    picture.onended = () => this.screen === picture && this.endScreen();
    this.screen = picture;
    this.screenSound = sound;
    this.changed();
  }

  close(): void {
    this.epoch++;
    for (const track of [this.microphone, this.camera, this.screen, this.screenSound]) track?.stop();
    this.microphone = undefined;
    this.camera = undefined;
    this.screen = undefined;
    this.screenSound = undefined;
    this.microphoneProblem = undefined;
    this.cameraProblem = undefined;
    this.muted = false;
  }

  private endScreen(): void {
    this.screen?.stop();
    this.screenSound?.stop();
    this.screen = undefined;
    this.screenSound = undefined;
    this.changed();
  }

  private async acquire(video: boolean, epoch: number): Promise<void> {
    const got = await openLocalMedia(video);
    if (epoch !== this.epoch) {
      got.microphone?.stop();
      got.camera?.stop();
      return;
    }
    this.microphone = got.microphone;
    this.camera = got.camera;
    this.microphoneProblem = got.microphoneProblem;
    this.cameraProblem = got.cameraProblem;
    if (this.microphone) this.microphone.enabled = !this.muted;
    this.changed();
  }
}

function stop(got: MediaStreamTrack | string): void {
  if (typeof got !== "string") got.stop();
}
