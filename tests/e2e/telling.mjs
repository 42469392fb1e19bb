// What the failure of a step tells: what was waited for and what was last seen, each in one line. Imports nothing, so that
// it can be tested without a browser (test_scenarios.py).

/** A wait that was given up. */
export class GaveUp extends Error {
  constructor(waitedFor, seen, options) {
    super(`waited for ${waitedFor}; last seen: ${seen}`, options);
    [this.waitedFor, this.seen] = [waitedFor, seen];
  }
}

/** A text without colours and in one line. */
// eslint-disable-next-line no-control-regex
export const inOneLine = (text) => text.replace(/\u001b\[\d+m/g, "").trim().replace(/\s*\n\s*/g, " / ");

/**
 * What an error tells: {waited_for, seen} of a wait that was given up, else {error}. `shown` is what the pages say, for a wait of
 * Playwright's that has seen nothing of what it looks for.
 */
export function tell(error, shown = "") {
  if (error instanceof GaveUp) return { waited_for: inOneLine(error.waitedFor), seen: inOneLine(error.seen) };
  const [, action, log] = /^\S*?(\w+): Timeout \d+ms exceeded\.?\s*(?:Call log:)?([^]*)/.exec(error.message) ?? [];
  if (action === undefined) return { error: inOneLine(error.message) };
  const lines = log.split("\n").map((line) => inOneLine(line).replace(/^- /, "")).filter(Boolean);
  const target = (lines.find((line) => line.startsWith("waiting for")) ?? lines[0])?.replace("waiting for ", "");
  const last = (pattern) => lines.findLast((line) => pattern.test(line));
  const seen = [last(/resolved to/), last(/element is not|intercepts pointer/)].filter(Boolean).map((line) => line.replace(/^.*?locator resolved to /, ""));
  return { waited_for: target ? `${target} (${action})` : action, seen: seen.join(", ") || `nothing of it; the pages say: ${shown || "nothing"}` };
}

/** The same as one text. */
export function told(error) {
  const { waited_for, seen, error: other } = tell(error);
  return other ?? `waited for ${waited_for}; last seen: ${seen}`;
}
