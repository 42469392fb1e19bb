import type { CallView } from "@parley/client";
import { endLine, groupEndLine } from "@parley/client";
import { duration } from "./format";

/** The call's status, under its name. */
export function statusLine(call: CallView, name: string, nowMs: number): string {
  switch (call.phase) {
    case "starting":
    case "calling":
      return call.phase === "calling" ? "Ringing…" : "Calling…";
    case "accepting":
      return "Connecting…";
    case "ended":
      return call.problem ?? withLength(call, overLine(call, name));
    default:
      return activeLine(call, nowMs);
  }
}

/** Which pictures cannot be shown because one side has no decoder for what the other sends, in words for either side. */
export function unseenLines({ of, by }: CallView["unseen"], nameOf: (userId: string) => string): string[] {
  const lines = of.map(({ userId, screen }) => `Your device cannot show the ${screen ? "screen" : "camera"} of ${nameOf(userId)}: it does not know the video format.`);
  const told = by.map(({ userId, screen }) => `${nameOf(userId)} cannot see your ${screen ? "screen" : "camera"}: their device does not know its video format.`);
  return [...new Set([...lines, ...told])];
}

/** The media stopped and is reconnecting. */
export function isLost(call: CallView): boolean {
  return call.phase === "active" && ["interrupted", "rejoining", "waiting"].includes(call.connection);
}

function overLine(call: CallView, name: string): string {
  // Who leaves a group's call does not end it.
  if (call.group) return call.call?.state === "ended" ? groupEndLine(call.call.endReason) : "You left the call";
  return endLine(call.call?.endReason, name, call.call?.callerId !== call.peerUserId);
}

function activeLine(call: CallView, nowMs: number): string {
  if (isLost(call)) return "Reconnecting…";
  if (call.connection !== "connected") return "Connecting…";
  const answeredMs = call.call?.answerTimeMs;
  return answeredMs === undefined ? "Connected" : duration((nowMs - answeredMs) / 1000);
}

function withLength(call: CallView, line: string): string {
  const { answerTimeMs, endTimeMs } = call.call ?? {};
  return answerTimeMs && endTimeMs ? `${line} · ${duration((endTimeMs - answerTimeMs) / 1000)}` : line;
}
