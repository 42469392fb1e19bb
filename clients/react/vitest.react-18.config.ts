import { from, on } from "./vitest.config.js";

export default on("react-18", [{ find: /^(react|react-dom)(\/.*)?$/, replacement: `${from("../../tests/support/react-18/node_modules/")}$1$2` }]);
