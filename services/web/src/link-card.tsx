import type { ComponentChildren, JSX } from "preact";
import type { LinkPreview } from "@parley/client";
import { targetOf } from "@parley/client";
import { Icon } from "./icons";
import { t } from "./text";

/**
 * What its sender says is behind a link, in words alone: nothing is fetched from there before somebody follows it. The host that
 * opens comes first, in ASCII, so that nothing of what is claimed can stand in its place.
 */
export function LinkCard({ preview }: { preview: LinkPreview }): JSX.Element | null {
  const target = targetOf("", preview.url);
  if (!target) return null;
  return (
    <a class="link-card" href={target.href} target="_blank" rel="noopener noreferrer">
      <CardWords preview={preview} host={target.host} />
    </a>
  );
}

/** The same of what one writes, with a way to leave it out. */
export function LinkDraft({ preview, onDrop }: { preview: LinkPreview; onDrop: () => void }): JSX.Element {
  return (
    <div class="link-draft" role="group" aria-label={t("link.preview")}>
      <div class="link-card">
        <CardWords preview={preview} host={targetOf("", preview.url)?.host} />
      </div>
      <button type="button" class="icon-button" aria-label={t("link.preview.drop")} title={t("link.preview.drop")} onClick={onDrop}>
        <Icon name="close" />
      </button>
    </div>
  );
}

function CardWords({ preview, host }: { preview: LinkPreview; host: ComponentChildren }): JSX.Element {
  const { title, description, siteName } = preview;
  return (
    <>
      <span class="link-card-site">
        <bdi dir="ltr">{host}</bdi>
        {siteName && (
          <>
            {" · "}
            <bdi>{siteName}</bdi>
          </>
        )}
      </span>
      <strong class="link-card-title" dir="auto">
        {title}
      </strong>
      {description && (
        <span class="link-card-words" dir="auto">
          {description}
        </span>
      )}
    </>
  );
}
