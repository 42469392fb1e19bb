import { defineConfig } from "vitest/config";

/** Hooks too: a limit that a slow machine reaches tells of nothing. What hangs is found a minute later. */
const PATIENCE_MS = 60_000;

/** One file after the other in the same process: else each loads the library anew, which took two fifths of the time. So no test may leave anything behind. */
export default defineConfig({ test: { isolate: false, include: ["tests/**/*.test.ts"], testTimeout: PATIENCE_MS, hookTimeout: PATIENCE_MS } });
