import { MockBackend } from "@parley/client/testing";
import { expect, test } from "vitest";
import { connectElements } from "../src/elements.js";
import { clientOf, someDays } from "../stories/world.js";
import { until } from "./support.js";

test("a page without React has the list, a thread and a composer as elements, for one user after another", async () => {
  const backend = new MockBackend();
  const ids = someDays(backend);
  const [alice, bob] = [clientOf(backend, "alice"), clientOf(backend, "bob")];
  for (const client of [alice, bob]) void client.start();
  await until("both have everything", () => alice.current && bob.current);
  document.body.innerHTML = `<parley-conversation-list></parley-conversation-list><parley-thread></parley-thread><parley-composer></parley-composer>`;
  connectElements(alice);
  const [list, thread, composer] = [...document.body.children] as [HTMLElement, HTMLElement, HTMLElement];
  document.addEventListener("parley-select", (event) => {
    for (const element of [thread, composer]) element.setAttribute("conversation-id", (event as CustomEvent<string>).detail);
    list.setAttribute("selected", (event as CustomEvent<string>).detail);
  });
  const row = await until("the list is there", () => list.querySelector<HTMLElement>(`[data-conversation="${ids.hike}"]`));
  row.click();
  await until("the thread is open", () => thread.textContent?.includes("Shall we take the ridge") && composer.querySelector("textarea"));
  expect(list.querySelector("[aria-selected=true]")).toBe(row);
  connectElements(undefined);
  await until("nothing is left of Alice", () => document.body.textContent === "");
  connectElements(bob);
  await until("Bob has his own", () => thread.textContent?.includes("Shall we take the ridge"));
  document.body.innerHTML = "";
  connectElements(undefined);
  for (const client of [alice, bob]) client.stop();
});
