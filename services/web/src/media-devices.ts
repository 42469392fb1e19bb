import type { DeviceKind } from "@parley/client";
import { useEffect, useState } from "preact/hooks";

/** One microphone, camera or loudspeaker. */
export interface ListedDevice {
  readonly id: string;
  /** Empty until the user has let the page use such devices. */
  readonly label: string;
}

export type DeviceList = Readonly<Record<DeviceKind, readonly ListedDevice[]>>;

const NOTHING: DeviceList = { microphone: [], camera: [], speaker: [] };
const KINDS: Readonly<Record<MediaDeviceKind, DeviceKind>> = { audioinput: "microphone", videoinput: "camera", audiooutput: "speaker" };
/** What Chromium lists beside the devices themselves: the one that the system prefers, once more. */
const ALIASES: readonly string[] = ["default", "communications"];

/** The devices that are plugged in. Never rejects: a browser that lists none lets none be chosen. */
export async function listDevices(): Promise<DeviceList> {
  try {
    const all = await navigator.mediaDevices.enumerateDevices();
    const list: Record<DeviceKind, ListedDevice[]> = { microphone: [], camera: [], speaker: [] };
    // Before the user has allowed anything, the ids are empty too.
    for (const { kind, deviceId, label } of all) if (deviceId && !ALIASES.includes(deviceId)) list[KINDS[kind]].push({ id: deviceId, label });
    return list;
  } catch {
    return NOTHING;
  }
}

/** The devices as they are plugged in and out; asked for anew with each value of `of`, since names come with the first use. */
export function useDeviceList(of: readonly unknown[]): DeviceList {
  const [list, setList] = useState(NOTHING);
  useEffect(() => {
    let over = false;
    const update = (): void => void listDevices().then((next) => over || setList(next));
    update();
    navigator.mediaDevices?.addEventListener("devicechange", update);
    return () => {
      over = true;
      navigator.mediaDevices?.removeEventListener("devicechange", update);
    };
  }, of);
  return list;
}

/** Browsers that do not let a page choose the loudspeaker offer no such choice. */
export function canChooseSpeaker(): boolean {
  return typeof HTMLMediaElement !== "undefined" && "setSinkId" in HTMLMediaElement.prototype;
}

/** What is no louder than this, in dB under full scale, counts as silence. Raising it hides quiet voices; lowering it shows the noise of the room. */
const SILENCE_DB = -60;

/** How loud samples between -1 and 1 are: from 0, silence, to 1. */
export function levelOf(samples: Float32Array): number {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, samples.length);
  const db = 10 * Math.log10(power);
  return Math.max(0, Math.min(1, 1 - db / SILENCE_DB));
}

/** So often the level is told. */
const LEVEL_MS = 80;
const SAMPLES = 1024;

/** Tells how loud a track is, until the returned function is called. Silent where the browser measures no sound. */
export function followLevel(track: MediaStreamTrack, told: (level: number) => void): () => void {
  if (typeof AudioContext === "undefined") return () => undefined;
  const context = new AudioContext();
  void context.resume().catch(() => undefined);
  const analyser = context.createAnalyser();
  analyser.fftSize = SAMPLES;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(SAMPLES);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    told(levelOf(samples));
  }, LEVEL_MS);
  return () => {
    clearInterval(timer);
    void context.close().catch(() => undefined);
  };
}
