import { describe, expect, test } from "vitest";
import { readToken, renewTimeMs, TokenCache } from "../src/tokens.js";

const jwt = (claims: object) => `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`;

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
    const cache = new TokenCache(() => Promise.resolve({ value: `${++asked}`, userId: "alice", expiresMs: Date.now() + 3_600_000 }));
    const got = await Promise.all([cache.get(), cache.get(), cache.get()]);
    expect(got.map((token) => token.value)).toEqual(["1", "1", "1"]);
    cache.invalidate();
    expect((await cache.get()).value).toBe("2");
  });

  test("a provider that failed once is asked again", async () => {
    let asked = 0;
    const token = { value: "t", userId: "alice", expiresMs: Number.POSITIVE_INFINITY };
    const cache = new TokenCache(() => (++asked === 1 ? Promise.reject(new Error("no")) : Promise.resolve(token)));
    await expect(cache.get()).rejects.toThrow("no");
    expect((await cache.get()).value).toBe("t");
  });
});
