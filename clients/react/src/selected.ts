/** Reading a client whose values change in place: a component is drawn again only when what it reads has changed. */
import type { ParleyClient } from "@parley/client";
import { useCallback, useMemo, useSyncExternalStore } from "react";
import { useParley } from "./provider.js";

/** Whether two readings say the same. The earlier one then stays, so that its identity does not change. */
export type Same<T> = (before: T, after: T) => boolean;

/**
 * What `read` finds in the client, after each change of it. `read` belongs to `key`: another key reads anew. On a server, and
 * while a page of it is taken over, it is `blank`, which has to keep its identity.
 */
export function useSelected<T>(read: (client: ParleyClient, before: T | undefined) => T, same: Same<T>, blank: T, key = ""): T {
  const client = useParley();
  const snapshot = useMemo(() => {
    let last: { readonly value: T } | undefined;
    return (): T => {
      const value = read(client, last?.value);
      if (!last || !same(last.value, value)) last = { value };
      return last.value;
    };
    // `read` and `same` are written in the hook that calls this one: what they depend on is the key.
  }, [client, key]);
  const subscribe = useCallback((listener: () => void) => client.subscribe(listener), [client]);
  return useSyncExternalStore(subscribe, snapshot, () => blank);
}

/** Equal members, in the same order. */
export function sameItems<T>(before: readonly T[], after: readonly T[], same: Same<T> = Object.is): boolean {
  return before === after || (before.length === after.length && before.every((item, i) => same(item, after[i] as T)));
}

/** Equal fields. */
export function sameFields<T extends object>(before: T | undefined, after: T | undefined, same: Partial<{ [K in keyof T]: Same<T[K]> }> = {}): boolean {
  if (before === after) return true;
  if (!before || !after) return false;
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof T>;
  return [...keys].every((key) => (same[key] ?? Object.is)(before[key], after[key]));
}
