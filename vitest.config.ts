import { defineConfig } from "vitest/config";

/** `npm test` runs the tests of both workspaces in one go. */
export default defineConfig({ test: { projects: ["clients/web", "services/web"] } });
