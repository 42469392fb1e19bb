import { describe, expect, test } from "vitest";
import { strip } from "../src/core/metadata/index.js";
import { joined, view } from "../src/core/metadata/bytes.js";
import { orientationOf } from "../src/core/metadata/orientation.js";

/** Stands wherever a file can say where it was made. */
const PLACE = "+52.5200+013.4050/";
const DRAWN = "the picture itself";

const bytes = (...parts: readonly (string | number | readonly number[] | Uint8Array)[]): Uint8Array =>
  joined(parts.map((part) => (typeof part === "string" ? Uint8Array.from(part, (char) => char.charCodeAt(0)) : typeof part === "number" ? Uint8Array.of(part) : Uint8Array.from(part))));
const be = (size: 2 | 4 | 8, value: number): Uint8Array => {
  const out = new Uint8Array(8);
  view(out).setBigUint64(0, BigInt(value));
  return out.subarray(8 - size);
};
const le4 = (value: number): Uint8Array => be(4, value).slice().reverse();
const text = (data: Uint8Array): string => new TextDecoder("latin1").decode(data);

/** EXIF with which way is up and a place. */
function exif(orientation: number): Uint8Array {
  return bytes("MM", be(2, 42), be(4, 8), be(2, 2), be(2, 0x0112), be(2, 3), be(4, 1), be(2, orientation), be(2, 0), be(2, 0x8825), be(2, 4), be(4, 1), be(4, 38), be(4, 0), PLACE);
}

const segment = (marker: number, data: Uint8Array): Uint8Array => bytes(0xff, marker, be(2, data.length + 2), data);
function jpeg(orientation: number): Uint8Array {
  return bytes(
    [0xff, 0xd8],
    segment(0xe0, bytes("JFIF\0", [1, 1, 0, 0, 1, 0, 1, 0, 0])),
    segment(0xe0, bytes("JFXX\0", PLACE)),
    segment(0xe1, bytes("Exif\0\0", exif(orientation))),
    segment(0xe1, bytes("http://ns.adobe.com/xap/1.0/\0", PLACE)),
    segment(0xe2, bytes("ICC_PROFILE\0", [1, 1], "colours")),
    segment(0xe2, bytes("MPF\0", PLACE)),
    segment(0xed, bytes("Photoshop 3.0\0", PLACE)),
    segment(0xe5, bytes(PLACE)),
    segment(0xfe, bytes(PLACE)),
    segment(0xdb, bytes("table")),
    segment(0xda, bytes("scan")),
    bytes(DRAWN, [0xff, 0, 0xff, 0xd0], DRAWN),
    segment(0xc4, bytes("table")),
    segment(0xda, bytes("scan")),
    bytes(DRAWN, [0xff, 0xd9]),
    bytes([0xff, 0xd8], segment(0xe1, bytes("Exif\0\0", exif(1))), [0xff, 0xd9], PLACE),
  );
}

const pngChunk = (name: string, data: Uint8Array): Uint8Array => bytes(be(4, data.length), name, data, "sum!");
function png(orientation: number): Uint8Array {
  const said = ["tEXt", "zTXt", "iTXt", "tIME", "prVt"].map((name) => pngChunk(name, bytes(PLACE)));
  const moves = ["acTL", "fcTL", "fdAT"].map((name) => pngChunk(name, bytes(DRAWN)));
  return bytes("\x89PNG\r\n\x1a\n", pngChunk("IHDR", bytes(DRAWN)), pngChunk("eXIf", exif(orientation)), ...said, pngChunk("iCCP", bytes("colours")), ...moves, pngChunk("IDAT", bytes(DRAWN)), ...said, pngChunk("IEND", bytes()), PLACE);
}

const riffChunk = (name: string, data: Uint8Array): Uint8Array => bytes(name, le4(data.length), data, data.length % 2 ? [0] : []);
function webp(orientation: number): Uint8Array {
  const body = bytes("WEBP", riffChunk("VP8X", bytes([0x2e, 0, 0, 0, 9, 0, 0, 9, 0, 0])), riffChunk("ICCP", bytes("colours")), riffChunk("ANIM", bytes(DRAWN)), riffChunk("ANMF", bytes(DRAWN, "!")), riffChunk("ANMF", bytes(DRAWN)), riffChunk("EXIF", exif(orientation)), riffChunk("XMP ", bytes(PLACE)), riffChunk("prVt", bytes(PLACE)));
  return bytes("RIFF", le4(body.length), body, PLACE);
}

const blocks = (data: string): Uint8Array => bytes(data.length, data, 0);
function gif(): Uint8Array {
  const frame = bytes([0x21, 0xf9, 4, 0, 5, 0, 0, 0], [0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0x80, 1, 2, 3, 4, 5, 6, 2], blocks(DRAWN));
  const said = bytes([0x21, 0xfe], blocks(PLACE), [0x21, 0xff, 11], "XMP DataXMP", blocks(PLACE), [0x21, 1, 12], "............", blocks(PLACE));
  return bytes("GIF89a", [1, 0, 1, 0, 0x80, 0, 0], [0, 0, 0, 255, 255, 255], [0x21, 0xff, 11], "NETSCAPE2.0", [3, 1, 0, 0, 0], said, frame, said, frame, [0x3b], PLACE);
}

const box = (name: string, ...parts: readonly (string | number[] | Uint8Array)[]): Uint8Array => {
  const body = bytes(...parts);
  return bytes(be(4, body.length + 8), name, body);
};
const full = (...rest: readonly Uint8Array[]): Uint8Array => bytes(be(4, 0), ...rest);

function film(): Uint8Array {
  const ftyp = box("ftyp", "qt  ", be(4, 0), "qt  ");
  const mdat = box("mdat", DRAWN, PLACE, DRAWN);
  const place = ftyp.length + 8 + DRAWN.length;
  const track = (kind: string, offset: number): Uint8Array => {
    const stbl = box("stbl", box("stsz", full(be(4, 0), be(4, 2), be(4, 10), be(4, PLACE.length - 10))), box("stsc", full(be(4, 1), be(4, 1), be(4, 2), be(4, 1))), box("stco", full(be(4, 1), be(4, offset))));
    const own = kind === "meta" ? "other" : DRAWN;
    return box("trak", box("tkhd", own), box("mdia", box("hdlr", full(), be(4, 0), kind, own), box("minf", stbl)), box("udta", box("name", PLACE)));
  };
  const said = [box("udta", box("\xa9xyz", PLACE)), box("meta", PLACE), box("uuid", PLACE)];
  return bytes(ftyp, mdat, box("moov", box("mvhd", DRAWN), track("vide", ftyp.length + 8), track("meta", place), ...said), box("uuid", PLACE), box("udta", PLACE));
}

function still(brand: string, version: 0 | 1): Uint8Array {
  const infe = (id: number, kind: string): Uint8Array => box("infe", [2, 0, 0, 0], be(2, id), be(2, 0), kind, [0]);
  const head = (at: number): Uint8Array => {
    const item = (id: number, offset: number, length: number): Uint8Array => bytes(be(2, id), version ? be(2, 0) : [], be(2, 0), be(2, 1), be(4, offset), be(4, length));
    const iloc = box("iloc", [version, 0, 0, 0], be(2, 0x4400), be(2, 3), item(1, at, DRAWN.length), item(2, at + DRAWN.length, PLACE.length), item(3, at + DRAWN.length + PLACE.length, PLACE.length));
    const iinf = box("iinf", full(be(2, 3)), infe(1, "hvc1"), infe(2, "Exif"), infe(3, "mime"));
    return bytes(box("ftyp", brand, be(4, 0), "mif1"), box("meta", full(), box("hdlr", full(), be(4, 0), "pict"), iinf, iloc, box("iprp", box("ipco", box("irot", [1])))));
  };
  const at = head(0).length + 8;
  return bytes(head(at), box("mdat", DRAWN, PLACE, PLACE), box("uuid", PLACE));
}

async function stripped(data: Uint8Array, contentType: string): Promise<Uint8Array | undefined> {
  const result = await strip(new Blob([data.slice()]), contentType);
  return result && new Uint8Array(await result.body.arrayBuffer());
}

const count = (data: Uint8Array, what: string): number => text(data).split(what).length - 1;

const FILES: readonly (readonly [string, Uint8Array])[] = [
  ["image/jpeg", jpeg(6)],
  ["image/jpeg", jpeg(1)],
  ["image/png", png(6)],
  ["image/png", png(1)],
  ["image/webp", webp(6)],
  ["image/webp", webp(1)],
  ["image/gif", gif()],
  ["video/mp4", film()],
  ["video/quicktime", film()],
  ["audio/mp4", film()],
  ["image/heic", still("heic", 0)],
  ["image/avif", still("avif", 1)],
];

describe("what a file says beside what it shows", () => {
  test.each(FILES)("is taken out of %s, and what is drawn stays", async (contentType, data) => {
    expect(text(data)).toContain(PLACE);
    const kept = await stripped(data, contentType);
    if (!kept) throw new Error("it was not taken for a file of its type");
    expect(text(kept)).not.toContain(PLACE);
    expect(count(kept, DRAWN)).toBe(count(data, DRAWN));
    expect(count(kept, "colours")).toBe(count(data, "colours"));
    expect(await stripped(kept, contentType)).toEqual(kept);
  });

  test("which way is up stays, and nothing else of EXIF", async () => {
    for (const turned of [2, 3, 6, 8]) {
      const [inJpeg, inPng, inWebp] = [await stripped(jpeg(turned), "image/jpeg"), await stripped(png(turned), "image/png"), await stripped(webp(turned), "image/webp")];
      for (const kept of [inJpeg, inPng, inWebp]) {
        const at = text(kept ?? new Uint8Array()).indexOf("MM\0*");
        expect(orientationOf((kept ?? new Uint8Array()).subarray(at))).toBe(turned);
      }
    }
    expect(text((await stripped(jpeg(1), "image/jpeg")) ?? bytes())).not.toContain("Exif");
  });

  test("boxes stay where they were, for others say where in the file they stand", async () => {
    for (const [type, data] of [["video/mp4", film()], ["image/heic", still("heic", 0)]] as const) {
      const kept = await stripped(data, type);
      expect(kept?.length).toBe(data.length);
      expect(text(kept ?? bytes()).indexOf(DRAWN)).toBe(text(data).indexOf(DRAWN));
    }
  });

  test("a film under another name of its form is stripped too", async () => {
    for (const type of ["video/3gpp", "audio/aac", "video/webm", "audio/3gpp"]) expect(text((await stripped(film(), type)) ?? bytes())).not.toContain(PLACE);
    expect(text((await stripped(jpeg(1), "image/png")) ?? bytes())).not.toContain(PLACE);
  });

  test("wherever a file is cut off, nothing of a place leaves, and nothing hangs", async () => {
    for (const [type, data] of FILES) {
      for (let length = 0; length < data.length; length += 3) {
        const kept = await stripped(data.subarray(0, length), type);
        if (kept && type.startsWith("image/")) expect(text(kept), `${type} of ${length}`).not.toContain(PLACE);
      }
    }
  });

  test("what is no picture is not sent as one, and what cannot be stripped is said", async () => {
    expect(await strip(new Blob(["MZ"]), "image/png")).toBeUndefined();
    expect((await strip(new Blob(["%PDF-1.7"]), "application/pdf"))?.notice?.line).toContain("may still say");
    expect((await strip(new Blob(["\x1aE\xdf\xa3"]), "video/webm"))?.notice?.line).toContain("may still say");
    expect((await strip(new Blob(["hello"]), "text/plain"))?.notice).toBeUndefined();
  });
});
