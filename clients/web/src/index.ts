/** The client library's public face. */
export type { Api } from "./api.js";
export type { QuietHours, Ringing } from "./call-settings.js";
export { canShareScreen, type DeviceChoice, type DeviceKind } from "./call-devices.js";
export type { CallView } from "./call-view.js";
export { groupedDigits } from "./core/digits.js";
export type { CallEncryption, CallProtection, KeysView } from "./encryption/call-encryption.js";
export type { KeyNews } from "./encryption/known-accounts.js";
export type { MediaFactory } from "./call-media-session.js";
export type { Calls } from "./calls.js";
export type { CallsListener } from "./own-call.js";
export { type ClientOptions, type Notice, ParleyClient } from "./client.js";
export { isKnownHere, storedDeviceId } from "./device-ids.js";
export { type CallPhase, joined } from "./core/call-state.js";
export type { ConversationView } from "./core/conversation-store.js";
export { FailureError } from "./errors.js";
export { findEntities, openMention, type Person, type Segment, segments } from "./core/entities.js";
export { isSameEmoji, qualified } from "./core/emoji.js";
export { displayName } from "./core/display-name.js";
export { contentTypeOf } from "./core/files.js";
export type { Limits } from "./core/limits.js";
export { type LinkTarget, targetOf } from "./core/links.js";
export { truncate, graphemes, isBlank } from "./core/graphemes.js";
export { excerpt, highlight, type Marked } from "./core/highlight.js";
export { sizeLine } from "./core/sizes.js";
export {
  CODE_LINES,
  type DeviceProblem,
  type DeviceProblems,
  endLine,
  type Failure,
  FIELD_LINES,
  groupEndLine,
  MESSAGE_LINES,
  type MessageKey,
  REASON_LINES,
  saysWhenToRetry,
  type Told,
  type UserMessage,
} from "./core/user-messages.js";
export type * from "./core/model.js";
export { type Folder, folderOf, isMuted } from "./core/own-state.js";
export { isUserContent, type Receipt, groupReceipt, receiptOf } from "./core/receipts.js";
export * from "./core/relations.js";
export { type ShownPin, shownPins } from "./core/pins.js";
export { type Permissions, permissionsOf } from "./core/permissions.js";
export { allDone, type Upload } from "./core/uploads.js";
export { VANISH_CHOICES_S } from "./core/vanishing.js";
export { type Claim, type DeviceStore, type KeptChange, MemoryDeviceStore } from "./device-store.js";
export { IndexedDbStore } from "./indexed-db-store.js";
export type { Kept, KeptConversation, KeptPerson } from "./core/kept.js";
export type { AttachmentRef } from "./downloads.js";
export { MAX_FORWARD_TARGETS } from "./forwarding.js";
export { choiceOf, POLL_LIMITS, votersOf } from "./core/polls.js";
export { sendableStickers, stickerSize, stickerSource } from "./core/stickers.js";
export type { StreamState } from "./event-stream.js";
export type { LocalTracks } from "./local-tracks.js";
export type { VideoRequest } from "./media-channel.js";
export { type JoinLinks, joinAddress, joinSecretOf, type OpenedLink, type ScheduledEntry } from "./join-links.js";
export { calendarOf } from "./core/calendar.js";
export type { ScheduledCalls } from "./scheduled-calls.js";
export type { CallMedia, RemoteParticipant } from "./media-connection.js";
export type { Draft } from "./outbox.js";
export type { People, PeopleResolver, Profile } from "./people.js";
export type { ReportInput } from "./relations.js";
export type { NotificationLevel, NotificationSettings, Notifications, PushRegistration } from "./notifications.js";
export { MAX_AHEAD_MS, type ScheduledMessages } from "./scheduled.js";
export type { SearchFilters, SearchPage, SharedKind } from "./search.js";
export { devTokens, type DevUser, devUsers, LoginError, LoginOverError, readToken, type Token, type TokenProvider } from "./tokens.js";
export { type Put, TransferError } from "./object-upload.js";
export type { PickedFile } from "./uploads.js";
export type { VoiceMessages } from "./voice.js";
