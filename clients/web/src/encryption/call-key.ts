/** OWASP's figure for PBKDF2 with SHA-256 (2023). Raising it starts calls later; lowering it lets a weak passphrase be guessed sooner. */
const ITERATIONS = 600_000;

/** The call's key: an HKDF key that script can use and not read. */
export async function deriveCallKey(passphrase: string, callId: string): Promise<CryptoKey> {
  const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
  const secret = await crypto.subtle.importKey("raw", bytes(passphrase.normalize("NFC")), "PBKDF2", false, ["deriveBits"]);
  const stretch = { name: "PBKDF2", hash: "SHA-256", salt: bytes(`parley call ${callId}`), iterations: ITERATIONS };
  const raw = await crypto.subtle.deriveBits(stretch, secret, 256);
  return crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveKey", "deriveBits"]);
}
