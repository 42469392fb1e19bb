import { defineConfig } from "vitest/config";

/** `npm test` runs the tests of all workspaces in one go; those of the components, on each library that draws them. */
export default defineConfig({ test: { projects: ["clients/web", "services/web", "clients/react/vitest.*.ts"] } });
