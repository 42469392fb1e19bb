import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { People, type PeopleResolver, type Profile } from "../src/people.js";

let asked: string[][];
let answer: PeopleResolver;
let changes: number;

beforeEach(() => {
  vi.useFakeTimers();
  [asked, changes] = [[], 0];
  answer = (ids) => Promise.resolve(Object.fromEntries(ids.map((id) => [id, { name: id.toUpperCase(), avatarUrl: `/faces/${id}.png` }])));
});
afterEach(() => void vi.useRealTimers());

const people = (): People =>
  new People((ids) => {
    asked.push([...ids]);
    return answer(ids);
  }, () => void changes++);
const settled = () => vi.advanceTimersByTimeAsync(0);

describe("names and pictures", () => {
  test("are asked for together, once, and come with a change", async () => {
    const all = people();
    expect(["bob", "carol", "bob"].map((id) => all.nameOf(id))).toEqual(["bob", "carol", "bob"]);
    await settled();
    expect([all.nameOf("bob"), all.avatarOf("carol")]).toEqual(["BOB", "/faces/carol.png"]);
    await settled();
    expect(asked).toEqual([["bob", "carol"]]);
    expect(changes).toBe(1);
  });

  test("of many people are asked for in several questions", async () => {
    const all = people();
    for (let i = 0; i < 250; i++) all.of(`u${i}`);
    await settled();
    expect(asked.map((ids) => ids.length)).toEqual([100, 100, 50]);
  });

  test("are not asked for twice while an answer is on its way", async () => {
    let tell: (found: Record<string, Profile>) => void = () => undefined;
    answer = () => new Promise((resolve) => (tell = resolve));
    const all = people();
    all.of("bob");
    await settled();
    all.of("bob");
    await settled();
    tell({ bob: { name: "Bob" } });
    await settled();
    expect(all.of("bob")).toMatchObject({ name: "Bob", avatarUrl: "" });
    expect(asked).toHaveLength(1);
  });

  test("are asked for again after an hour, and the old ones stay meanwhile", async () => {
    const all = people();
    all.of("bob");
    await settled();
    answer = () => Promise.resolve({ bob: { name: "Robert" } });
    await vi.advanceTimersByTimeAsync(3_600_001);
    expect(all.nameOf("bob")).toBe("BOB");
    await settled();
    expect(all.nameOf("bob")).toBe("Robert");
  });

  test("that cannot be had leave the ids, or what was known, and are tried again later when somebody looks", async () => {
    answer = () => Promise.reject(new TypeError("offline"));
    const all = people();
    all.of("bob");
    await settled();
    all.of("bob");
    await settled();
    expect([all.nameOf("bob"), asked.length]).toEqual(["bob", 1]);
    answer = () => Promise.resolve({ bob: { name: "Bob" } });
    await vi.advanceTimersByTimeAsync(30_001);
    all.of("bob");
    await settled();
    answer = () => Promise.reject(new TypeError("offline"));
    await vi.advanceTimersByTimeAsync(3_600_001);
    all.of("bob");
    await settled();
    expect(all.nameOf("bob")).toBe("Bob");
  });

  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["no object", null],
    ["others", { carol: { name: "Carol" } }],
    ["a name that is none", { bob: { name: 7 } }],
    ["nobody", { bob: null }],
  ])("of a function that says %s leave the id", async (_, told) => {
    answer = () => Promise.resolve(told as Record<string, Profile>);
    const all = people();
    all.of("bob");
    await settled();
    expect(all.nameOf("bob")).toBe("bob");
  });

  test("of a function that throws at once, too", async () => {
    answer = () => {
      throw new Error("broken");
    };
    const all = people();
    all.of("bob");
    await settled();
    expect(all.nameOf("bob")).toBe("bob");
  });

  test("of ids that every object has are those of people", async () => {
    answer = () => Promise.resolve({});
    const all = people();
    all.of("constructor");
    await settled();
    expect(all.nameOf("constructor")).toBe("constructor");
  });

  test("do not turn the direction of reading", async () => {
    answer = () => Promise.resolve({ bob: { name: "Bob\u202egpj" } });
    const all = people();
    all.of("bob");
    await settled();
    expect(all.nameOf("bob")).not.toContain("\u202e");
  });

  test("without a function there are ids, and nothing is asked", async () => {
    const all = new People(undefined, () => void changes++);
    expect([all.nameOf("bob"), all.avatarOf("bob")]).toEqual(["bob", ""]);
    await settled();
    expect(changes).toBe(0);
  });

  test("that were kept are shown at once, and asked for again", async () => {
    const all = people();
    all.restore([{ userId: "bob", name: "Bob", avatarUrl: "" }]);
    expect(all.nameOf("bob")).toBe("Bob");
    await settled();
    expect(all.nameOf("bob")).toBe("BOB");
    expect(all.kept()).toBe(all.kept());
    expect(all.kept()).toEqual([{ userId: "bob", name: "BOB", avatarUrl: "/faces/bob.png" }]);
  });

  test("of too many people do not pile up", async () => {
    const all = people();
    for (let i = 0; i < 2500; i++) all.of(`u${i}`);
    await settled();
    expect(all.kept()).toHaveLength(2000);
  });
});
