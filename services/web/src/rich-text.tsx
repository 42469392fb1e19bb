import type { JSX } from "preact";
import type { Entity } from "@parley/client";
import { segments, targetOf } from "@parley/client";

interface RichTextProps {
  readonly text: string;
  readonly entities: readonly Entity[];
  readonly selfId: string;
}

/**
 * A text with its mentions and links. Only http and https become links; the page that opens learns nothing of this one. The
 * host that opens can always be read: where the text does not have it, it is shown beside it. No part turns the direction of
 * reading of another.
 */
export function RichText({ text, entities, selfId }: RichTextProps): JSX.Element {
  if (entities.length === 0) return <>{text}</>;
  return (
    <>
      {segments(text, entities).map((part, i) => {
        const target = part.url && targetOf(part.text, part.url);
        if (target) {
          return (
            <a key={i} href={target.href} target="_blank" rel="noopener noreferrer" title={target.host}>
              <bdi>{part.text}</bdi>
              {!target.hostInText && <span class="link-host"> ({target.host})</span>}
            </a>
          );
        }
        if (part.mention === undefined) return part.text;
        return (
          <span key={i} class={`mention ${part.mention === selfId ? "of-me" : ""}`}>
            <bdi>{part.text}</bdi>
          </span>
        );
      })}
    </>
  );
}
