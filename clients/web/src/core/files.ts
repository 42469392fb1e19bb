import { displayName } from "./display-name.js";
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

const MAX_NAME = 255;

/** A name that the service accepts: no slashes, no control characters. One that is too long keeps its end, which has the suffix. */
export function safeName(name: string): string {
  const plain = displayName(name.replace(/[/\\]/g, "_").replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/gu, "")).normalize("NFC");
  const points = [...plain];
  // A unit more for each code point beyond the first plane.
  const units = points.slice(-MAX_NAME).join("").length;
  const kept = points.length > MAX_NAME ? truncateStart(plain, units) : plain;
  return isBlank(kept) ? "file" : kept;
}
