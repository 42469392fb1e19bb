import { defineConfig } from "vitest/config";

/** Hooks too: a limit that a slow machine reaches tells of nothing. What hangs is found a minute later. */
const PATIENCE_MS = 60_000;

export default defineConfig({ test: { include: ["tests/**/*.test.ts"], testTimeout: PATIENCE_MS, hookTimeout: PATIENCE_MS } });
