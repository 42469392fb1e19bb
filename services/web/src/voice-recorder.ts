import type { DeviceProblem, NewVoice, ParleyClient } from "@parley/client";
import { followLevel } from "./media-devices";

/** Of the forms that browsers record, those that most devices play come first. */
const FORMS = ["audio/mp4;codecs=mp4a.40.2", "audio/webm;codecs=opus", "audio/ogg;codecs=opus"];
/** As long as the service takes them. */
const MOST_MS = 900_000;
/** What is shorter was no more than a slip of the finger. The service takes 100 ms. */
const LEAST_MS = 500;
/** For speech. Raising it makes larger files, lowering it a duller voice. */
const BITS_PER_S = 32_000;
/** As many as a message may hold. */
const BARS = 128;

export type RecorderPhase = "opening" | "recording" | "done" | "failed";

/** Records one sound from the chosen microphone: begins by itself, and ends with `stop`, after the longest time, or when the microphone goes. */
export class VoiceRecorder {
  phase: RecorderPhase = "opening";
  /** Why there is no microphone; undefined for another failure. */
  problem: DeviceProblem | undefined;
  /** From 0, silence, to 1. */
  level = 0;
  sound: Required<Pick<NewVoice, "body" | "lengthS" | "waveform">> | undefined;
  private readonly levels: number[] = [];
  private recorder: MediaRecorder | undefined;
  private track: MediaStreamTrack | undefined;
  private endLevels: () => void = () => undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private startedMs = 0;
  private closed = false;

  constructor(
    client: ParleyClient,
    private readonly changed: () => void,
  ) {
    void this.open(client);
  }

  /** How long it is by now. */
  get lengthMs(): number {
    return this.phase === "recording" ? Math.min(performance.now() - this.startedMs, MOST_MS) : (this.sound?.lengthS ?? 0) * 1000;
  }

  get tooShort(): boolean {
    return this.sound !== undefined && this.lengthMs < LEAST_MS;
  }

  stop(): void {
    if (this.recorder?.state === "recording") this.recorder.stop();
  }

  /** Frees the microphone; nothing is kept. */
  close(): void {
    this.closed = true;
    this.stop();
    this.free();
  }

  private async open(client: ParleyClient): Promise<void> {
    const opened = await client.voice.openMicrophone().catch(() => undefined);
    if (typeof opened === "string") this.problem = opened;
    if (!opened || typeof opened === "string") return this.enter("failed");
    this.track = opened;
    if (this.closed) return this.free();
    try {
      this.record(opened);
      this.enter("recording");
    } catch {
      // Whatever the browser has against it.
      this.free();
      this.enter("failed");
    }
  }

  private record(track: MediaStreamTrack): void {
    const mimeType = FORMS.find((form) => MediaRecorder.isTypeSupported(form));
    const recorder = new MediaRecorder(new MediaStream([track]), { audioBitsPerSecond: BITS_PER_S, ...(mimeType ? { mimeType } : {}) });
    const parts: Blob[] = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => this.finish(new Blob(parts, { type: recorder.mimeType }));
    this.recorder = recorder;
    recorder.start();
    this.startedMs = performance.now();
    this.timer = setTimeout(() => this.stop(), MOST_MS);
    this.endLevels = followLevel(track, (level) => {
      this.level = level;
      this.levels.push(level);
      this.changed();
    });
  }

  private finish(body: Blob): void {
    const lengthS = this.lengthMs / 1000;
    this.free();
    if (this.closed) return;
    if (body.size === 0) return this.enter("failed");
    this.sound = { body, lengthS, waveform: waveformOf(this.levels) };
    this.enter("done");
  }

  private free(): void {
    clearTimeout(this.timer);
    this.endLevels();
    this.track?.stop();
  }

  private enter(phase: RecorderPhase): void {
    this.phase = phase;
    if (!this.closed) this.changed();
  }
}

/** The loudest of each of at most 128 equal parts, as bytes. */
export function waveformOf(levels: readonly number[]): Uint8Array<ArrayBuffer> {
  const bars = Math.min(BARS, levels.length);
  const loudest = (bar: number): number => Math.max(...levels.slice(Math.floor((bar * levels.length) / bars), Math.floor(((bar + 1) * levels.length) / bars)));
  return Uint8Array.from({ length: bars }, (_, bar) => Math.round(loudest(bar) * 255));
}
