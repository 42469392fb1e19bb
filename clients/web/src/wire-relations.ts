import { type Job as WireJob, JobState } from "./gen/parley/messaging/v1/accounts_pb.js";
import { Audience, type Limits as WireLimits, ReportReason, type Settings as WireSettings } from "./gen/parley/messaging/v1/relations_pb.js";
import { type Limits, UNKNOWN_LIMITS } from "./core/limits.js";
import type * as model from "./core/relations.js";
import { millis } from "./wire.js";

const AUDIENCES: Partial<Record<Audience, model.Audience>> = {
  [Audience.FOLLOWED]: "followed",
  [Audience.VERIFIED]: "verified",
  [Audience.NOBODY]: "nobody",
  [Audience.CONTACTED]: "contacted",
};

const REASONS: Record<model.ReportReason, ReportReason> = {
  spam: ReportReason.SPAM,
  abuse: ReportReason.ABUSE,
  self_harm: ReportReason.SELF_HARM,
  illegal: ReportReason.ILLEGAL,
  other: ReportReason.OTHER,
};

const readAudience = (audience: Audience): model.Audience => AUDIENCES[audience] ?? "everyone";

const writeAudience = (audience: model.Audience | undefined): Audience =>
  audience === undefined
    ? Audience.UNSPECIFIED
    : { everyone: Audience.EVERYONE, followed: Audience.FOLLOWED, verified: Audience.VERIFIED, nobody: Audience.NOBODY, contacted: Audience.CONTACTED }[audience];

export function readSettings(wire: WireSettings): model.Settings {
  return {
    messages: readAudience(wire.messageAudience),
    presence: readAudience(wire.presenceAudience),
    calls: readAudience(wire.callAudience),
    sendReceipts: wire.sendReceipts,
  };
}

export function writeSettings({ messages, presence, calls, sendReceipts }: model.SettingsChange) {
  return {
    messageAudience: writeAudience(messages),
    presenceAudience: writeAudience(presence),
    callAudience: writeAudience(calls),
    ...(sendReceipts === undefined ? {} : { sendReceipts }),
  };
}

/** What the service does not tell, being older, is not known. */
export function readLimits(wire: WireLimits | undefined): Limits {
  if (!wire) return UNKNOWN_LIMITS;
  const told = (value: number | bigint): number => Number(value) || Infinity;
  return {
    textChars: told(wire.textChars),
    textEntities: told(wire.textEntities),
    attachments: told(wire.attachments),
    uploadBytes: told(wire.uploadBytes),
    groupMembers: told(wire.groupMembers),
    titleChars: told(wire.titleChars),
    queryChars: told(wire.queryChars),
    reportMessages: told(wire.reportMessages),
    reportCommentChars: told(wire.reportCommentChars),
    stickerHosts: wire.stickerHosts,
    stickerDescriptionChars: told(wire.stickerDescriptionChars),
  };
}

export function writeReason(reason: model.ReportReason): ReportReason {
  return REASONS[reason];
}

export function readJob(wire: WireJob): model.Job {
  return { id: wire.jobId, done: wire.state === JobState.DONE, downloadUrls: wire.downloadUrls, expireTimeMs: millis(wire.expireTime) };
}
