"""Which file answers which request, and with which headers."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

INDEX = "/index.html"

CONTENT_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "map": "application/json",
    "webmanifest": "application/manifest+json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "wav": "audio/wav",
    "wasm": "application/wasm",
    "txt": "text/plain; charset=utf-8",
}

# The build puts files under /assets/ whose names change with their content, so a copy never grows old.
HASHED_FOLDER = "/assets/"
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"


def security_headers(objects_origin: str, sticker_hosts: Sequence[str]) -> dict[str, str]:
    """What every answer bears. `objects_origin`: where attachments are put and fetched; empty for our own origin.
    `sticker_hosts`: where pictures of stickers are fetched."""
    return {
        "Content-Security-Policy": content_security_policy(objects_origin, sticker_hosts),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        # No page of another origin takes our files in. There is no Cross-Origin-Embedder-Policy: attachments come from
        # the object store's origin, whose answers bear none of these headers.
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
    }


def content_security_policy(objects_origin: str, sticker_hosts: Sequence[str]) -> str:
    """https://www.w3.org/TR/CSP3/: nothing but our own code runs, workers among it, and it speaks to our own origin and
    the objects'. Pictures come from the stickers' hosts, too."""
    objects = f" {objects_origin}" if objects_origin else ""
    stickers = "".join(f" https://{host}" for host in sticker_hosts)
    return "; ".join(
        (
            "default-src 'self'",
            f"connect-src 'self'{objects}",
            f"img-src 'self' blob: data:{objects}{stickers}",
            f"media-src 'self' blob: mediastream:{objects}",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            # https://www.w3.org/TR/trusted-types/: no string becomes HTML or code. The one policy lets the worker of
            # encrypted calls begin (src/trusted-types.ts).
            "require-trusted-types-for 'script'",
            "trusted-types default",
        )
    )


@dataclass(frozen=True)
class Asset:
    """A file of the client, ready to be sent."""

    body: bytes
    content_type: str
    cache_control: str
    etag: str


def make_asset(path: str, body: bytes) -> Asset:
    """The asset of a file; `path` is absolute within the client, such as /assets/app-1f2e.js."""
    suffix = path.rpartition(".")[2].lower()
    return Asset(
        body=body,
        content_type=CONTENT_TYPES.get(suffix, "application/octet-stream"),
        cache_control=IMMUTABLE if path.startswith(HASHED_FOLDER) else REVALIDATE,
        etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
    )


def asset_for(assets: Mapping[str, Asset], path: str) -> Asset | None:
    """The asset for a request's path; None when there is none.

    A path is only ever looked up among the files of the build, so nothing outside can be reached. A path without a
    suffix gets the page of this name (/playground). Any other that looks like a page of the client gets the client
    itself, which finds out what to show.
    """
    found = assets.get(path) or assets.get(f"{path}.html")
    if found:
        return found
    is_page = "." not in path.rpartition("/")[2] and not path.startswith(HASHED_FOLDER)
    return assets.get(INDEX) if is_page else None
