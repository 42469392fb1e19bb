import type { JSX } from "preact";
import { lineOf, type Problem } from "./text";

/** What went wrong, read out as soon as it is there. The place stays while there is nothing, so that it is heard. */
export function ProblemLine({ problem }: { readonly problem: Problem }): JSX.Element {
  return (
    <p class="problem" role="alert">
      {lineOf(problem)}
    </p>
  );
}
