import { type LinkPreview, targetOf } from "@parley/client";
import type { ReactElement } from "react";

/**
 * What its sender says is behind a link, in words alone: nothing is fetched from there before somebody follows it. The host that
 * opens comes first, in ASCII, so that nothing of what is claimed can stand in its place.
 */
export function LinkCard({ preview }: { preview: LinkPreview }): ReactElement | null {
  const target = targetOf("", preview.url);
  if (!target) return null;
  const { title, description, siteName } = preview;
  return (
    <a className="parley-card" href={target.href} target="_blank" rel="noopener noreferrer">
      <span className="parley-card-site">
        <bdi dir="ltr">{target.host}</bdi>
        {siteName && " · "}
        {siteName && <bdi>{siteName}</bdi>}
      </span>
      <strong dir="auto">{title}</strong>
      {description && <span dir="auto">{description}</span>}
    </a>
  );
}
