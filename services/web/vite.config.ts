import { defineConfig } from "vite";

/** `npm run dev` passes API requests on to a running Parley; set PARLEY_URL when its edge listens elsewhere. */
const edge = process.env.PARLEY_URL ?? "http://localhost:8080";

export default defineConfig(({ mode }) => ({
  root: mode === "mock" ? "mock" : ".",
  build: {
    outDir: "../../build/web",
    emptyOutDir: true,
    // Inlined assets would be data: addresses, which the page's policy forbids.
    assetsInlineLimit: 0,
    target: "es2022",
    ...(mode === "mock" ? {} : { rollupOptions: { input: ["index.html", "playground.html"] } }),
  },
  server: mode === "mock" ? {} : { proxy: { "/parley.": edge, "/dev/": edge, "/v1/": edge, "/openapi.json": edge } },
  test: { include: ["tests/**/*.test.ts"], environment: "node", testTimeout: 10_000 },
}));
