import type { CallMedia, MediaFactory, Remote } from "../src/parley";

/** In place of WebRTC: shows a painted picture of the other side, connected after a moment. */
export function paintedMedia(peerUserId: string): MediaFactory {
  return (_admission, listener) => new PaintedMedia(peerUserId, () => listener.onChange());
}

class PaintedMedia implements CallMedia {
  phase: CallMedia["phase"] = "idle";
  remotes: readonly Remote[] = [];

  constructor(
    private readonly peerUserId: string,
    private readonly changed: () => void,
  ) {}

  start(): void {
    this.phase = "joining";
    setTimeout(() => {
      this.phase = "connected";
      this.changed();
    }, 300);
    setTimeout(() => this.show(), 600);
  }

  hurry(): void {}

  move(): void {}

  send(): void {}

  stats(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  close(): void {
    this.phase = "closed";
    this.remotes = [];
  }

  private show(): void {
    if (this.phase === "closed") return;
    const off = new URLSearchParams(location.search).has("peeroff");
    const common = { audioMid: "2", videoMid: "3", audioMuted: off, videoMuted: off, audio: undefined };
    this.remotes = [{ userId: this.peerUserId, ...common, video: paint() }];
    if (new URLSearchParams(location.search).has("shaky")) this.phase = "shaky";
    this.changed();
  }
}

function paint(): MediaStreamTrack | undefined {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [1280, 720];
  const context = canvas.getContext("2d");
  if (!context) return undefined;
  let frame = 0;
  setInterval(() => {
    const sky = context.createLinearGradient(0, 0, 0, 720);
    sky.addColorStop(0, "#7fa7d8");
    sky.addColorStop(1, "#f2d5a8");
    context.fillStyle = sky;
    context.fillRect(0, 0, 1280, 720);
    context.fillStyle = "#3b4a6b";
    context.beginPath();
    context.ellipse(640, 720, 330, 300, 0, 0, 7);
    context.fill();
    context.fillStyle = "#d9a57f";
    context.beginPath();
    context.ellipse(640, 320 + 6 * Math.sin(frame++ / 12), 130, 165, 0, 0, 7);
    context.fill();
  }, 50);
  return canvas.captureStream(20).getVideoTracks()[0];
}

/** An evening sky, as the bytes of a picture. */
export function paintPicture(width: number, height: number): Promise<Blob> {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const sky = context?.createLinearGradient(0, 0, 0, height);
  sky?.addColorStop(0, "#2b3a67");
  sky?.addColorStop(0.6, "#c96f5d");
  sky?.addColorStop(1, "#f2b880");
  if (context && sky) {
    context.fillStyle = sky;
    context.fillRect(0, 0, width, height);
    context.fillStyle = "#1d2235";
    context.beginPath();
    context.moveTo(0, height);
    for (let x = 0; x <= width; x += 20) context.lineTo(x, height * 0.78 - 60 * Math.sin(x / 170) - 25 * Math.sin(x / 47));
    context.lineTo(width, height);
    context.fill();
  }
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? new Blob()), "image/png"));
}
