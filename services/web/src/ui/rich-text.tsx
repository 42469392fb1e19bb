import type { JSX } from "preact";
import type { Entity } from "../parley";
import { segments } from "../parley";

interface RichTextProps {
  readonly text: string;
  readonly entities: readonly Entity[];
  readonly selfId: string;
}

/** A text with its mentions and links. Only http and https become links; the page that opens learns nothing of this one. */
export function RichText({ text, entities, selfId }: RichTextProps): JSX.Element {
  if (entities.length === 0) return <>{text}</>;
  return (
    <>
      {segments(text, entities).map((part, i) => {
        if (part.url) {
          return (
            <a key={i} href={part.url} target="_blank" rel="noopener noreferrer">
              {part.text}
            </a>
          );
        }
        if (part.mention === undefined) return part.text;
        return (
          <span key={i} class={`mention ${part.mention === selfId ? "of-me" : ""}`}>
            {part.text}
          </span>
        );
      })}
    </>
  );
}
