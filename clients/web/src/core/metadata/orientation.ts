import { ascii, view } from "./bytes.js";

/** EXIF's tag of which way is up (TIFF/EP, CIPA DC-008): 1 is as it is stored, 2 to 8 are turned or mirrored. */
const ORIENTATION = 0x0112;
const SHORT = 3;
const ENTRY_BYTES = 12;

/** Which way is up, by an EXIF block of TIFF; 1 where it does not say. Never throws. */
export function orientationOf(tiff: Uint8Array): number {
  try {
    const little = ascii(tiff, 0, 2) === "II";
    const data = view(tiff);
    const directory = data.getUint32(4, little);
    for (let i = 0; i < data.getUint16(directory, little); i++) {
      const entry = directory + 2 + i * ENTRY_BYTES;
      if (data.getUint16(entry, little) === ORIENTATION) return known(data.getUint16(entry + 8, little));
    }
  } catch {
    // Cut off, or not TIFF: no orientation.
  }
  return 1;
}

/** An EXIF block with the orientation and nothing else. */
export function orientationBlock(orientation: number): Uint8Array {
  const block = new Uint8Array(26);
  const data = view(block);
  data.setUint16(0, 0x4d4d);
  data.setUint16(2, 42);
  data.setUint32(4, 8);
  data.setUint16(8, 1);
  data.setUint16(10, ORIENTATION);
  data.setUint16(12, SHORT);
  data.setUint32(14, 1);
  data.setUint16(18, orientation);
  return block;
}

function known(value: number): number {
  return value >= 1 && value <= 8 ? value : 1;
}
