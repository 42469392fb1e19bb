/** User ids as people type them: separated by commas or white space, each once. */
export function readIds(typed: string): string[] {
  return [...new Set(typed.split(/[\s,;]+/).filter(Boolean))];
}
