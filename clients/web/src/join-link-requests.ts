import type { Call as WireCall, JoinLink as WireJoinLink, LobbyPlace as WireLobbyPlace } from "./gen/parley/calls/v1/messages_pb.js";
import { LobbyPlaceState } from "./gen/parley/calls/v1/messages_pb.js";
import type { Api } from "./api.js";
import type { Call, JoinLink, LobbyPlace, LobbyPlaceState as PlaceState } from "./core/model.js";
import { displayName } from "./core/display-name.js";
import type { Failure } from "./errors.js";
import { orFailure } from "./errors.js";
import type { OpenedLink } from "./join-links.js";
import { millis, readCall } from "./wire.js";

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

/** What `JoinLinks` does; its code comes with the first link. */
export class JoinLinkRequests {
  private readonly places = new Map<string, LobbyPlace>();
  /** Links that this user was shown: own ones, and for admins all. */
  private readonly known = new Set<string>();
  /** By link, those to scheduled calls for whose time this user waits. */
  private readonly early = new Map<string, Knocked>();
  /** By call, the links that lead to where this user waits, each with the id of the request that knocked. */
  private readonly opened = new Map<string, Knocked>();

  constructor(
    private readonly api: Api,
    private readonly receiveCall: (call: WireCall) => void,
    private readonly changed: () => void,
  ) {}

  async create(callId: string, ttlS = 0): Promise<{ link: JoinLink; secret: string }> {
    const { link, secret } = await orFailure(this.api.calls.createJoinLink({ callId, ttlS, clientRequestId: crypto.randomUUID() }));
    const made = readJoinLink(link);
    this.know([made]);
    return { link: made, secret };
  }

  async list(callId: string): Promise<readonly JoinLink[]> {
    const { links } = await orFailure(this.api.calls.listJoinLinks({ callId }));
    const read = links.map(readJoinLink);
    this.know(read);
    return read;
  }

  decides(linkId: string): boolean {
    return this.known.has(linkId);
  }

  async revoke(linkId: string): Promise<JoinLink> {
    const { link } = await orFailure(this.api.calls.revokeJoinLink({ linkId }));
    return readJoinLink(link);
  }

  open(secret: string): Promise<OpenedLink> {
    return this.knock({ secret, clientRequestId: crypto.randomUUID() });
  }

  place(callId: string): LobbyPlace | undefined {
    return this.places.get(callId);
  }

  placeBy(linkId: string): LobbyPlace | undefined {
    return [...this.places.values()].filter((place) => place.linkId === linkId).at(-1);
  }

  async callOf(callId: string): Promise<Call> {
    const { call } = await orFailure(this.api.calls.getCall({ callId }));
    if (!call) throw new Error("no call in the answer");
    this.receiveCall(call);
    return readCall(call);
  }

  async leaveLobby(callId: string): Promise<void> {
    this.opened.delete(callId);
    this.early.clear();
    await orFailure(this.api.calls.leaveLobby({ callId }));
  }

  admit(callId: string, userId: string): Promise<void> {
    return this.decide(this.api.calls.admitGuest({ callId, userId, clientRequestId: crypto.randomUUID() }));
  }

  refuse(callId: string, userId: string): Promise<void> {
    return this.decide(this.api.calls.refuseGuest({ callId, userId, clientRequestId: crypto.randomUUID() }));
  }

  receive(wire: WireLobbyPlace): void {
    this.take(readPlace(wire));
  }

  async refresh(): Promise<void> {
    const waiting = [...this.opened].flatMap(([callId, link]) => {
      const place = this.places.get(callId);
      return place?.state === "waiting" ? [this.askAgain(place, link)] : [];
    });
    const early = [...this.early].map(([linkId, link]) => this.waitAgain(linkId, link));
    await Promise.all([...waiting, ...early]);
  }

  private async waitAgain(linkId: string, link: Knocked): Promise<void> {
    if (this.placeBy(linkId)) this.early.delete(linkId);
    else await this.knock(link);
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
    if (opened.case === "scheduled") {
      const { scheduledCallId, linkId, title, video, startTime, conversationId } = opened.value;
      if (!conversationId) this.early.set(linkId, link);
      const entry = { scheduledCallId, linkId, title: displayName(title), video, startTimeMs: millis(startTime) ?? 0, conversationId };
      return { kind: "scheduled", entry, hostUserId };
    }
    if (opened.case !== "place") throw new Error("nothing in the answer");
    const place = readPlace(opened.value);
    this.early.delete(place.linkId);
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
    const waited = this.early.get(place.linkId);
    if (waited) {
      // Its time has come: from here on it is asked after as any other.
      this.early.delete(place.linkId);
      this.opened.set(place.callId, waited);
    }
    this.places.set(place.callId, place);
    this.changed();
  }
}

function readPlace({ callId, linkId, state, version }: WireLobbyPlace): LobbyPlace {
  return { callId, linkId, state: PLACES[state] ?? "closed", version: Number(version) };
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
