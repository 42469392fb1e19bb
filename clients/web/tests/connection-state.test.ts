import { describe, expect, test } from "vitest";
import type { ConnectionInput, ConnectionPhase } from "../src/core/connection-state.js";
import { stepConnection } from "../src/core/connection-state.js";

function run(inputs: ConnectionInput[], from: ConnectionPhase = "idle") {
  const effects: string[] = [];
  let phase = from;
  for (const input of inputs) {
    const step = stepConnection(phase, input);
    phase = step.next;
    effects.push(...step.effects);
  }
  return { phase, effects };
}

describe("media link", () => {
  test("a short interruption heals without a new connection", () => {
    const { phase, effects } = run(["join", "connected", "disconnected", "connected"]);
    expect(phase).toBe("connected");
    expect(effects).not.toContain("rejoin");
  });

  test("a long interruption joins again", () => {
    expect(run(["join", "connected", "disconnected", "grace_over"])).toMatchObject({ phase: "rejoining" });
  });

  test("a failed connection joins again at once", () => {
    expect(run(["failed"], "connected")).toEqual({ phase: "rejoining", effects: ["rejoin"] });
  });

  test("attempts go on with waits between them until one connects", () => {
    const { phase, effects } = run(["join", "join_failed", "retry_due", "join_failed", "retry_due", "connected"]);
    expect(phase).toBe("connected");
    expect(effects.filter((e) => e === "schedule_retry")).toHaveLength(2);
  });

  test.each<ConnectionPhase>(["rejoining", "waiting"])("the old path that comes back while %s ends the attempt", (phase) => {
    expect(run(["connected"], phase)).toEqual({ phase: "connected", effects: ["stop_timers", "abandon_attempt"] });
  });

  test("close ends every phase, and nothing starts after it", () => {
    for (const phase of ["idle", "joining", "connected", "interrupted", "rejoining", "waiting"] as const) {
      expect(stepConnection(phase, "close").next).toBe("closed");
    }
    expect(run(["join", "connected", "retry_due", "failed"], "closed")).toEqual({ phase: "closed", effects: [] });
  });
});
