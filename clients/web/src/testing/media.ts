import type { CallMedia, RemoteParticipant } from "../index.js";

/** In place of WebRTC: connected at once, to nobody. Who is to be seen is set by what extends it, which then calls `changed`. */
export class FakeMedia implements CallMedia {
  phase: CallMedia["phase"] = "idle";
  remotes: CallMedia["remotes"] = [];
  speakers: CallMedia["speakers"] = [];
  weak = false;
  encryption: CallMedia["encryption"] = "off";
  unseen: CallMedia["unseen"] = { of: [], by: [] };

  constructor(protected readonly changed: () => void) {}

  start(): void {
    this.phase = "connected";
    this.changed();
  }

  retryNow(): void {}

  move(): void {}

  send(_sending: Parameters<CallMedia["send"]>[0]): void {}

  requestVideo(_videoRequests: Parameters<CallMedia["requestVideo"]>[0], _hidden: boolean): void {}

  stats(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  close(): void {
    this.phase = "closed";
    this.remotes = [];
  }
}

/** Somebody in the call who sends a microphone and a camera; without tracks, where no browser is. */
export function remoteParticipant(userId: string, is: Partial<Omit<RemoteParticipant, "userId">> = {}): RemoteParticipant {
  const sent = { audioMid: "1", videoMid: "2", screenMid: undefined, screenAudioMid: undefined, audioMuted: false, videoMuted: false };
  return { userId, ...sent, audio: undefined, video: undefined, screen: undefined, screenSound: undefined, ...is };
}
