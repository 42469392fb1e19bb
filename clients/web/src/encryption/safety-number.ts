import { type Bytes, statement, utf8 } from "./key-statements.js";

/** Raising it slows down who looks for a key with nearly the same number, and the dialog; it changes all numbers. */
const ITERATIONS = 100_000;
const GROUPS = 6;
const GROUP_BYTES = 5;

export interface NumberedAccount {
  readonly userId: string;
  readonly accountKey: Uint8Array;
}

/** Sixty digits that two people see alike, unless one of them was shown another key than the other has (docs/design/e2ee.md). */
export async function safetyNumber(one: NumberedAccount, other: NumberedAccount): Promise<string> {
  return (await Promise.all([digitsOf(one), digitsOf(other)])).sort().join("");
}

async function digitsOf({ userId, accountKey }: NumberedAccount): Promise<string> {
  const salt: Bytes = utf8("parley safety number v1");
  const secret = await crypto.subtle.importKey("raw", statement("parley account v1", utf8(userId), accountKey), "PBKDF2", false, ["deriveBits"]);
  const bits = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-512", salt, iterations: ITERATIONS }, secret, GROUPS * GROUP_BYTES * 8);
  const bytes = new Uint8Array(bits);
  const group = (at: number): string => {
    const value = bytes.subarray(at * GROUP_BYTES, (at + 1) * GROUP_BYTES).reduce((sum, byte) => sum * 256 + byte, 0);
    return String(value % 100_000).padStart(5, "0");
  };
  return Array.from({ length: GROUPS }, (_, at) => group(at)).join("");
}
