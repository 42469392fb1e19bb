import type { Call as WireCall, LobbyPlace as WireLobbyPlace } from "./gen/parley/calls/v1/messages_pb.js";
import type { Api } from "./api.js";
import type { Call, JoinLink, LobbyPlace } from "./core/model.js";
import { Late } from "./late.js";

/**
 * What opening a link gave: the call, for `Calls.join`; a place in its lobby; or, before the time of a scheduled call, when it
 * begins: for who is outside `placeBy` has the place in the lobby from then on. `hostUserId` made the link.
 */
export type OpenedLink =
  | { readonly kind: "call"; readonly call: Call; readonly hostUserId: string }
  | { readonly kind: "lobby"; readonly place: LobbyPlace; readonly hostUserId: string }
  | { readonly kind: "scheduled"; readonly entry: ScheduledEntry; readonly hostUserId: string };

/** All that is known outside of a scheduled call before its time. */
export interface ScheduledEntry {
  readonly scheduledCallId: string;
  readonly linkId: string;
  readonly title: string;
  readonly video: boolean;
  readonly startTimeMs: number;
  /** For members alone, who join there when the time has come; empty for who is outside. */
  readonly conversationId: string;
}

/** The address of a link on a page of this origin. What is behind the # reaches no server, and so no log. */
export function joinAddress(origin: string, secret: string): string {
  return `${origin}/join/#${secret}`;
}

/** The secret in an address that `joinAddress` made; undefined in any other. */
export function joinSecretOf(address: string): string | undefined {
  return /\/join\/(?:\?[^#]*)?#([\w-]{32})$/.exec(address)?.[1];
}

/** Join links to calls of groups, and the lobbies that they lead into. Every method rejects with a Failure; its `line` is for people. */
export class JoinLinks {
  private readonly requests;

  constructor(api: Api, receiveCall: (call: WireCall) => void, changed: () => void) {
    this.requests = new Late(async () => {
      const { JoinLinkRequests } = await import("./join-link-requests.js");
      return new JoinLinkRequests(api, receiveCall, changed);
    });
  }

  /** A link to a call, or by its id to a scheduled one, and its secret, which is given once. Without `ttlS` it can be opened for a day (of a scheduled call from its start); it ends with the call. */
  async create(callId: string, ttlS = 0): Promise<{ link: JoinLink; secret: string }> {
    return (await this.requests.get()).create(callId, ttlS);
  }

  /** The links of a call that this user made; for admins all of them. */
  async list(callId: string): Promise<readonly JoinLink[]> {
    return (await this.requests.get()).list(callId);
  }

  /** Whether this user lets in who came by the link, as far as `create` and `list` have shown; a group's admins always do. */
  decides(linkId: string): boolean {
    return this.requests.part?.decides(linkId) ?? false;
  }

  /** Nobody opens it any more, and who came by it is put out of the call and of the lobby. */
  async revoke(linkId: string): Promise<JoinLink> {
    return (await this.requests.get()).revoke(linkId);
  }

  /** For whoever was given the link. From the lobby, `place` says how it goes on. */
  async open(secret: string): Promise<OpenedLink> {
    return (await this.requests.get()).open(secret);
  }

  /** This user's place in the lobby of a call; undefined when no link to it was opened here. Once admitted, `callOf` gives the call. */
  place(callId: string): LobbyPlace | undefined {
    return this.requests.part?.place(callId);
  }

  /** This user's place in the lobby to which a link has led, also one that was opened before the time of a scheduled call. */
  placeBy(linkId: string): LobbyPlace | undefined {
    return this.requests.part?.placeBy(linkId);
  }

  /** The call that this user was let into, for `Calls.join`. Needs no link: it may have expired meanwhile. */
  async callOf(callId: string): Promise<Call> {
    return (await this.requests.get()).callOf(callId);
  }

  /** Waits no more: in the lobby of a call, or by its id for the time of a scheduled one. */
  async leaveLobby(callId: string): Promise<void> {
    return (await this.requests.get()).leaveLobby(callId);
  }

  /** Lets somebody in who waits (`Call.lobby`): for the maker of their link, and the group's admins. */
  async admit(callId: string, userId: string): Promise<void> {
    return (await this.requests.get()).admit(callId, userId);
  }

  /** Does not let somebody in who waits. They cannot knock at this call again. */
  async refuse(callId: string, userId: string): Promise<void> {
    return (await this.requests.get()).refuse(callId, userId);
  }

  /** A place from the event stream. */
  receive(place: WireLobbyPlace): void {
    this.requests.tell((requests) => requests.receive(place));
  }

  /** After Ready and Resync: asks how the places stand where this user waits. The requests are those that knocked, so that nobody knocks again. */
  async refresh(): Promise<void> {
    // Who has opened no link waits nowhere.
    await this.requests.part?.refresh();
  }
}
