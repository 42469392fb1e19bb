/** Shortest ceiling of a wait. Raising it slows the first reconnect; lowering it lets a herd return at once. */
export const BACKOFF_BASE_MS = 500;
/** Longest ceiling. Raising it leaves people offline longer after an outage; lowering it costs the servers attempts. */
export const BACKOFF_CAP_MS = 20_000;

/**
 * How long to wait before attempt `attempt` (0 is the first retry), in milliseconds.
 *
 * Equal jitter: half of the ceiling is fixed, so no client retries at once, and half is random, so that clients
 * which lost the same server spread out. `random` is in [0, 1). A delay that the server asked for is a lower bound.
 */
export function backoffMs(attempt: number, random: number, serverDelayMs = 0): number {
  const ceiling = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(attempt, 16));
  const wait = ceiling / 2 + (ceiling / 2) * random;
  return Math.max(wait, serverDelayMs * (1 + random / 4));
}
