import { defineConfig } from "vite";

/** `npm run stories`: what the workspaces bring is taken as it is. */
export default defineConfig({ optimizeDeps: { exclude: ["@parley/client"] }, build: { target: "es2022" } });
