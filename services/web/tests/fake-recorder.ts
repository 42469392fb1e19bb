import { Blob as NodeBlob } from "node:buffer";
import { vi } from "vitest";

/** A browser's MediaRecorder: records nothing, and ends when it is told, or when its track ends. */
export class FakeRecorder {
  static readonly made: FakeRecorder[] = [];
  static isTypeSupported = (form: string): boolean => form.startsWith("audio/webm");
  state = "inactive";
  ondataavailable: (event: { data: Blob }) => void = () => undefined;
  onstop: () => void = () => undefined;
  readonly mimeType: string;

  constructor(_stream: unknown, { mimeType = "" }: { mimeType?: string }) {
    this.mimeType = mimeType;
    FakeRecorder.made.push(this);
  }

  start(): void {
    this.state = "recording";
  }

  stop(): void {
    this.state = "inactive";
    this.ondataavailable({ data: new Blob(["a voice"]) });
    this.onstop();
  }
}

/** Puts it into the page. Undone with the stubs. */
export function useRecorder(): void {
  FakeRecorder.made.length = 0;
  vi.stubGlobal("MediaRecorder", FakeRecorder);
  // jsdom's tell nobody their bytes.
  vi.stubGlobal("Blob", NodeBlob);
}
