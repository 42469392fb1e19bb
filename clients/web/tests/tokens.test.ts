import { describe, expect, test } from "vitest";
import { readFailure } from "../src/errors.js";
import { LoginError, LoginOverError, readToken, renewTimeMs, TokenCache, type TokenProvider } from "../src/tokens.js";

const jwt = (claims: object) => `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`;

const failureOf = (provider: TokenProvider) => new TokenCache(provider, "alice").get().then(() => undefined, readFailure);

describe("tokens", () => {
  test("user and expiry are read from a JWT", () => {
    expect(readToken(jwt({ sub: "alice-é", exp: 1000 }))).toMatchObject({ userId: "alice-é", expiresMs: 1_000_000 });
  });

  test.each(["", "abc", "a.!!.c", jwt({}), jwt({ sub: 5 })])("what is no token of a user is refused: %s", (text) => {
    expect(() => readToken(text)).toThrow();
  });

  test("renewal comes a minute before expiry, and half-way for short tokens", () => {
    expect(renewTimeMs(600_000, 0)).toBe(540_000);
    expect(renewTimeMs(20_000, 0)).toBe(10_000);
  });

  test("many callers share one renewal, and a refused token is replaced", async () => {
    let asked = 0;
    const cache = new TokenCache(() => Promise.resolve({ value: `${++asked}`, userId: "alice", expiresMs: Date.now() + 3_600_000 }), "alice");
    const got = await Promise.all([cache.get(), cache.get(), cache.get()]);
    expect(got.map((token) => token.value)).toEqual(["1", "1", "1"]);
    cache.invalidate();
    expect((await cache.get()).value).toBe("2");
  });

  test("a provider that failed once is asked again", async () => {
    let asked = 0;
    const token = { value: "t", userId: "alice", expiresMs: Number.POSITIVE_INFINITY };
    const cache = new TokenCache(() => (++asked === 1 ? Promise.reject(new Error("no")) : Promise.resolve(token)), "alice");
    await expect(cache.get()).rejects.toThrow("no");
    expect((await cache.get()).value).toBe("t");
  });

  test("a token of somebody else is not used: in another window the network's login may be another one by now", async () => {
    const failure = await failureOf(() => Promise.resolve({ value: "t", userId: "bob", expiresMs: Number.POSITIVE_INFINITY }));
    expect(failure).toMatchObject({ code: "unauthenticated", transient: false, reason: "TOKEN_EXPIRED", detail: "the token is of bob, and this client of alice" });
  });

  test("a provider says that the login is over, which is more than not reaching its server", async () => {
    expect(await failureOf(() => Promise.reject(new LoginOverError()))).toMatchObject({ code: "unauthenticated", transient: false, line: "Your login has expired. Please log in again." });
    expect(await failureOf(() => Promise.reject(new LoginError("no_development_login")))).toMatchObject({ code: "unavailable", transient: true });
  });

  test("a mistake in the provider is told to developers", async () => {
    expect(await failureOf(() => Promise.reject(new Error("jwt is not defined")))).toMatchObject({ code: "unavailable", detail: "jwt is not defined" });
  });

  test("an expiry in seconds is refused, which would ask for a token before each request", async () => {
    const failure = await failureOf(() => Promise.resolve({ value: "t", userId: "alice", expiresMs: Date.now() / 1000 + 3600 }));
    expect(failure?.detail).toContain("expiresMs");
  });
});
