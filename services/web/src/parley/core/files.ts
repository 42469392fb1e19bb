/** At most so many files go with one message (the service's limit). */
export const MAX_FILES = 10;
/** The service's default; it has the last word. */
export const MAX_FILE_BYTES = 100 * 1024 * 1024;

const ALLOWED = [/^image\//, /^audio\//, /^video\//, /^application\/pdf$/, /^text\/plain$/, /^application\/zip$/];

/** Browsers call ZIP files by several names; the service takes one. */
export function contentTypeOf(given: string): string {
  const type = given.split(";")[0]?.trim().toLowerCase() ?? "";
  return type === "application/x-zip-compressed" || type === "application/x-zip" ? "application/zip" : type;
}

/** A sentence for people about why a file cannot be sent; undefined when it can. */
export function fileProblem(contentType: string, sizeBytes: number): string | undefined {
  if (sizeBytes === 0) return "This file is empty.";
  if (sizeBytes > MAX_FILE_BYTES) return `This file is too large. At most ${sizeLine(MAX_FILE_BYTES)} can be sent.`;
  if (!ALLOWED.some((type) => type.test(contentType))) return "Files of this type cannot be sent. Pictures, sounds, videos, PDF, plain text and ZIP can.";
  return undefined;
}

/** A name that the service takes: no slashes, no control characters, not too long. */
export function safeName(name: string): string {
  const plain = [...name.replace(/[/\\]/g, "_").replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/gu, "")];
  return plain.slice(-255).join("") || "file";
}

/** `640 kB`, `2.5 MB`. */
export function sizeLine(bytes: number): string {
  if (bytes < 1000) return `${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
  const [value, unit] = bytes < 1024 * 1000 ? [bytes / 1024, "kB"] : [bytes / (1024 * 1024), "MB"];
  return `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} ${unit}`;
}
