import { afterEach, expect, test, vi } from "vitest";
import { ParleyClient } from "../src/client.js";
import { isKnownHere, storedDeviceId } from "../src/device-ids.js";
import { Drafts } from "../src/drafts.js";
import { pageStorage } from "../src/page-storage.js";

afterEach(() => vi.unstubAllGlobals());

/** As browsers have it with blocked cookies, and in frames of other sites. */
const BROWSERS: Record<string, () => void> = {
  "that throws when it is asked for its storages": () => {
    for (const name of ["localStorage", "indexedDB"]) {
      vi.stubGlobal(name, undefined);
      Object.defineProperty(globalThis, name, {
        configurable: true,
        get: () => {
          throw new DOMException("The operation is insecure.", "SecurityError");
        },
      });
    }
  },
  "that has none": () => {
    for (const name of ["localStorage", "indexedDB"]) vi.stubGlobal(name, null);
  },
};

test.each(Object.entries(BROWSERS))("a browser %s is one device until the page is closed", (_, block) => {
  block();
  const device = storedDeviceId("storeless");
  expect(storedDeviceId("storeless")).toBe(device);
  expect(isKnownHere("storeless")).toBe(true);
  expect(isKnownHere("another")).toBe(false);
});

test.each(Object.entries(BROWSERS))("in a browser %s a client starts, and drafts last until the page is closed", (_, block) => {
  block();
  const client = new ParleyClient({ userId: "storeless", deviceId: "device-1", baseUrl: "http://127.0.0.1:1", tokens: () => Promise.reject(new Error("unused")) });
  client.drafts.set("c", "not sent yet");
  expect(client.drafts.get("c")).toBe("not sent yet");
  expect(new Drafts("storeless").get("c")).toBe("not sent yet");
  client.drafts.wipe();
  expect(new Drafts("storeless").get("c")).toBe("");
});

test("where there is no room the device's id lasts until the page is closed", () => {
  const full = { getItem: () => null, setItem: () => { throw new DOMException("full", "QuotaExceededError"); } };
  expect(storedDeviceId("roomless", full)).toBe(storedDeviceId("roomless", full));
});

test("what is not there is null, also by the names that every object has", () => {
  vi.stubGlobal("localStorage", null);
  expect(["constructor", "toString", "nothing"].map((key) => pageStorage().getItem(key))).toEqual([null, null, null]);
});
