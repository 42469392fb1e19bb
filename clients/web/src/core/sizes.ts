/** `640 kB`, `2.5 MB`. */
export function sizeLine(bytes: number): string {
  if (bytes < 1000) return `${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
  const [value, unit] = bytes < 1024 * 1000 ? [bytes / 1024, "kB"] : [bytes / (1024 * 1024), "MB"];
  return `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} ${unit}`;
}
