import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const ROOT = new URL("../", import.meta.url);
const read = (file: string) => readFileSync(new URL(file, ROOT), "utf8");
const { exports } = JSON.parse(read("package.json")) as { exports: Record<string, Record<string, string>> };
const files = Object.values(exports).flatMap((entry) => Object.values(entry));

/** Of what `npm run library` built: `npm test` does that first. */
describe("the package", () => {
  test.each(files.map((file) => file.replace("*", "parley/calls/v1/service_pb")))("exports %s, which is there", (file) => {
    expect(existsSync(new URL(file, ROOT))).toBe(true);
  });

  test("starts its worker in the form that bundlers know, from a file that is there", () => {
    const built = new URL("dist/encryption/frame-cryptor.js", ROOT);
    const worker = /new Worker\(new URL\("([^"]+)", import\.meta\.url\), \{ type: "module" \}\)/.exec(readFileSync(built, "utf8"))?.[1];
    expect(worker).toBeDefined();
    expect(existsSync(new URL(worker ?? "", built))).toBe(true);
  });

  test("loads without a bundler", () => {
    const program = `import("${new URL("dist/index.js", ROOT).href}").then(({ ParleyClient }) => console.log(typeof ParleyClient))`;
    expect(execFileSync(process.execPath, ["--eval", program], { encoding: "utf8" }).trim()).toBe("function");
  });
});
