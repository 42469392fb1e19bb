import { defineConfig } from "vite";

/** `npm run dev` passes API requests on to a running Parley; set PARLEY_URL when its edge listens elsewhere. */
const edge = process.env.PARLEY_URL ?? "http://localhost:8080";

/** The page; and `--mode worker`, after it: the service worker, one file whose name is always the same, since browsers look for a newer one there. */
/** Hooks too: a limit that a slow machine reaches tells of nothing. What hangs is found a minute later. */
const PATIENCE_MS = 60_000;

export default defineConfig(({ mode }) => ({
  root: mode === "mock" ? "mock" : ".",
  publicDir: mode === "mock" ? "../public" : "public",
  build: {
    outDir: "../../build/web",
    emptyOutDir: mode !== "worker",
    copyPublicDir: mode !== "worker",
    // Inlined assets would be data: addresses, which the page's policy forbids.
    assetsInlineLimit: 0,
    target: "es2022",
    ...(mode === "worker" ? { rollupOptions: { input: "src/worker/service-worker.ts", output: { format: "iife" as const, entryFileNames: "service-worker.js" } } } : {}),
    ...(mode === "mock" || mode === "worker" ? {} : { rollupOptions: { input: ["index.html", "playground.html"] } }),
  },
  server: mode === "mock" ? {} : { proxy: { "/parley.": edge, "/dev/": edge, "/v1/": edge, "/openapi.json": edge } },
  // Not isolated, as the tests of the client: no test may leave anything behind.
  test: { isolate: false, include: ["tests/**/*.test.ts"], environment: "node", testTimeout: PATIENCE_MS, hookTimeout: PATIENCE_MS },
}));
