import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { type Call, CallSchema, CallState, JoinLinkSchema, LobbyPlaceSchema, LobbyPlaceState, ParticipantState } from "../src/gen/parley/calls/v1/messages_pb.js";
import { CallsService, type OpenJoinLinkRequest } from "../src/gen/parley/calls/v1/service_pb.js";
import { joinAddress, JoinLinks, joinSecretOf } from "../src/join-links.js";
import { createApi } from "../src/testing/api.js";
import { reason as withReason } from "../src/testing/details.js";
import { readCall } from "../src/wire.js";

const SECRET = "0123456789abcdefghijklmnopqrst_-";
const refused = (name: string) => withReason(new ConnectError("refused", Code.FailedPrecondition), name);
const place = (state: LobbyPlaceState, version: bigint) => create(LobbyPlaceSchema, { callId: "call", state, version });
const CALL = create(CallSchema, {
  callId: "call",
  conversationId: "room",
  state: CallState.ACTIVE,
  group: true,
  version: 5n,
  participants: [
    { userId: "alice", deviceId: "phone", state: ParticipantState.JOINED },
    { userId: "eve", state: ParticipantState.NOT_JOINED, guest: true },
  ],
  lobby: [{ userId: "fay", linkId: "link", knockTime: timestampFromMs(7) }],
});

/** Links over a service that answers each opening with what is next. */
function linksOver(answers: { call?: Call; place?: ReturnType<typeof place>; refusal?: ConnectError }[]) {
  const opened: OpenJoinLinkRequest[] = [];
  const calls: Call[] = [];
  const decided: string[] = [];
  const link = create(JoinLinkSchema, { linkId: "link", callId: "call", makerUserId: "alice", createTime: timestampFromMs(1), expireTime: timestampFromMs(2) });
  const transport = createRouterTransport(({ service }) =>
    service(CallsService, {
      createJoinLink: ({ callId, ttlS, clientRequestId }) => {
        if (callId !== "call" || ttlS !== 60 || !clientRequestId) throw new ConnectError("another request", Code.InvalidArgument);
        return { link, secret: SECRET };
      },
      listJoinLinks: () => ({ links: [link] }),
      revokeJoinLink: () => ({ link: create(JoinLinkSchema, { ...link, revokeTime: timestampFromMs(3) }) }),
      openJoinLink: (request) => {
        opened.push(request);
        const next = answers.shift();
        if (!next) throw new ConnectError("no such link", Code.NotFound);
        if (next.refusal) throw next.refusal;
        return { opened: next.call ? { case: "call", value: next.call } : { case: "place", value: next.place ?? place(LobbyPlaceState.CLOSED, 1n) }, hostUserId: "alice" };
      },
      getCall: () => ({ call: CALL }),
      leaveLobby: ({ callId }) => (decided.push(`leave ${callId}`), {}),
      admitGuest: ({ userId }) => (decided.push(`admit ${userId}`), { call: CALL }),
      refuseGuest: ({ userId }) => (decided.push(`refuse ${userId}`), { call: CALL }),
    }),
  );
  return { links: new JoinLinks(createApi(transport), (call) => calls.push(call), () => undefined), opened, calls, decided };
}

describe("join links", () => {
  test("an address has the secret where no server sees it, and gives it back", () => {
    const address = joinAddress("https://chat.example.com", SECRET);
    expect(address).toBe(`https://chat.example.com/join/#${SECRET}`);
    expect(joinSecretOf(address)).toBe(SECRET);
    for (const other of ["https://chat.example.com/", "https://chat.example.com/join/", `https://chat.example.com/join/${SECRET}`, `${address}x`]) {
      expect(joinSecretOf(other)).toBeUndefined();
    }
  });

  test("a member makes, lists and revokes", async () => {
    const { links } = linksOver([]);
    const made = { id: "link", callId: "call", makerUserId: "alice", createTimeMs: 1, expireTimeMs: 2, revokeTimeMs: undefined };
    expect(links.decides("link")).toBe(false);
    expect(await links.list("call")).toEqual([made]);
    expect(await links.create("call", 60)).toEqual({ link: made, secret: SECRET });
    expect(links.decides("link")).toBe(true);
    expect(await links.revoke("link")).toEqual({ ...made, revokeTimeMs: 3 });
  });

  test("who may come in gets the call, with guests and the lobby", async () => {
    const { links, calls } = linksOver([{ call: CALL }]);
    const opened = await links.open(SECRET);
    expect(opened).toEqual({ kind: "call", call: readCall(CALL), hostUserId: "alice" });
    expect(readCall(CALL)).toMatchObject({
      participants: [{ userId: "alice", guest: false }, { userId: "eve", guest: true }],
      lobby: [{ userId: "fay", linkId: "link", knockTimeMs: 7 }],
    });
    expect(calls).toEqual([CALL]);
  });

  test("somebody else waits, and the newest word on the place counts", async () => {
    const { links } = linksOver([{ place: place(LobbyPlaceState.WAITING, 3n) }]);
    expect(await links.open(SECRET)).toEqual({ kind: "lobby", place: { callId: "call", state: "waiting", version: 3 }, hostUserId: "alice" });
    links.receive(place(LobbyPlaceState.ADMITTED, 4n));
    links.receive(place(LobbyPlaceState.WAITING, 3n));
    expect(links.place("call")).toMatchObject({ state: "admitted" });
    links.receive(place(LobbyPlaceState.CLOSED, 5n));
    expect(links.place("call")).toMatchObject({ state: "closed" });
    expect(links.place("another")).toBeUndefined();
  });

  test("after a gap it asks as it asked before, where it still waits", async () => {
    const { links, opened } = linksOver([{ place: place(LobbyPlaceState.WAITING, 3n) }, { place: place(LobbyPlaceState.REFUSED, 4n) }]);
    await links.open(SECRET);
    await links.refresh();
    expect(links.place("call")).toMatchObject({ state: "refused" });
    expect(opened[1]).toEqual(opened[0]);
    await links.refresh();
    expect(opened).toHaveLength(2);
  });

  test("who was let in during a gap is told so after it, and gets the call without the link", async () => {
    const { links, calls } = linksOver([{ place: place(LobbyPlaceState.WAITING, 3n) }, { call: CALL }]);
    await links.open(SECRET);
    await links.refresh();
    expect(links.place("call")).toEqual({ callId: "call", state: "admitted", version: 5 });
    expect(await links.callOf("call")).toEqual(readCall(CALL));
    expect(calls).toEqual([CALL, CALL]);
  });

  test.each([
    ["CALL_ENDED", "closed"],
    ["JOIN_LINK_CLOSED", "closed"],
    ["LOBBY_REFUSED", "refused"],
  ])("a place that ended during a gap by %s is %s after it", async (reason, state) => {
    const { links } = linksOver([{ place: place(LobbyPlaceState.WAITING, 3n) }, { refusal: refused(reason) }]);
    await links.open(SECRET);
    await links.refresh();
    expect(links.place("call")).toMatchObject({ state });
  });

  test("an outage says nothing of a place", async () => {
    const { links } = linksOver([{ place: place(LobbyPlaceState.WAITING, 3n) }, { refusal: refused("STORE_UNAVAILABLE") }]);
    await links.open(SECRET);
    await expect(links.refresh()).rejects.toMatchObject({ reason: "STORE_UNAVAILABLE" });
    expect(links.place("call")).toMatchObject({ state: "waiting" });
  });

  test("hosts decide, and who waits gives up", async () => {
    const { links, calls, decided } = linksOver([]);
    await links.admit("call", "fay");
    await links.refuse("call", "gus");
    await links.leaveLobby("call");
    expect(decided).toEqual(["admit fay", "refuse gus", "leave call"]);
    expect(calls).toEqual([CALL, CALL]);
  });

  test("a refusal is a failure with its reason's line", async () => {
    await expect(linksOver([]).links.open(SECRET)).rejects.toMatchObject({ code: "not_found" });
  });
});
