import type { Call as WireCall, JoinLink as WireJoinLink, LobbyPlace as WireLobbyPlace } from "./gen/parley/calls/v1/messages_pb.js";
import { LobbyPlaceState } from "./gen/parley/calls/v1/messages_pb.js";
import type { Api } from "./api.js";
import type { Call, JoinLink, LobbyPlace, LobbyPlaceState as PlaceState } from "./core/model.js";
import type { Failure } from "./errors.js";
import { orFailure } from "./errors.js";
import { millis, readCall } from "./wire.js";

/** What opening a link gave: the call, for `Calls.join`, or a place in its lobby. `hostUserId` made the link. */
export type OpenedLink =
  | { readonly kind: "call"; readonly call: Call; readonly hostUserId: string }
  | { readonly kind: "lobby"; readonly place: LobbyPlace; readonly hostUserId: string };

/** A request that opened a link. */
interface Knocked {
  readonly secret: string;
  readonly clientRequestId: string;
}

/** What a refusal says of a place that was there before. */
const ENDS: Readonly<Record<string, PlaceState>> = {
  CALL_ENDED: "closed",
  JOIN_LINK_CLOSED: "closed",
  JOIN_LINK_NOT_FOUND: "closed",
  LOBBY_REFUSED: "refused",
  REMOVED_FROM_CALL: "refused",
};

const PLACES: Partial<Record<LobbyPlaceState, PlaceState>> = {
  [LobbyPlaceState.WAITING]: "waiting",
  [LobbyPlaceState.ADMITTED]: "admitted",
  [LobbyPlaceState.REFUSED]: "refused",
};

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
  private readonly places = new Map<string, LobbyPlace>();
  /** Links that this user was shown: own ones, and for admins all. */
  private readonly known = new Set<string>();
  /** By call, the links that lead to where this user waits, each with the id of the request that knocked. */
  private readonly opened = new Map<string, Knocked>();

  constructor(
    private readonly api: Api,
    private readonly receiveCall: (call: WireCall) => void,
    private readonly changed: () => void,
  ) {}

  /** A link to a call, and its secret, which is given once. Without `ttlS` it can be opened for a day; it ends with the call. */
  async create(callId: string, ttlS = 0): Promise<{ link: JoinLink; secret: string }> {
    const { link, secret } = await orFailure(this.api.calls.createJoinLink({ callId, ttlS, clientRequestId: crypto.randomUUID() }));
    const made = readJoinLink(link);
    this.know([made]);
    return { link: made, secret };
  }

  /** The links of a call that this user made; for admins all of them. */
  async list(callId: string): Promise<readonly JoinLink[]> {
    const { links } = await orFailure(this.api.calls.listJoinLinks({ callId }));
    const read = links.map(readJoinLink);
    this.know(read);
    return read;
  }

  /** Whether this user lets in who came by the link, as far as `create` and `list` have shown; a group's admins always do. */
  decides(linkId: string): boolean {
    return this.known.has(linkId);
  }

  /** Nobody opens it any more, and who came by it is put out of the call and of the lobby. */
  async revoke(linkId: string): Promise<JoinLink> {
    const { link } = await orFailure(this.api.calls.revokeJoinLink({ linkId }));
    return readJoinLink(link);
  }

  /** For whoever was given the link. From the lobby, `place` says how it goes on. */
  open(secret: string): Promise<OpenedLink> {
    return this.knock({ secret, clientRequestId: crypto.randomUUID() });
  }

  /** This user's place in the lobby of a call; undefined when no link to it was opened here. Once admitted, `callOf` gives the call. */
  place(callId: string): LobbyPlace | undefined {
    return this.places.get(callId);
  }

  /** The call that this user was let into, for `Calls.join`. Needs no link: it may have expired meanwhile. */
  async callOf(callId: string): Promise<Call> {
    const { call } = await orFailure(this.api.calls.getCall({ callId }));
    if (!call) throw new Error("no call in the answer");
    this.receiveCall(call);
    return readCall(call);
  }

  /** Waits no more. */
  async leaveLobby(callId: string): Promise<void> {
    this.opened.delete(callId);
    await orFailure(this.api.calls.leaveLobby({ callId }));
  }

  /** Lets somebody in who waits (`Call.lobby`): for the maker of their link, and the group's admins. */
  admit(callId: string, userId: string): Promise<void> {
    return this.decide(this.api.calls.admitGuest({ callId, userId, clientRequestId: crypto.randomUUID() }));
  }

  /** Does not let somebody in who waits. They cannot knock at this call again. */
  refuse(callId: string, userId: string): Promise<void> {
    return this.decide(this.api.calls.refuseGuest({ callId, userId, clientRequestId: crypto.randomUUID() }));
  }

  /** A place from the event stream. */
  receive(wire: WireLobbyPlace): void {
    this.take(readPlace(wire));
  }

  /** After Ready and Resync: asks how the places stand where this user waits. The requests are those that knocked, so that nobody knocks again. */
  async refresh(): Promise<void> {
    const waiting = [...this.opened].flatMap(([callId, link]) => {
      const place = this.places.get(callId);
      return place?.state === "waiting" ? [this.askAgain(place, link)] : [];
    });
    await Promise.all(waiting);
  }

  private async askAgain(place: LobbyPlace, link: Knocked): Promise<void> {
    try {
      const opened = await this.knock(link);
      if (opened.kind === "call") this.take({ ...place, state: "admitted", version: opened.call.version });
    } catch (error) {
      const state = ENDS[(error as Failure).reason ?? ""];
      if (!state) throw error;
      this.places.set(place.callId, { ...place, state });
      this.changed();
    }
  }

  private async knock(link: Knocked): Promise<OpenedLink> {
    const { opened, hostUserId } = await orFailure(this.api.calls.openJoinLink(link));
    if (opened.case === "call") {
      this.receiveCall(opened.value);
      return { kind: "call", call: readCall(opened.value), hostUserId };
    }
    if (opened.case !== "place") throw new Error("nothing in the answer");
    const place = readPlace(opened.value);
    this.opened.set(place.callId, link);
    this.take(place);
    return { kind: "lobby", place, hostUserId };
  }

  private async decide(request: Promise<{ call?: WireCall | undefined }>): Promise<void> {
    const { call } = await orFailure(request);
    if (call) this.receiveCall(call);
  }

  private know(links: readonly JoinLink[]): void {
    const fresh = links.filter(({ id }) => !this.known.has(id));
    for (const { id } of fresh) this.known.add(id);
    if (fresh.length > 0) this.changed();
  }

  private take(place: LobbyPlace): void {
    const known = this.places.get(place.callId);
    if (known && known.version >= place.version) return;
    this.places.set(place.callId, place);
    this.changed();
  }
}

function readPlace({ callId, state, version }: WireLobbyPlace): LobbyPlace {
  return { callId, state: PLACES[state] ?? "closed", version: Number(version) };
}

function readJoinLink(wire: WireJoinLink | undefined): JoinLink {
  if (!wire) throw new Error("no link in the answer");
  return {
    id: wire.linkId,
    callId: wire.callId,
    makerUserId: wire.makerUserId,
    createTimeMs: millis(wire.createTime) ?? 0,
    expireTimeMs: millis(wire.expireTime) ?? 0,
    revokeTimeMs: millis(wire.revokeTime),
  };
}
