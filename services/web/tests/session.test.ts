import { LoginError, MemoryDeviceStore, ParleyClient, type Token } from "@parley/client";
import { MockBackend } from "@parley/client/testing";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Session } from "../src/session";

const token = (userId: string): Token => ({ value: "t", userId, expiresMs: Number.POSITIVE_INFINITY });
const storage = { getItem: () => null, setItem: () => undefined, removeItem: () => undefined };

let made: ParleyClient[];

beforeEach(() => {
  made = [];
  const nothing = (): void => undefined;
  vi.stubGlobal("addEventListener", nothing);
  vi.stubGlobal("document", { addEventListener: nothing, visibilityState: "visible" });
  vi.stubGlobal("location", { search: "?user=alice", pathname: "/", hash: "", origin: "" });
  vi.stubGlobal("history", { replaceState: nothing });
});
afterEach(() => {
  for (const client of made) client.stop();
  vi.unstubAllGlobals();
});

function session(known: readonly string[], asked: () => Promise<Token>): Session {
  const backend = new MockBackend();
  return new Session({
    isKnown: (userId) => known.includes(userId),
    loadUsers: () => Promise.resolve([{ userId: "bob", name: "Bob Berger" }]),
    devTokens: () => asked,
    createClient: (userId, tokens, people) => {
      const client = new ParleyClient({ userId, deviceId: "device-1", tokens, people, api: backend.apiFor(userId), baseUrl: "", storage, store: new MemoryDeviceStore() });
      made.push(client);
      return client;
    },
  });
}

/** What the document of a page does, by the events that it listens to. */
function fakeDocument(visibilityState: string) {
  const listeners = new Map<string, () => void>();
  const fake = { visibilityState, pictureInPictureElement: null as object | null, addEventListener: (event: string, listener: () => void) => void listeners.set(event, listener) };
  vi.stubGlobal("document", fake);
  return (event: string, change: Partial<typeof fake>) => {
    Object.assign(fake, change);
    listeners.get(event)?.();
  };
}

describe("a page that nobody sees", () => {
  const opened = async () => {
    const page = session(["alice"], () => Promise.resolve(token("alice")));
    await page.open();
    const client = page.state.client;
    if (!client) throw new Error("nobody is logged in");
    const told: boolean[] = [];
    vi.spyOn(client, "setHidden").mockImplementation((hidden) => void told.push(hidden));
    return told;
  };

  test("says so to the client, and when it is seen again", async () => {
    const happens = fakeDocument("visible");
    const told = await opened();
    happens("visibilitychange", { visibilityState: "hidden" });
    happens("visibilitychange", { visibilityState: "visible" });
    expect(told).toEqual([true, false]);
  });

  test("is seen while a picture of it stands in a window of its own", async () => {
    const happens = fakeDocument("visible");
    const told = await opened();
    happens("enterpictureinpicture", { pictureInPictureElement: {} });
    happens("visibilitychange", { visibilityState: "hidden" });
    happens("leavepictureinpicture", { pictureInPictureElement: null });
    expect(told).toEqual([false, false, true]);
  });

  test("says so when somebody logs in there", async () => {
    fakeDocument("hidden");
    const told = vi.spyOn(ParleyClient.prototype, "setHidden").mockImplementation(() => undefined);
    await session(["alice"], () => Promise.resolve(token("alice"))).open();
    expect(told.mock.calls).toEqual([[true]]);
    told.mockRestore();
  });
});

describe("a page that is opened again", () => {
  test("is there at once for somebody who was here, without a network", async () => {
    const opened = session(["alice"], () => Promise.reject(new TypeError("Failed to fetch")));
    await opened.open();
    expect(opened.state.client?.userId).toBe("alice");
    expect(opened.state.problem).toBeUndefined();
  });

  test("waits for a token of somebody who was not here", async () => {
    const opened = session([], () => Promise.reject(new TypeError("Failed to fetch")));
    await opened.open();
    expect([opened.state.client, opened.state.problem]).toEqual([undefined, "login.unreachable"]);
  });

  test("ends when the login is refused after all", async () => {
    const opened = session(["alice"], () => Promise.reject(new LoginError("bad_user_id")));
    await opened.open();
    await vi.waitFor(() => expect(opened.state.client).toBeUndefined(), { timeout: 30_000 });
    expect(opened.state.problem).toMatchObject({ key: "bad_user_id" });
  });

  test("goes on as the one whom the token names", async () => {
    const opened = session(["alice"], () => Promise.resolve(token("eve")));
    await opened.open();
    await vi.waitFor(() => expect(opened.state.client?.userId).toBe("eve"), { timeout: 30_000 });
    expect(made.map((client) => client.stream.kind)[0]).not.toBe("live");
  });

  test("asks for one token for the login and for the first requests", async () => {
    const asked = vi.fn(() => Promise.resolve(token("alice")));
    await session([], asked).open();
    expect(asked).toHaveBeenCalledTimes(1);
  });

  test("has the names that the network gives, or those of the development issuer", async () => {
    const opened = session(["alice"], () => Promise.resolve(token("alice")));
    await opened.open();
    opened.nameOf("bob");
    await vi.waitFor(() => expect(opened.nameOf("bob")).toBe("Bob Berger"), { timeout: 30_000 });
    opened.usePeople(() => Promise.resolve({ bob: { name: "Robert", avatarUrl: "/bob.png" } }));
    await opened.login(() => Promise.resolve(token("alice")));
    opened.nameOf("bob");
    await vi.waitFor(() => expect([opened.nameOf("bob"), opened.faceOf("bob")]).toEqual(["Robert", "/bob.png"]), { timeout: 30_000 });
  });
});
