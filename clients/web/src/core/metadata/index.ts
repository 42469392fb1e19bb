import { type UserMessage, userMessage } from "../user-messages.js";
import { ascii } from "./bytes.js";
import { stripGif } from "./gif.js";
import { stripVideo, stripStill } from "./iso-media.js";
import { stripJpeg } from "./jpeg.js";
import { stripPng } from "./png.js";
import { stripWebp } from "./webp.js";

/**
 * Takes out of a file what tells more than it shows: where, when and with what it was made, names, remarks, previews of what
 * was cut away. What is drawn and heard stays bit for bit: nothing is coded anew, animations go on, up stays up.
 */
type Strip = (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;

/** By the first bytes: what devices call a form differs. */
function stripOf(bytes: Uint8Array, contentType: string): Strip | undefined {
  const [start, form] = [ascii(bytes, 0, 4), ascii(bytes, 4, 4)];
  if (start.startsWith("\xff\xd8\xff")) return stripJpeg;
  if (start === "\x89PNG") return stripPng;
  if (start === "RIFF" && ascii(bytes, 8, 4) === "WEBP") return stripWebp;
  if (start === "GIF8") return stripGif;
  if (ISO_MEDIA_STARTS.has(form)) return contentType.startsWith("image/") ? stripStill : stripVideo;
  return undefined;
}

/** With what an ISO base media file begins, older ones of QuickTime among them. */
const ISO_MEDIA_STARTS = new Set(["ftyp", "moov", "mdat", "wide", "free", "skip", "pnot"]);

/** May have metadata that we cannot remove. */
const NOT_STRIPPED = new Set(["video/webm", "video/matroska", "application/pdf", "audio/mpeg", "audio/flac", "audio/ogg", "audio/wav", "audio/webm", "audio/aac"]);

export interface Stripped {
  readonly body: Blob;
  /** About what may still be in it. */
  readonly notice: UserMessage | undefined;
}

/** A file as it leaves this device; undefined when what is in it is not of its type, so that nothing could be taken out. */
export async function strip(body: Blob, contentType: string): Promise<Stripped | undefined> {
  const [kind = ""] = contentType.split("/");
  if (!["image", "audio", "video"].includes(kind)) return { body, notice: noticeOf(contentType) };
  const bytes = new Uint8Array(await body.arrayBuffer());
  const take = stripOf(bytes, contentType);
  if (!take) return kind === "image" ? undefined : { body, notice: noticeOf(contentType) };
  try {
    return { body: new Blob([take(bytes)], { type: contentType }), notice: undefined };
  } catch {
    // Whatever it is, its form was not as the types say: MalformedFileError, or cut off where a number should be.
    return undefined;
  }
}

function noticeOf(contentType: string): UserMessage | undefined {
  return NOT_STRIPPED.has(contentType) ? userMessage("file_says_more") : undefined;
}
