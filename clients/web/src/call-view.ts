import type { CallPhase } from "./core/call-state.js";
import type { Call } from "./core/model.js";
import type { CallProtection } from "./encryption/call-encryption.js";
import type { DeviceProblems, Told } from "./core/user-messages.js";
import type { CallMedia, RemoteParticipant } from "./media-connection.js";

/** What the interface shows of the call. */
export interface CallView {
  readonly phase: CallPhase;
  readonly conversationId: string;
  readonly call: Call | undefined;
  readonly group: boolean;
  /** The other side of a call of two; empty in a group's call, and while idle. */
  readonly peerUserId: string;
  readonly video: boolean;
  /** The other side hears nothing: muted, or without a microphone. */
  readonly muted: boolean;
  /** An admin asked for silence, and this device went mute; until unmuted or noticed. */
  readonly mutedByAdmin: boolean;
  /** One's own, also while it is muted. */
  readonly microphone: MediaStreamTrack | undefined;
  readonly camera: MediaStreamTrack | undefined;
  /** One's own, while it is shared. */
  readonly screen: MediaStreamTrack | undefined;
  /** The other participants with media. */
  readonly remotes: readonly RemoteParticipant[];
  /** The other side of a call of two. */
  readonly remote: RemoteParticipant | undefined;
  /** Who speaks now, the loudest first; known in calls of three and more. */
  readonly speakers: readonly string[];
  /** One's own network is poor. */
  readonly weak: boolean;
  /** `unreadable`: it is on, and what somebody sends cannot be opened. */
  readonly encryption: CallProtection | "unreadable";
  /** The users of whom a device in the call cannot encrypt: nothing is sent in the clear to them unless the user allows it. */
  readonly unable: readonly string[];
  readonly unseen: CallMedia["unseen"];
  readonly connection: CallMedia["phase"];
  /** What went wrong with the call itself. */
  readonly problem: Told | undefined;
  /** Which of camera and microphone are not there, and why. */
  readonly deviceProblem: DeviceProblems | undefined;
}
