import { truncateStart, isBlank } from "./graphemes.js";
import { isSendable, mediaType } from "./media-types.js";
import { type UserMessage, userMessage } from "./user-messages.js";

/** Why a file cannot be sent, for people; undefined when it can. */
export function fileProblem(contentType: string, sizeBytes: number, maxBytes: number): UserMessage | undefined {
  if (sizeBytes === 0) return userMessage("file_empty");
  if (sizeBytes > maxBytes) return userMessage("file_too_large", { bytes: maxBytes });
  if (!isSendable(contentType)) return userMessage("file_type");
  return undefined;
}

/** The one name of a file's type, as the service keeps it. */
export function contentTypeOf(given: string, fileName = ""): string {
  return mediaType(given, fileName);
}

/** Turns the direction of reading for what follows: `photo\u202egpj.exe` looks like a picture. */
const BIDI_CONTROLS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const MAX_NAME = 255;

/** A name, or a text in one line of others, as it is shown: nothing in it turns the direction of reading. */
export function displayName(name: string): string {
  return name.replace(BIDI_CONTROLS, "");
}

/** A name that the service accepts: no slashes, no control characters. One that is too long keeps its end, which has the suffix. */
export function safeName(name: string): string {
  const plain = displayName(name.replace(/[/\\]/g, "_").replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/gu, "")).normalize("NFC");
  const points = [...plain];
  // A unit more for each code point beyond the first plane.
  const units = points.slice(-MAX_NAME).join("").length;
  const kept = points.length > MAX_NAME ? truncateStart(plain, units) : plain;
  return isBlank(kept) ? "file" : kept;
}
