import { fileURLToPath } from "node:url";
import type { Alias } from "vite";
import { defineConfig, type ViteUserConfigExport } from "vitest/config";

/** Hooks too: a limit that a slow machine reaches tells of nothing. What hangs is found a minute later. */
const PATIENCE_MS = 60_000;

/** What draws, in files that a file `vitest.NAME.config.ts` runs once more with something else than the newest React. */
const DRAWN = ["tests/hooks.test.tsx", "tests/components.test.tsx", "tests/stories.test.tsx"];

export const from = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The tests on one library that draws. Not isolated, as those of the client: no test may leave anything behind. */
export function on(name: string, alias: readonly Alias[], include = DRAWN): ViteUserConfigExport {
  return defineConfig({
    root: from("."),
    resolve: { alias: [...alias] },
    test: { name, include, isolate: false, environment: "jsdom", setupFiles: ["tests/setup.ts"], testTimeout: PATIENCE_MS, hookTimeout: PATIENCE_MS, env: { DRAWN_BY: name } },
  });
}

export default on("react", [], ["tests/**/*.test.{ts,tsx}"]);
