import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ParleyClient } from "@parley/client";
import { t } from "./text";

interface WindowProps {
  readonly client: ParleyClient;
  readonly onClose: () => void;
}

/** A window that few open: its code comes when somebody does. Where it cannot be loaded, that is said, and the window counts as closed. */
export function lazyWindow<Props extends WindowProps>(load: () => Promise<(props: Props) => JSX.Element>): (props: Props) => JSX.Element | null {
  return function LazyWindow(props: Props) {
    const [loaded, setLoaded] = useState<{ readonly Window: (props: Props) => JSX.Element } | undefined>(undefined);
    useEffect(() => {
      load().then(
        (Window) => setLoaded({ Window }),
        () => {
          props.client.showNotice(t("wrong"));
          props.onClose();
        },
      );
    }, []);
    return loaded ? <loaded.Window {...props} /> : null;
  };
}
