import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { linkPreview, type Asking } from "../src/previews.js";
import { TokenCache } from "../src/tokens.js";

const URL = "https://news.example/a?b=c&d";
const fetched = vi.fn<typeof fetch>();

beforeEach(() => void vi.stubGlobal("fetch", fetched));
afterEach(() => {
  vi.unstubAllGlobals();
  fetched.mockReset();
});

function client(): Asking {
  return { baseUrl: "https://parley.example", tokens: new TokenCache(() => Promise.resolve({ value: "t", userId: "alice", expiresMs: Date.now() + 3_600_000 }), "alice") };
}

function answers(status: number, body: unknown): void {
  fetched.mockImplementation(() => Promise.resolve(new Response(JSON.stringify(body), { status })));
}

test("a preview is asked for with the user's token", async () => {
  answers(200, { url: URL, title: "T", siteName: "S" });
  expect(await linkPreview(client(), URL)).toEqual({ url: URL, title: "T", description: "", siteName: "S" });
  const [address, request] = fetched.mock.calls[0] ?? [];
  expect(address).toBe("https://parley.example/v1/link-preview?url=https%3A%2F%2Fnews.example%2Fa%3Fb%3Dc%26d");
  expect(request?.headers).toEqual({ authorization: "Bearer t" });
});

test("whatever stands in the way, a link goes without one", async () => {
  answers(404, { code: 5 });
  expect(await linkPreview(client(), URL)).toBeUndefined();
  for (const odd of [null, [], "x", {}, { title: 1 }, { title: "" }]) {
    answers(200, odd);
    expect(await linkPreview(client(), URL)).toBeUndefined();
  }
  fetched.mockRejectedValue(new TypeError("no network"));
  expect(await linkPreview(client(), URL)).toBeUndefined();
  const signedOut = { ...client(), tokens: new TokenCache(() => Promise.reject(new Error("signed out")), "alice") };
  expect(await linkPreview(signedOut, URL)).toBeUndefined();
});

test("an installation that makes none is asked once", async () => {
  answers(501, { code: 12 });
  const asking = client();
  await linkPreview(asking, URL);
  await linkPreview(asking, URL);
  expect(fetched).toHaveBeenCalledTimes(1);
});

test("who has written another link meanwhile is told nothing of this one", async () => {
  fetched.mockImplementation((_, request) => new Promise((_resolve, reject) => request?.signal?.addEventListener("abort", () => reject(new Error("ended")))));
  const writing = new AbortController();
  const asked = linkPreview(client(), URL, { signal: writing.signal });
  await vi.waitFor(() => expect(fetched).toHaveBeenCalled(), { timeout: 30_000 });
  writing.abort();
  await expect(asked).rejects.toThrow("aborted");
  await expect(linkPreview(client(), URL, { signal: writing.signal })).rejects.toThrow("aborted");
});
