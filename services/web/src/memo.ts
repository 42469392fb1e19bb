import { Component, type FunctionComponent, h, type VNode } from "preact";
import { useLayoutEffect, useReducer, useRef } from "preact/hooks";
import type { Subscribable } from "./hooks";

/** Equal fields, by identity. */
function sameFields(one: object, other: object): boolean {
  const [before, after] = [Object.entries(one), other as Readonly<Record<string, unknown>>];
  return before.length === Object.keys(after).length && before.every(([name, value]) => Object.hasOwn(after, name) && Object.is(value, after[name]));
}

/** The component, drawn again only when what it is given has changed, or for a change of its own. */
export function memo<P extends object>(Drawn: FunctionComponent<P>): new (props: P) => Component<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: P): boolean {
      return !sameFields(this.props, next);
    }

    override render(): VNode {
      return h(Drawn as FunctionComponent<object>, this.props);
    }
  };
}

/** What `read` finds, flat. Draws again when a change of the source has changed one of its fields. */
export function useFacts<T extends object>(source: Subscribable, read: () => T): T {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const facts = read();
  const latest = useRef({ facts, read });
  latest.current = { facts, read };
  useLayoutEffect(() => {
    const look = (): void => {
      if (!sameFields(latest.current.facts, latest.current.read())) redraw(undefined);
    };
    // What changed between drawing and subscribing would otherwise stay unseen.
    look();
    return source.subscribe(look);
  }, [source]);
  return facts;
}
