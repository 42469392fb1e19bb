import { ParleyClient } from "@parley/client";
import { MockBackend } from "@parley/client/testing";
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, vi } from "vitest";

/** Polls until the condition holds; fails with `what` after half a minute. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  await vi.waitFor(
    () => {
      if (!condition()) throw new Error(`never happened: ${what}`);
    },
    { timeout: 30_000, interval: 5 },
  );
}

/** Takes away what is drawn. Its effects would end a moment later, when the file's tests, and with them the document, may be over. */
export function unmount(box: Element): void {
  void act(() => render(null, box));
}

function fakeStorage(): Pick<Storage, "getItem" | "setItem" | "removeItem"> {
  const kept = new Map<string, string>();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value), removeItem: (key) => void kept.delete(key) };
}

export interface World {
  backend: MockBackend;
  /** A client of this user, started; stopped after the test. */
  client(userId: string): ParleyClient;
}

/** A backend and clients for each test of a file. */
export function useWorld(): World {
  let clients: ParleyClient[] = [];
  const world: World = {
    backend: new MockBackend(),
    client(userId) {
      const tokens = () => Promise.resolve({ value: "t", userId, expiresMs: Number.POSITIVE_INFINITY });
      const api = world.backend.apiFor(userId);
      const client = new ParleyClient({ userId, deviceId: `device-of-${userId}`, tokens, api, baseUrl: "", storage: fakeStorage() });
      clients.push(client);
      client.start();
      return client;
    },
  };
  beforeEach(() => {
    world.backend = new MockBackend();
    clients = [];
  });
  afterEach(() => {
    for (const client of clients) client.stop();
  });
  return world;
}
