import { expect, test } from "vitest";
import { isOwnScript } from "../src/trusted-types";

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
