/** The components as custom elements, for pages that are not written in React. They draw into the page itself, so that its style sheets reach them. */
import type { Folder, ParleyClient } from "@parley/client";
import type { ReactElement } from "react";
import { createRoot, type Root } from "react-dom/client";
import { Call, CallButtons, Composer, ConversationList, ParleyProvider, type ParleyProviderProps, Thread } from "./index.js";
import { followPage } from "./page.js";

type Words = Pick<ParleyProviderProps, "labels" | "locale">;

interface Drawing {
  readonly attributes: readonly string[];
  readonly draw: (element: HTMLElement) => ReactElement;
}

const idOf = (element: HTMLElement): string => element.getAttribute("conversation-id") ?? "";

const DRAWINGS: Readonly<Record<string, Drawing>> = {
  "parley-conversation-list": {
    attributes: ["selected", "folder"],
    draw: (element) => {
      const select = (detail: string): boolean => element.dispatchEvent(new CustomEvent("parley-select", { detail, bubbles: true }));
      const folder = (element.getAttribute("folder") ?? "inbox") as Folder;
      return <ConversationList selected={element.getAttribute("selected") ?? undefined} folder={folder} onSelect={select} />;
    },
  },
  "parley-thread": { attributes: ["conversation-id"], draw: (element) => <Thread conversationId={idOf(element)} /> },
  "parley-composer": { attributes: ["conversation-id"], draw: (element) => <Composer conversationId={idOf(element)} /> },
  "parley-call-buttons": { attributes: ["conversation-id"], draw: (element) => <CallButtons conversationId={idOf(element)} /> },
  "parley-call": { attributes: [], draw: () => <Call /> },
};

const shown = new Map<HTMLElement, { readonly root: Root; readonly draw: Drawing["draw"] }>();
let given: { readonly client: ParleyClient; readonly words: Words } | undefined;
let unfollow: (() => void) | undefined;

/** Gives the elements of this page a client, which the page makes and starts; undefined after a logout. Defines them the first time. */
export function connectElements(client: ParleyClient | undefined, words: Words = {}): void {
  unfollow?.();
  unfollow = client && followPage(client);
  given = client && { client, words };
  for (const [name, drawing] of Object.entries(DRAWINGS)) if (!customElements.get(name)) customElements.define(name, elementOf(drawing));
  for (const element of shown.keys()) redraw(element);
}

function redraw(element: HTMLElement): void {
  const { root, draw } = shown.get(element) ?? {};
  root?.render(<ParleyProvider client={given?.client} page={false} {...given?.words}>{draw?.(element)}</ParleyProvider>);
}

function elementOf({ attributes, draw }: Drawing): CustomElementConstructor {
  return class extends HTMLElement {
    static readonly observedAttributes = attributes;

    connectedCallback(): void {
      shown.set(this, { root: createRoot(this), draw });
      redraw(this);
    }

    disconnectedCallback(): void {
      shown.get(this)?.root.unmount();
      shown.delete(this);
    }

    attributeChangedCallback(): void {
      redraw(this);
    }
  };
}
