import type { ComponentChildren, JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { Icon } from "./icons";
import { t } from "./text";

interface DropAreaProps {
  readonly class: string;
  readonly label: string;
  readonly enabled: boolean;
  readonly onFiles: (files: readonly File[]) => void;
  readonly children: ComponentChildren;
}

/** Takes files that are dropped on it, and shows that while they hover. */
export function DropArea({ class: name, label, enabled, onFiles, children }: DropAreaProps): JSX.Element {
  const [over, setOver] = useState(false);
  // Entering a child comes before leaving its parent.
  const depth = useRef(0);
  const hasFiles = (event: DragEvent): boolean => enabled && (event.dataTransfer?.types.includes("Files") ?? false);
  const move = (by: number) => (event: DragEvent) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth.current += by;
    setOver(depth.current > 0);
  };
  const drop = (event: DragEvent): void => {
    depth.current = 0;
    setOver(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    onFiles([...(event.dataTransfer?.files ?? [])]);
  };
  return (
    <section class={name} aria-label={label} onDragEnter={move(1)} onDragLeave={move(-1)} onDragOver={(event) => hasFiles(event) && event.preventDefault()} onDrop={drop}>
      {children}
      {over && (
        <div class="drop-hint" aria-hidden="true">
          <Icon name="clip" />
          {t("drop.files")}
        </div>
      )}
    </section>
  );
}
