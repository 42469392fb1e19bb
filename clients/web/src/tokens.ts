import { type MessageKey, type UserMessage, userMessage } from "./core/user-messages.js";

/** Why there is no token. */
export class LoginError extends Error {
  readonly told: UserMessage;

  constructor(key: MessageKey) {
    const told = userMessage(key);
    super(told.line);
    this.told = told;
  }
}

/**
 * The user is logged in no more. A provider of tokens rejects with it, so that the client stops and says so; after any other
 * error it is asked again.
 */
export class LoginOverError extends Error {
  override readonly name = "LoginOverError";
}

/** A login of the social network, as this client needs it. */
export interface Token {
  /** The JWT, sent as `authorization: Bearer`. */
  readonly value: string;
  readonly userId: string;
  /** Milliseconds since 1970. */
  readonly expiresMs: number;
}

/** Brings a token that is valid now. The embedding page supplies it; called again before each expiry, and when one is refused. */
export type TokenProvider = () => Promise<Token>;

/** Renew this long before expiry, so that no request leaves with a token that dies on its way. */
const RENEW_BEFORE_MS = 60_000;
/** No token expired in 1973: an earlier time was meant in seconds. */
const FIRST_EXPIRY_MS = 100_000_000_000;

/** Keeps one valid token; many callers share one renewal. */
export class TokenCache {
  private token: Token | undefined;
  private renewAtMs = 0;
  private renewal: Promise<Token> | undefined;

  constructor(
    private readonly provider: TokenProvider,
    private readonly userId: string,
  ) {}

  /** A token that is valid for a while yet. Rejects when the provider does. */
  async get(): Promise<Token> {
    if (this.token && Date.now() < this.renewAtMs) return this.token;
    this.renewal ??= this.renew();
    return this.renewal;
  }

  /** The last token, without waiting; for the hang-up of a closing page. */
  current(): Token | undefined {
    return this.token;
  }

  /** The server refused the token: the next `get` asks for a new one. */
  invalidate(): void {
    this.token = undefined;
  }

  private async renew(): Promise<Token> {
    try {
      const token = await this.provider();
      this.check(token);
      this.renewAtMs = renewTimeMs(token.expiresMs, Date.now());
      this.token = token;
      return token;
    } finally {
      this.renewal = undefined;
    }
  }

  private check({ userId, expiresMs }: Token): void {
    // In another window the network's login may be another one by now: nothing of this user may go out as that one.
    if (userId !== this.userId) throw new LoginOverError(`the token is of ${userId}, and this client of ${this.userId}`);
    if (expiresMs < FIRST_EXPIRY_MS) throw new RangeError(`expiresMs is in milliseconds since 1970: ${expiresMs}`);
  }
}

/** When to ask for the next token: a minute before expiry, or half-way when it lives no longer than two minutes. */
export function renewTimeMs(expiresMs: number, nowMs: number): number {
  const lifeMs = expiresMs - nowMs;
  return nowMs + Math.max(lifeMs - RENEW_BEFORE_MS, lifeMs / 2);
}

/** Reads user and expiry from a JWT, without verifying it (the servers do). Throws on what is no JWT with `sub`. */
export function readToken(jwt: string): Token {
  const payload = jwt.split(".")[1];
  if (!payload) throw new LoginError("no_token");
  const bytes = Uint8Array.from(atob(payload.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const claims = JSON.parse(new TextDecoder().decode(bytes)) as { sub?: unknown; exp?: unknown };
  if (typeof claims.sub !== "string" || claims.sub === "") throw new LoginError("token_without_user");
  const expiresMs = typeof claims.exp === "number" ? claims.exp * 1000 : Number.POSITIVE_INFINITY;
  return { value: jwt, userId: claims.sub, expiresMs };
}

/** Tokens of the development issuer, which asks for no password. */
export function devTokens(userId: string, baseUrl = ""): TokenProvider {
  return async () => {
    const response = await fetch(`${baseUrl}/dev/login`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ user_id: userId }),
    });
    if (response.status === 400) throw new LoginError("bad_user_id");
    if (!response.ok) throw new LoginError("no_development_login");
    const answer = (await response.json()) as { token: string };
    return readToken(answer.token);
  };
}

export interface DevUser {
  readonly userId: string;
  readonly name: string;
}

/** The development issuer's users; empty where there is no such issuer. */
export async function devUsers(baseUrl = ""): Promise<DevUser[]> {
  const response = await fetch(`${baseUrl}/dev/users`).catch(() => undefined);
  if (!response?.ok) return [];
  const body = (await response.json().catch(() => ({}))) as { users?: { user_id: string; name: string }[] };
  return (body.users ?? []).map((user) => ({ userId: user.user_id, name: user.name }));
}
