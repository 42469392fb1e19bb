import { afterEach, beforeEach, vi } from "vitest";
import { unmountAll } from "./support.js";

/** What a browser has and jsdom has not. */
class FakeStream {
  constructor(readonly tracks: readonly MediaStreamTrack[] = []) {}
  getAudioTracks = (): MediaStreamTrack[] => this.tracks.filter(({ kind }) => kind === "audio");
  getVideoTracks = (): MediaStreamTrack[] => this.tracks.filter(({ kind }) => kind === "video");
}

beforeEach(() => {
  vi.stubGlobal("MediaStream", FakeStream);
  vi.spyOn(HTMLMediaElement.prototype, "play").mockResolvedValue();
});

afterEach(async () => {
  await unmountAll();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});
