import type { DeviceProblem } from "./core/user-messages.js";

export interface LocalMedia {
  readonly microphone: MediaStreamTrack | undefined;
  readonly camera: MediaStreamTrack | undefined;
  readonly microphoneProblem: DeviceProblem | undefined;
  readonly cameraProblem: DeviceProblem | undefined;
}

const VIDEO: MediaTrackConstraints = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 }, facingMode: "user" };
const AUDIO: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/**
 * Opens microphone and, when asked, camera. Never rejects: what cannot be had is named in the result, so that a call
 * goes on with what there is.
 */
export async function openLocalMedia(video: boolean): Promise<LocalMedia> {
  if (video) {
    // Together first: browsers then ask the user once instead of twice.
    const both = await request({ audio: AUDIO, video: VIDEO });
    if (both instanceof MediaStream) return found(both);
  }
  const microphone = await openMicrophone();
  const camera = video ? await openCamera() : undefined;
  return {
    microphone: trackOf(microphone),
    camera: trackOf(camera),
    microphoneProblem: problemOf(microphone),
    cameraProblem: problemOf(camera),
  };
}

/** The camera's track, or why there is none. */
export async function openCamera(): Promise<MediaStreamTrack | DeviceProblem> {
  const stream = await request({ video: VIDEO });
  return stream instanceof MediaStream ? (stream.getVideoTracks()[0] ?? "missing") : stream;
}

/** The microphone's track, or why there is none. */
export async function openMicrophone(): Promise<MediaStreamTrack | DeviceProblem> {
  const stream = await request({ audio: AUDIO });
  return stream instanceof MediaStream ? (stream.getAudioTracks()[0] ?? "missing") : stream;
}

/** The track of a screen or window that the user chooses, or undefined when none was chosen. */
export async function openScreen(): Promise<MediaStreamTrack | undefined> {
  try {
    const [track] = (await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { max: 15 } }, audio: false })).getVideoTracks();
    // Without it encoders keep the frame rate and blur the text, as for a video.
    if (track) track.contentHint = "detail";
    return track;
  } catch {
    return undefined;
  }
}

/** Phones' browsers have no such thing. */
export function canShareScreen(): boolean {
  return typeof navigator !== "undefined" && typeof navigator.mediaDevices?.getDisplayMedia === "function";
}

async function request(constraints: MediaStreamConstraints): Promise<MediaStream | DeviceProblem> {
  // Outside HTTPS and localhost browsers have no mediaDevices at all.
  if (!navigator.mediaDevices) return "insecure";
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    return readProblem(error);
  }
}

function readProblem(error: unknown): DeviceProblem {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "refused";
  if (name === "NotReadableError" || name === "AbortError") return "in_use";
  return "missing";
}

function found(stream: MediaStream): LocalMedia {
  return {
    microphone: stream.getAudioTracks()[0],
    camera: stream.getVideoTracks()[0],
    microphoneProblem: undefined,
    cameraProblem: undefined,
  };
}

function trackOf(got: MediaStreamTrack | DeviceProblem | undefined): MediaStreamTrack | undefined {
  return typeof got === "object" ? got : undefined;
}

function problemOf(got: MediaStreamTrack | DeviceProblem | undefined): DeviceProblem | undefined {
  return typeof got === "string" ? got : undefined;
}
