// The one way in which the scenarios wait, and what they report meanwhile. tests/support/waiting.py is the same in Python.
import { GaveUp, told } from "./telling.mjs";

/**
 * How long nothing may move until a wait is given up, in milliseconds. A wait that counts (`progress`) may last far longer, as
 * long as the count goes on. Raising it: what hangs is found later. Lowering it: a machine that others use too looks like one
 * that hangs.
 */
export const PATIENCE_MS = 90_000;
/**
 * Between two looks: a share of what has been waited so far, within bounds, since a look is a page's getStats. Raising the share, or
 * the most: a step goes on later. Lowering it: who waits long keeps pages busy with looking.
 */
const LOOK_SHARE = 0.1;
const [LEAST_LOOK_MS, MOST_LOOK_MS] = [50, 250];
/** The test is told of what moves this often at most. */
const REPORT_MS = 1000;

/** One line for the test that runs this scenario (tests/e2e/scenarios.py). */
export const say = (line) => void process.stdout.write(`${JSON.stringify(line)}\n`);

let movedAt = 0;

/** Says that the scenario goes on: a count has grown, a page has asked for something. */
export function moved(what) {
  if (Date.now() - movedAt < REPORT_MS) return;
  movedAt = Date.now();
  say({ moved: what });
}

/**
 * Reads until `good` holds, and returns what was read. Fails with `what`, the last reading and how long nothing moved.
 * `progress` makes of a reading what moves on the way: something that can change only so often, such as a count up to what is
 * waited for (`upTo`). Without it nothing moves until `good` holds.
 */
export async function eventually(what, read, good, progress = () => null) {
  const began = Date.now();
  let seen, last = "nothing", since = began;
  for (;;) {
    const value = await looked(what, read, last);
    if (good(value)) return value;
    if (seen === undefined) say({ waits: what });
    last = JSON.stringify(value) ?? "nothing";
    const now = JSON.stringify(progress(value));
    if (now !== seen) {
      if (seen !== undefined) moved(what);
      [seen, since] = [now, Date.now()];
    }
    const still = Date.now() - since;
    if (still > PATIENCE_MS) throw new GaveUp(what, `${last}, and nothing moved for ${Math.round(still / 1000)} s`);
    const pause = Math.min(MOST_LOOK_MS, Math.max(LEAST_LOOK_MS, LOOK_SHARE * (Date.now() - began)));
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** One look. One that fails says what it was for, and what the look before had seen. */
async function looked(what, read, last) {
  try {
    return await read();
  } catch (error) {
    throw new GaveUp(what, `${last}, and then a look failed: ${told(error)}`, { cause: error });
  }
}

/** A count as far as it matters: what comes after the goal is no progress. */
export const upTo = (goal, count) => Math.min(goal, count);
