import type { MediaFactory } from "@parley/client";
import { FakeMedia, remoteParticipant } from "@parley/client/testing";

/** How the mock page shows somebody. */
export interface DrawnParticipant {
  readonly userId: string;
  readonly muted?: boolean;
  readonly dark?: boolean;
  readonly speaks?: boolean;
  readonly shares?: boolean;
}

/** In place of WebRTC: shows painted pictures of the others, connected after a moment. */
export function drawnMedia(people: () => readonly DrawnParticipant[]): MediaFactory {
  return (_signaling, listener) => new DrawnMedia(people, () => listener.onChange());
}

class DrawnMedia extends FakeMedia {
  override weak = new URLSearchParams(location.search).has("weak");

  constructor(
    private readonly people: () => readonly DrawnParticipant[],
    changed: () => void,
  ) {
    super(changed);
  }

  override start(): void {
    this.phase = "joining";
    setTimeout(() => super.start(), 300);
    setTimeout(() => this.show(), 600);
  }

  private show(): void {
    if (this.phase === "closed") return;
    const people = this.people();
    this.remotes = people.map(({ userId, muted = false, dark = false, shares = false }, i) =>
      remoteParticipant(userId, { screenMid: "4", audioMuted: muted, videoMuted: dark, video: dark ? undefined : paint(i), screen: shares ? paintSlide() : undefined }),
    );
    this.speakers = people.filter((person) => person.speaks).map((person) => person.userId);
    if (new URLSearchParams(location.search).has("interrupted")) this.phase = "interrupted";
    this.changed();
  }
}

const SKIES = [
  ["#7fa7d8", "#f2d5a8"],
  ["#93b8a0", "#e6e2c4"],
  ["#c29fc7", "#f0c3b8"],
  ["#8793c9", "#cfd8ea"],
] as const;
const SKINS = ["#d9a57f", "#8a5a3c", "#eac1a0", "#b57f57"] as const;
const CLOTHES = ["#3b4a6b", "#7a3f46", "#2f5d50", "#54456f"] as const;

/** A slide, as somebody shows it. */
function paintSlide(): MediaStreamTrack | undefined {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [1600, 900];
  const context = canvas.getContext("2d");
  setInterval(() => {
    if (!context) return;
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, 1600, 900);
    context.fillStyle = "#1d2235";
    context.font = "600 72px system-ui, sans-serif";
    context.fillText("Sunday: the ridge", 110, 170);
    context.font = "40px system-ui, sans-serif";
    ["9:10  Train from platform 4", "10:00  Start at the lower station", "12:30  Lunch at the hut", "16:05  Train back"].forEach((line, i) => context.fillText(line, 110, 300 + 84 * i));
    context.fillStyle = "#c9d6ee";
    context.beginPath();
    context.moveTo(980, 760);
    for (const [x, y] of [[1120, 470], [1230, 580], [1350, 360], [1530, 760]] as const) context.lineTo(x, y);
    context.fill();
  }, 200);
  return canvas.captureStream(5).getVideoTracks()[0];
}

function paint(who: number): MediaStreamTrack | undefined {
  const [high, low] = SKIES[who % SKIES.length] ?? SKIES[0];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [1280, 720];
  const context = canvas.getContext("2d");
  if (!context) return undefined;
  let frame = 0;
  setInterval(() => {
    const sky = context.createLinearGradient(0, 0, 0, 720);
    sky.addColorStop(0, high);
    sky.addColorStop(1, low);
    context.fillStyle = sky;
    context.fillRect(0, 0, 1280, 720);
    context.fillStyle = CLOTHES[who % CLOTHES.length] ?? CLOTHES[0];
    context.beginPath();
    context.ellipse(640, 720, 330, 300, 0, 0, 7);
    context.fill();
    context.fillStyle = SKINS[who % SKINS.length] ?? SKINS[0];
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
