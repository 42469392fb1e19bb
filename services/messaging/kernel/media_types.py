"""Media types as browsers and phones write them, and the one name of each (RFC 9110, section 8.3.1)."""

import re

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# A type, and parameters, which make no other type of a file: they say how a sound is coded, or the letters of a text.
_MEDIA_TYPE = re.compile(rf"[ \t]*({_NAME}/{_NAME})[ \t]*(?:;.*)?", re.DOTALL)

# What else the types that can be sent are called: older names, names before a registration, and those of systems.
ALIASES = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-citrix-png": "image/png",
    "image/x-citrix-jpeg": "image/jpeg",
    "image/x-webp": "image/webp",
    "image/heic-sequence": "image/heic",
    "image/heif-sequence": "image/heif",
    "image/avif-sequence": "image/avif",
    "audio/x-m4a": "audio/mp4",
    "audio/m4a": "audio/mp4",
    "audio/mp4a-latm": "audio/mp4",
    "audio/x-mp4": "audio/mp4",
    "audio/mp3": "audio/mpeg",
    "audio/x-mp3": "audio/mpeg",
    "audio/mpeg3": "audio/mpeg",
    "audio/x-mpeg-3": "audio/mpeg",
    "audio/x-mpeg": "audio/mpeg",
    "audio/mpg": "audio/mpeg",
    "audio/x-aac": "audio/aac",
    "audio/aacp": "audio/aac",
    "audio/x-hx-aac-adts": "audio/aac",
    "audio/vnd.dlna.adts": "audio/aac",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-pn-wav": "audio/wav",
    "audio/x-ogg": "audio/ogg",
    "audio/opus": "audio/ogg",
    "audio/vorbis": "audio/ogg",
    "application/ogg": "audio/ogg",
    "application/x-ogg": "audio/ogg",
    "audio/x-flac": "audio/flac",
    "audio/x-amr": "audio/amr",
    "audio/amr-nb": "audio/amr",
    "audio/3gp": "audio/3gpp",
    "audio/x-webm": "audio/webm",
    "video/x-m4v": "video/mp4",
    "video/m4v": "video/mp4",
    "video/mp4v-es": "video/mp4",
    "video/x-mp4": "video/mp4",
    "application/mp4": "video/mp4",
    "video/x-quicktime": "video/quicktime",
    "video/mov": "video/quicktime",
    "video/3gp": "video/3gpp",
    "video/x-3gpp": "video/3gpp",
    "audio/3gpp2": "audio/3gpp",
    "video/3gpp2": "video/3gpp",
    "video/x-webm": "video/webm",
    "video/x-matroska": "video/matroska",
    "application/x-pdf": "application/pdf",
    "application/acrobat": "application/pdf",
    "text/pdf": "application/pdf",
    "application/x-zip-compressed": "application/zip",
    "application/x-zip": "application/zip",
    "application/zip-compressed": "application/zip",
    "multipart/x-zip": "application/zip",
    "application/csv": "text/csv",
    "application/x-csv": "text/csv",
    "text/x-csv": "text/csv",
    "text/comma-separated-values": "text/csv",
    "text/x-comma-separated-values": "text/csv",
}

# By the end of the name, for devices that do not know what they send. The first of a type is its usual one.
SUFFIXES = {
    **dict.fromkeys(("jpg", "jpeg", "jpe", "jfif"), "image/jpeg"),
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    **dict.fromkeys(("heic", "heics"), "image/heic"),
    **dict.fromkeys(("heif", "heifs"), "image/heif"),
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "m4b": "audio/mp4",
    "aac": "audio/aac",
    "wav": "audio/wav",
    **dict.fromkeys(("ogg", "oga", "opus"), "audio/ogg"),
    "weba": "audio/webm",
    "flac": "audio/flac",
    "amr": "audio/amr",
    **dict.fromkeys(("mp4", "m4v"), "video/mp4"),
    "webm": "video/webm",
    "mov": "video/quicktime",
    "qt": "video/quicktime",
    "mkv": "video/matroska",
    **dict.fromkeys(("3gp", "3gpp", "3g2"), "video/3gpp"),
    "pdf": "application/pdf",
    **dict.fromkeys(("txt", "text", "log", "md"), "text/plain"),
    "csv": "text/csv",
    "zip": "application/zip",
}
# One form of file under several names: devices call a film without pictures a film, and text with commas text.
_FORMS = (
    frozenset({"audio/mp4", "audio/aac", "audio/3gpp", "video/mp4", "video/quicktime", "video/3gpp"}),
    frozenset({"audio/webm", "video/webm", "video/matroska"}),
    frozenset({"image/heic", "image/heif"}),
    frozenset({"text/plain", "text/csv"}),
)
# Devices say this of a file of which they know nothing.
_UNKNOWN = (
    "",
    "application/octet-stream",
    "binary/octet-stream",
    "application/x-download",
    "application/force-download",
)
# Windows with Excel says this of CSV files.
_EXCEL = "application/vnd.ms-excel"


def media_type(value: str, file_name: str) -> str | None:
    """The one name of a file's type: in lower case, without parameters and aliases; None for what is no media type.

    Where the device knows nothing of the file ("", application/octet-stream), the end of the name decides.
    """
    match = _MEDIA_TYPE.fullmatch(value)
    if match is None and value.strip():
        return None
    name = match.group(1).lower() if match else ""
    suffix = file_name.rpartition(".")[2].lower() if "." in file_name else ""
    if name in _UNKNOWN:
        return SUFFIXES.get(suffix, name or "application/octet-stream")
    if name == _EXCEL and suffix == "csv":
        return "text/csv"
    return ALIASES.get(name, name)


def alike(name: str) -> frozenset[str]:
    """The types that are of one form with this one, itself among them."""
    return next((form for form in _FORMS if name in form), frozenset({name}))
