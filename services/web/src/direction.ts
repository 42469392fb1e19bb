/** Letters of scripts that run from right to left. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/**
 * What somebody wrote, between words of the page: it turns the direction of reading of nothing beside it. Where its direction is
 * the page's own there is nothing to turn, and nothing is added.
 */
export function isolatedIn(plain: string, isRightToLeft: boolean): string {
  return isRightToLeft || RIGHT_TO_LEFT.test(plain) ? `\u2068${plain}\u2069` : plain;
}
