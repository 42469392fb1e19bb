/** The client library's public face. */
export { type CallsListener, type CallView, type MediaFactory } from "./calls";
export { type ClientOptions, keptDeviceId, ParleyClient } from "./client";
export type { CallPhase } from "./core/call-state";
export type { ConversationView } from "./core/conversation-store";
export { findEntities, openMention, type Person, type Segment, segments } from "./core/entities";
export { endLine } from "./core/lines";
export type * from "./core/model";
export { type Rights, rightsOf } from "./core/roles";
export type { Failure } from "./errors";
export type { StreamState } from "./event-stream";
export type { CallMedia, Remote } from "./media-link";
export type { Draft } from "./messaging";
export { devTokens, type DevUser, devUsers, readToken, type Token, type TokenProvider } from "./tokens";
