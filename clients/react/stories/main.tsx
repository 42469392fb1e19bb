/** All stories in one page; `#Thread/Group` shows one. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import "../src/style.css";
import { allStories } from "./all.js";

const stories = allStories();
const chosen = decodeURIComponent(location.hash.slice(1));
addEventListener("hashchange", () => location.reload());

createRoot(document.getElementById("names") as HTMLElement).render(
  <p>
    <a href="#">All</a>
    {stories.map(({ name }) => (
      <span key={name}>
        {" "}
        <a href={`#${name}`}>{name}</a>
      </span>
    ))}
  </p>,
);
createRoot(document.getElementById("stories") as HTMLElement).render(
  <StrictMode>
    {stories
      .filter(({ name }) => !chosen || name === chosen)
      .map(({ name, render: Render }) => (
        <section key={name} aria-label={name}>
          <h2>{name}</h2>
          <Render />
        </section>
      ))}
  </StrictMode>,
);
