import { on } from "./vitest.config.js";

export default on("preact", [
  { find: /^react\/jsx(-dev)?-runtime$/, replacement: "preact/jsx-runtime" },
  { find: /^react-dom\/(client|server)$/, replacement: "preact/compat/$1" },
  { find: /^react(-dom)?$/, replacement: "preact/compat" },
]);
