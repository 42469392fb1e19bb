/** A type that can be sent: its one name, the ends of names by which it is known, and what else it is called. */
interface MediaType {
  readonly name: string;
  readonly suffixes: string;
  readonly aliases: string;
}

/** The service's table (core/media_types.py) and its default of what can be sent; a test compares them. */
export const MEDIA_TYPES: readonly MediaType[] = [
  { name: "image/jpeg", suffixes: "jpg jpeg jpe jfif", aliases: "image/jpg image/pjpeg image/x-citrix-jpeg" },
  { name: "image/png", suffixes: "png", aliases: "image/x-png image/x-citrix-png" },
  { name: "image/gif", suffixes: "gif", aliases: "" },
  { name: "image/webp", suffixes: "webp", aliases: "image/x-webp" },
  { name: "image/avif", suffixes: "avif", aliases: "image/avif-sequence" },
  { name: "image/heic", suffixes: "heic heics", aliases: "image/heic-sequence" },
  { name: "image/heif", suffixes: "heif heifs", aliases: "image/heif-sequence" },
  { name: "audio/mpeg", suffixes: "mp3", aliases: "audio/mp3 audio/x-mp3 audio/mpeg3 audio/x-mpeg-3 audio/x-mpeg audio/mpg" },
  { name: "audio/mp4", suffixes: "m4a m4b", aliases: "audio/x-m4a audio/m4a audio/mp4a-latm audio/x-mp4" },
  { name: "audio/aac", suffixes: "aac", aliases: "audio/x-aac audio/aacp audio/x-hx-aac-adts audio/vnd.dlna.adts" },
  { name: "audio/ogg", suffixes: "ogg oga opus", aliases: "audio/x-ogg audio/opus audio/vorbis application/ogg application/x-ogg" },
  { name: "audio/wav", suffixes: "wav", aliases: "audio/x-wav audio/wave audio/vnd.wave audio/x-pn-wav" },
  { name: "audio/webm", suffixes: "weba", aliases: "audio/x-webm" },
  { name: "audio/flac", suffixes: "flac", aliases: "audio/x-flac" },
  { name: "audio/amr", suffixes: "amr", aliases: "audio/x-amr audio/amr-nb" },
  { name: "audio/3gpp", suffixes: "", aliases: "audio/3gp audio/3gpp2" },
  { name: "video/mp4", suffixes: "mp4 m4v", aliases: "video/x-m4v video/m4v video/mp4v-es video/x-mp4 application/mp4" },
  { name: "video/webm", suffixes: "webm", aliases: "video/x-webm" },
  { name: "video/quicktime", suffixes: "mov qt", aliases: "video/x-quicktime video/mov" },
  { name: "video/3gpp", suffixes: "3gp 3gpp 3g2", aliases: "video/3gp video/x-3gpp video/3gpp2" },
  { name: "video/matroska", suffixes: "mkv", aliases: "video/x-matroska" },
  { name: "application/pdf", suffixes: "pdf", aliases: "application/x-pdf application/acrobat text/pdf" },
  { name: "text/plain", suffixes: "txt text log md", aliases: "" },
  { name: "text/csv", suffixes: "csv", aliases: "application/csv application/x-csv text/x-csv text/comma-separated-values text/x-comma-separated-values" },
  { name: "application/zip", suffixes: "zip", aliases: "application/x-zip-compressed application/x-zip application/zip-compressed multipart/x-zip" },
];

const NAMES = new Map(MEDIA_TYPES.flatMap(({ name, aliases }) => [name, ...words(aliases)].map((alias) => [alias, name] as const)));
const BY_SUFFIX = new Map(MEDIA_TYPES.flatMap(({ name, suffixes }) => words(suffixes).map((suffix) => [suffix, name] as const)));
/** Devices say this of a file of which they know nothing. */
const UNKNOWN = ["", "application/octet-stream", "binary/octet-stream", "application/x-download", "application/force-download"];
/** Windows with Excel says this of CSV files. */
const EXCEL = "application/vnd.ms-excel";

/** The one name of a file's type: lower case, no parameters, no alias; by the end of the file's name where nothing is known. */
export function mediaType(given: string, fileName: string): string {
  const type = given.split(";")[0]?.trim().toLowerCase() ?? "";
  const suffix = fileName.includes(".") ? (fileName.split(".").at(-1)?.toLowerCase() ?? "") : "";
  if (UNKNOWN.includes(type)) return BY_SUFFIX.get(suffix) ?? (type || "application/octet-stream");
  if (type === EXCEL && suffix === "csv") return "text/csv";
  return NAMES.get(type) ?? type;
}

/** Whether the service takes files of this name of a type, by default. */
export function isSendable(type: string): boolean {
  return MEDIA_TYPES.some(({ name }) => name === type);
}

function words(list: string): string[] {
  return list.split(" ").filter(Boolean);
}
