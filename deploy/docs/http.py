"""The JSON API on the site: a page with all of its paths, and the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator

from deploy.envoy import descriptors, openapi
from deploy.envoy.paths import operations

# Both by their places on the site.
PAGE, DOCUMENT = "reference/http.md", "reference/openapi.json"

_HEAD = """# JSON over HTTP

All operations in [one OpenAPI document](openapi.json), which the edge serves at `/openapi.json` too. What stands in
braces is a part of the path; with GET and DELETE the other fields are the query, else the JSON body. Each name leads to
what the operation does, who may call it and how it fails. [Your first client](../start/first-client.md#protocols) has
what holds for all.
"""


def page() -> str:
    """The paths by service, as Markdown."""
    return "\n".join([_HEAD, *_tables()]) + "\n"


def document() -> str:
    """The document, as the edge serves it, to be read by people too."""
    return json.dumps(openapi.document(descriptors.read()), indent=1)


def _tables() -> Iterator[str]:
    service = ""
    for operation in operations():
        if operation.service != service:
            service = operation.service
            yield f"\n## {service.rpartition('.')[2]}\n\n| method | path | what |\n|---|---|---|"
        package, short = service.split(".")[1], service.rpartition(".")[2]
        link = f"[{operation.rpc}](api/{package}.md#{short.lower()}{operation.rpc.lower()})"
        yield f"| {operation.method} | `{operation.path}` | {link} |"
