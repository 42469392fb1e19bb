/** The client library's public face. */
export { type CallsListener, type CallView, type MediaFactory } from "./calls";
export { type ClientOptions, keptDeviceId, ParleyClient } from "./client";
export type { CallPhase } from "./core/call-state";
export type { ConversationView } from "./core/conversation-store";
export { endLine } from "./core/lines";
export type * from "./core/model";
export type { Failure } from "./errors";
export type { StreamState } from "./event-stream";
export type { CallMedia, Remote } from "./media-link";
export { devTokens, type DevUser, devUsers, readToken, type Token, type TokenProvider } from "./tokens";
