import { lazyWindow } from "./lazy-window";
import type { StickerWindowProps } from "./sticker-window";
import type { VoiceWindowProps } from "./voice-window";

/** Where a sticker is chosen. */
export const StickerWindow = lazyWindow<StickerWindowProps>(async () => (await import("./sticker-window")).StickerWindow);

/** Whether this browser can record. */
export const canRecord = (): boolean => typeof MediaRecorder !== "undefined";

/** Where a voice message is recorded. */
export const VoiceWindow = lazyWindow<VoiceWindowProps>(async () => (await import("./voice-window")).VoiceWindow);
