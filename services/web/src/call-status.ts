import type { Call, CallView } from "@parley/client";
import { duration } from "./format";
import { lineOf, made, t } from "./text";

/** The call's status, under its name. */
export function statusLine(call: CallView, name: string, nowMs: number): string {
  switch (call.phase) {
    case "starting":
    case "calling":
      return call.phase === "calling" ? t("call.ringing") : t("call.starting");
    case "accepting":
      return t("call.connecting");
    case "ended":
      return lineOf(call.problem) || withLength(call, overLine(call, name));
    default:
      return activeLine(call, nowMs);
  }
}

/** Which pictures cannot be shown because one side has no decoder for what the other sends, in words for either side. */
export function unseenLines({ of, by }: CallView["unseen"], nameOf: (userId: string) => string): string[] {
  const lines = of.map(({ userId, screen }) => t(screen ? "unseen.screen" : "unseen.camera", { name: nameOf(userId) }));
  const told = by.map(({ userId, screen }) => t(screen ? "unseen.by.screen" : "unseen.by.camera", { name: nameOf(userId) }));
  return [...new Set([...lines, ...told])];
}

/** The media stopped and is reconnecting. */
export function isLost(call: CallView): boolean {
  return call.phase === "active" && ["interrupted", "rejoining", "waiting"].includes(call.connection);
}

function overLine(call: CallView, name: string): string {
  // Who leaves a group's call does not end it.
  if (call.group) return call.call?.state === "ended" ? groupEndLine(call.call.endReason) : t("call.ended.left");
  return endLine(call.call?.endReason, name, call.call?.callerId !== call.peerUserId);
}

function groupEndLine(reason: Call["endReason"]): string {
  const unanswered = reason === "missed" || reason === "declined" || reason === "busy";
  return unanswered ? t("call.ended.nobody") : reason === "media_lost" ? t("call.ended.lost") : t("call.ended");
}

/** `name` is the other's. */
function endLine(reason: Call["endReason"], name: string, byCaller: boolean): string {
  switch (reason) {
    case "declined":
      return byCaller ? t("call.ended.declined.by", { name }) : t("call.ended.declined");
    case "missed":
      return byCaller ? t("call.ended.unanswered", { name }) : t("call.ended.missed");
    case "cancelled":
      return t("call.ended.cancelled");
    case "busy":
      return t("call.ended.busy", { name });
    case "media_lost":
      return t("call.ended.lost");
    default:
      return t("call.ended");
  }
}

function activeLine(call: CallView, nowMs: number): string {
  if (isLost(call)) return t("reconnecting");
  if (call.connection !== "connected") return t("call.connecting");
  const answeredMs = call.call?.answerTimeMs;
  return answeredMs === undefined ? t("call.connected") : duration((nowMs - answeredMs) / 1000);
}

function withLength(call: CallView, line: string): string {
  const { answerTimeMs, endTimeMs } = call.call ?? {};
  return answerTimeMs && endTimeMs ? t("call.ended.length", { line: made(line), length: made(duration((endTimeMs - answerTimeMs) / 1000)) }) : line;
}
