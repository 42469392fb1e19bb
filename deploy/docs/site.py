"""What MkDocs is told beyond mkdocs.yml: pages from outside of docs/, generated pages, and where links lead.

MkDocs calls `on_files` before it builds the navigation, and `on_page_markdown` for each page. With `--strict` each
warning from here fails the build.
"""

from __future__ import annotations

import fnmatch
import logging
from typing import Any

from mkdocs.structure.files import File, Files

from deploy.docs import api, configuration, http, webhook_events
from deploy.docs.pages import ROOT, site_path, sources, unknown_names, with_links
from deploy.whole_files import write_whole

_log = logging.getLogger("mkdocs.plugins.parley")
# Written for the site only; kept there for people who want to read them without it.
_GENERATED = ROOT / "build" / "docs"
# No lines of these are claims about files that must be there.
_HISTORY = ("CHANGELOG.md",)


def on_files(files: Files, config: Any) -> Files:
    """Add the Markdown that stands beside the code, and what is generated; fill the patterns of the navigation."""
    for source in sources():
        if not source.startswith("docs/"):
            files.append(File.generated(config, site_path(source), abs_src_path=str(ROOT / source)))
    for picture in (*sorted(ROOT.glob("deploy/observability/pictures/*.svg")), ROOT / "services/web/screenshot.png"):
        files.append(File.generated(config, str(picture.relative_to(ROOT)), abs_src_path=str(picture)))
    for name, text in generated().items():
        path = _GENERATED / name
        write_whole(path, text)
        files.append(File.generated(config, name, abs_src_path=str(path)))
    files.append(File.generated(config, http.DOCUMENT, content=http.document()))
    config.nav = _filled(config.nav, sorted(file.src_uri for file in files.documentation_pages()))
    return files


def generated() -> dict[str, str]:
    """The pages that nobody writes, by their place on the site."""
    api_pages = {f"reference/api/{name}": text for name, text in api.pages().items()}
    pages = {
        "reference/configuration.md": configuration.page(),
        "reference/webhook-events.md": webhook_events.page(),
        http.PAGE: http.page(),
    }
    return pages | api_pages


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001 - MkDocs names them
    """Make links lead to pages of the site; warn of what leads nowhere, and of tests that are not there."""
    places = {source: site_path(source) for source in sources()}
    places |= {picture: picture for picture in (file.src_uri for file in files if not file.is_documentation_page())}
    # Those of docs/ are named by their place there.
    places |= {f"docs/{place}": place for place in list(places.values()) if (ROOT / "docs" / place).is_file()}
    source = next((name for name, place in places.items() if place == page.file.src_uri), "")
    if not source:
        return markdown
    for name in unknown_names(markdown) if source not in _HISTORY else ():
        _log.warning("%s names %s, which is not there", source, name)
    return with_links(markdown, source, places, _log.warning)


def _filled(nav: Any, pages: list[str]) -> Any:
    """The navigation with each pattern (`runbooks/*.md`) replaced by the pages that fit it."""
    if isinstance(nav, dict):
        return {title: _filled(part, pages) for title, part in nav.items()}
    if isinstance(nav, list):
        filled: list[Any] = []
        for part in nav:
            fits = fnmatch.filter(pages, part) if isinstance(part, str) and "*" in part else None
            filled.extend(fits if fits is not None else [_filled(part, pages)])
        return filled
    return nav
