// The pictures that the pages send. What a page asks its camera for is the same as for people (clients/web/src/
// devices.ts); Chromium's own flags say what the camera has.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Of so small a picture WebRTC sends one simulcast layer of the three, the least: 80 by 45. */
export const SMALL = { width: 320, height: 180 };
/** Raising it: the counts are reached sooner, and each page encodes and draws more. Lowering it: the contrary. */
const FPS = 10;
const PICTURES = 10;

/** Chromium's flags for a camera of one size: a file that it plays over and over. */
export function smallCamera(browserClosed) {
  const folder = mkdtempSync(join(tmpdir(), "parley-camera-"));
  browserClosed(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "camera.y4m");
  writeFileSync(file, movingBar());
  return ["--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${file}`];
}

/** Chromium's flags for its test picture in the size that the page asks for, 1280 by 720: all three layers are sent. */
export const fullCamera = () => ["--use-fake-device-for-media-stream=fps=5"];

/** YUV4MPEG2, 4:2:0: a bright bar that goes from left to right. */
function movingBar() {
  const { width, height } = SMALL;
  const step = width / PICTURES;
  const parts = [Buffer.from(`YUV4MPEG2 W${width} H${height} F${FPS}:1 Ip A1:1 C420mpeg2\n`)];
  const colour = Buffer.alloc((width * height) / 2, 128);
  for (let picture = 0; picture < PICTURES; picture++) {
    const light = Buffer.alloc(width * height, 90);
    for (let row = 0; row < height; row++) light.fill(220, row * width + picture * step, row * width + (picture + 1) * step);
    parts.push(Buffer.from("FRAME\n"), light, colour);
  }
  return Buffer.concat(parts);
}
