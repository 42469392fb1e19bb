import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Late } from "../src/late.js";

describe("a part whose code comes later", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** What browsers say of a module that they do not get. */
  const unreached = () => Promise.reject(new TypeError("Failed to fetch dynamically imported module"));

  test("is loaded once, however many ask at once", async () => {
    const load = vi.fn(async () => ({ heard: [] as string[] }));
    const late = new Late(load);
    expect(late.part).toBeUndefined();
    const [one, other] = await Promise.all([late.get(), late.get()]);
    expect([one === other, late.part === one, load.mock.calls.length]).toEqual([true, true, 1]);
  });

  test("that cannot be loaded fails as a request does without a network, and the next call tries again", async () => {
    const load = vi.fn(async () => "part").mockImplementationOnce(unreached);
    const late = new Late(load);
    await expect(late.get()).rejects.toMatchObject({ code: "unavailable", transient: true });
    expect(late.part).toBeUndefined();
    expect(await late.get()).toBe("part");
  });

  test("hears what was told before it was there, and after it at once", async () => {
    const heard: string[] = [];
    const late = new Late(vi.fn(async () => heard).mockImplementationOnce(unreached).mockImplementationOnce(unreached));
    late.tell((part) => part.push("first"));
    await vi.runAllTimersAsync();
    expect(heard).toEqual(["first"]);
    late.tell((part) => part.push("second"));
    expect(heard).toEqual(["first", "second"]);
  });
});
