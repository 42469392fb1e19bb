import type { DeviceChoice } from "./call-devices.js";
import type { DeviceProblem } from "./core/user-messages.js";

export interface LocalMedia {
  readonly microphone: MediaStreamTrack | undefined;
  readonly camera: MediaStreamTrack | undefined;
  readonly microphoneProblem: DeviceProblem | undefined;
  readonly cameraProblem: DeviceProblem | undefined;
}

const VIDEO: MediaTrackConstraints = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 30 } };
const AUDIO: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

// Wished for and not demanded: where the chosen one is gone, the browser gives another. Without a choice a phone gives the
// camera that its user looks into.
const video = (deviceId: string | undefined): MediaTrackConstraints => ({ ...VIDEO, ...(deviceId ? { deviceId: { ideal: deviceId } } : { facingMode: "user" }) });
const audio = (deviceId: string | undefined): MediaTrackConstraints => ({ ...AUDIO, ...(deviceId ? { deviceId: { ideal: deviceId } } : {}) });

/**
 * Opens microphone and, when asked, camera. Never rejects: what cannot be had is named in the result, so that a call
 * goes on with what there is.
 */
export async function openLocalMedia(withVideo: boolean, choice: DeviceChoice = {}): Promise<LocalMedia> {
  if (withVideo) {
    // Together first: browsers then ask the user once instead of twice.
    const both = await request({ audio: audio(choice.microphone), video: video(choice.camera) });
    if (both instanceof MediaStream) return found(both);
  }
  const microphone = await openMicrophone(choice.microphone);
  const camera = withVideo ? await openCamera(choice.camera) : undefined;
  return {
    microphone: trackOf(microphone),
    camera: trackOf(camera),
    microphoneProblem: problemOf(microphone),
    cameraProblem: problemOf(camera),
  };
}

/** The camera's track, or why there is none; another camera's where the chosen one is gone. */
export async function openCamera(deviceId?: string): Promise<MediaStreamTrack | DeviceProblem> {
  const stream = await request({ video: video(deviceId) });
  return stream instanceof MediaStream ? (stream.getVideoTracks()[0] ?? "missing") : stream;
}

/** The microphone's track, or why there is none; another microphone's where the chosen one is gone. */
export async function openMicrophone(deviceId?: string): Promise<MediaStreamTrack | DeviceProblem> {
  const stream = await request({ audio: audio(deviceId) });
  return stream instanceof MediaStream ? (stream.getAudioTracks()[0] ?? "missing") : stream;
}

/** What a user shares: nothing when none was chosen, and no sound where the browser or the user gives none. */
export interface SharedScreen {
  readonly picture: MediaStreamTrack | undefined;
  readonly sound: MediaStreamTrack | undefined;
}

/** As it is played, in stereo: what is made for voices spoils music. */
const SCREEN_SOUND: MediaTrackConstraints = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 2 };

/** The tracks of a tab, window or screen that the user chooses. */
export async function openScreen(): Promise<SharedScreen> {
  // The sound of the whole machine is not offered: the others would hear themselves in it.
  const wanted = { video: { frameRate: { max: 15 } }, audio: SCREEN_SOUND, systemAudio: "exclude" };
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia(wanted);
    const [picture, sound] = [stream.getVideoTracks()[0], stream.getAudioTracks()[0]];
    // Without it encoders keep the frame rate and blur the text, as for a video.
    if (picture) picture.contentHint = "detail";
    if (sound) sound.contentHint = "music";
    return { picture, sound };
  } catch {
    return { picture: undefined, sound: undefined };
  }
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
