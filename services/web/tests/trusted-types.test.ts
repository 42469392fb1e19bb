import { readFileSync } from "node:fs";
import { afterEach, expect, test, vi } from "vitest";
import { allowOwnScripts, isOwnScript } from "../src/trusted-types";

afterEach(() => vi.unstubAllGlobals());

const PAGE = "https://dm.example/conversations/1";

test("a script of our build is ours", () => {
  expect(isOwnScript("/assets/frame-worker-dyhiM2fa.js", PAGE)).toBe(true);
});

test.each([
  "https://evil.example/a.js",
  "//evil.example/a.js",
  "data:text/javascript,1//.js",
  "blob:https://dm.example/a.js",
  "javascript:1//.js",
  "/assets/picture.svg",
  "/a.js?x=1",
])("%s is not", (address) => {
  expect(isOwnScript(address, PAGE)).toBe(false);
});

test("the policy is the one that the page's headers allow", () => {
  const made: string[] = [];
  vi.stubGlobal("trustedTypes", { createPolicy: (name: string) => made.push(name) });
  allowOwnScripts();
  const headers = readFileSync(new URL("../core.py", import.meta.url), "utf8");
  expect(made.map((name) => `"trusted-types ${name}"`).filter((line) => headers.includes(line))).toHaveLength(1);
});
