"""The beginnings of files of every type that can be sent, and of others, as programs write them."""

import io
import struct
import zipfile
import zlib

EBML = b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82"


def png(size_bytes: int = 0, width: int = 1, height: int = 1) -> bytes:
    """A picture of one colour that every program draws; longer ones carry bytes of no meaning."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\x00" + b"\x80" * width for _ in range(height)))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows)
    end = chunk(b"IEND", b"")
    lacking = size_bytes - len(start) - len(end)
    return start + (chunk(b"paDd", b"\x00" * (lacking - 12)) if lacking >= 12 else b"") + end


def sound(size_bytes: int) -> bytes:
    """The beginning of what a device records in Ogg, and bytes of no meaning."""
    return SAMPLES["audio/ogg"][0].ljust(size_bytes, b"\x00")


def archive(*names: str) -> bytes:
    """A ZIP with these files in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as written:
        for name in names:
            written.writestr(name, "hello")
    return buffer.getvalue()


def brand(major: bytes, *others: bytes) -> bytes:
    """The first box of an ISO base media file, and the head of the next."""
    body = b"ftyp" + major + b"\x00\x00\x02\x00" + b"".join(others)
    return struct.pack(">I", 4 + len(body)) + body + b"\x00\x00\x00\x08moov"


SAMPLES: dict[str, tuple[bytes, ...]] = {
    "image/jpeg": (
        bytes.fromhex("ffd8ffe000104a46494600010100000100010000"),
        bytes.fromhex("ffd8ffe100104578696600004d4d"),
        bytes.fromhex("ffd8ffdb00430001"),
    ),
    "image/png": (png(),),
    "image/gif": (b"GIF89a\x01\x00\x01\x00\x00", b"GIF87a\x01\x00\x01\x00\x00"),
    "image/webp": (b"RIFF\x24\x00\x00\x00WEBPVP8X", b"RIFF\x24\x00\x00\x00WEBPVP8 "),
    "image/avif": (brand(b"avif", b"avif", b"mif1"), brand(b"mif1", b"mif1", b"avif")),
    "image/heic": (brand(b"heic", b"mif1", b"heic"), brand(b"mif1", b"mif1", b"heic")),
    "audio/mpeg": (b"ID3\x03\x00\x00\x00\x00\x00\x00", b"\xff\xfb\x90\x64" + b"\x00" * 50, b"\xff\xf3\x90\x64\x00"),
    "audio/mp4": (brand(b"M4A ", b"M4A ", b"mp42"),),
    "audio/aac": (b"\xff\xf1\x50\x80" + b"\x00" * 9, b"\xff\xf9\x50\x80" + b"\x00" * 9),
    "audio/ogg": (b"OggS\x00\x02" + b"\x00" * 20 + b"\x01\x13OpusHead",),
    "audio/wav": (b"RIFF\x24\x00\x00\x00WAVEfmt ",),
    "audio/webm": (EBML + b"\x84webmB\x87\x81\x04",),
    "audio/flac": (b"fLaC\x00\x00\x00\x22",),
    "audio/amr": (b"#!AMR\n\x3c", b"#!AMR-WB\n\x3c"),
    "video/mp4": (brand(b"isom", b"isom", b"avc1"), brand(b"mp42", b"mp42"), brand(b"iso5"), brand(b"dash")),
    "video/quicktime": (brand(b"qt  ", b"qt  "), b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat"),
    "video/3gpp": (brand(b"3gp4", b"isom", b"3gp4"),),
    "video/matroska": (EBML + b"\x88matroskaB\x87\x81\x04",),
    "application/pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",),
    "text/plain": (
        b"hello",
        "grüße, 你好".encode(),
        "grüße".encode("latin-1"),
        "\ufeffhello".encode("utf-16-le"),
        b"a <b> is no page",
    ),
    "application/zip": (archive("a.txt"), archive()),
}

# What no file of the types above begins with.
OTHERS: dict[str, bytes] = {
    "a program of Windows": b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00",
    "a program of Linux": b"\x7fELF\x02\x01\x01\x00" + b"\x00" * 8,
    "a program of macOS": bytes.fromhex("cffaedfe0700000103000000"),
    "a class of Java": bytes.fromhex("cafebabe00000034"),
    "a shortcut of Windows": bytes.fromhex("4c0000000114020000000000c000000000000046"),
    "a page": b"<!DOCTYPE html><html><script>alert(1)</script>",
    "a page after spaces": b"\xef\xbb\xbf\n  <HTML onload=alert(1)>",
    "a drawing with scripts": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)">',
    "a page in UTF-16": "\ufeff<html>".encode("utf-16-le"),
    "XML": b'<?xml version="1.0"?>\n<svg>',
    "an AVI": b"RIFF\x24\x00\x00\x00AVI LIST",
    "a 7z": b"7z\xbc\xaf'\x1c\x00\x04",
    "a cabinet": b"MSCF\x00\x00\x00\x00",
    "an old Office file": bytes.fromhex("d0cf11e0a1b11ae1") + b"\x00" * 8,
    "a TIFF": b"II*\x00\x08\x00\x00\x00",
    "RTF": b"{\\rtf1\\ansi hello}",
    "a font": b"\x00\x01\x00\x00\x00\x0f\x00\x80",
    "zeros": b"\x00" * 64,
}
