"""Names of files say what the files are."""

from datetime import timedelta
from unicodedata import normalize
from urllib.parse import unquote

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from services.messaging.attachments.core.uploads import (
    DEFAULT_TYPES,
    UploadPolicy,
    check_attachment,
    content_disposition,
)
from services.messaging.kernel.file_names import (
    MAX_FILE_NAME_CHARS,
    safe_file_name,
    suffixes_of,
)
from services.messaging.kernel.model import Attachment, AttachmentId
from services.messaging.wire.api import attachment_message
from services.runtime.ids import new_id
from tests.support.clock import ManualClock

TURNS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
UNSEEN = "\u00ad\u034f\u115f\u180e\u200b\u2028\u2029\u2060\u2064\u2800\u3164\ufeff\ufff9\U000e0041\x7f\x85"
PROGRAMS = (
    "exe",
    "ExE",
    "scr",
    "lnk",
    "js",
    "html",
    "svg",
    "apk",
    "ps1",
    "desktop",
    "ｅｘｅ",
    "e\u200bxe",
    "e\u200dxe",
    "exe ",
)
DOTS = ".\uff0e\u3002\uff61\u2024\ufe52"


def file(name: str, content_type: str = "application/zip") -> Attachment:
    return Attachment(AttachmentId(new_id(ManualClock().now())), name, content_type, 10, 0, 0, timedelta(0))


@pytest.mark.parametrize(
    ("name", "content_type", "kept"),
    [
        ("setup.exe", "application/zip", "setup_exe.zip"),
        ("Setup.ExE", "image/png", "Setup_ExE.png"),
        ("report\u202efdp.exe", "application/pdf", "reportfdp_exe.pdf"),
        ("invoice.pdf.exe", "application/pdf", "invoice_pdf_exe.pdf"),
        ("invoice.pdf.lnk", "application/zip", "invoice_pdf_lnk.zip"),
        ("x.exe.", "application/pdf", "x_exe.pdf"),
        ("x.exe . .", "application/pdf", "x_exe.pdf"),
        ("x\uff0eexe", "application/zip", "x_exe.zip"),
        ("photo.jpg" + " " * 40 + ".exe", "image/jpeg", "photo_jpg _exe.jpg"),
        ("page.html", "text/plain", "page_html.txt"),
        ("x.svg", "image/png", "x_svg.png"),
        ("desktop.ini", "text/plain", "desktop_ini.txt"),
        (".htaccess", "text/plain", "htaccess.txt"),
        ("notes.txt:setup.exe", "text/plain", "notes.txt_setup_exe.txt"),
        ("a\uff0fb\u2044c.png", "image/png", "a_b_c.png"),
        ("CON", "image/png", "_CON.png"),
        ("nul.png", "image/png", "_nul.png"),
        ("Com1 .x.png", "image/png", "_Com1 .x.png"),
        ("lpt\u00b9.png", "image/png", "_lpt\u00b9.png"),
        ("...", "image/png", "file.png"),
        ("a" + "\u0301" * 60 + ".png", "image/png", "\u00e1" + "\u0301" * 29 + ".png"),
        ("x" * 255, "image/png", "x" * 251 + ".png"),
        ("setup.exe", "application/octet-stream", "setup_exe.bin"),
        ("noname", "audio/3gpp", "noname.3gp"),
        ("cafe\u0301.png", "image/png", "caf\u00e9.png"),
    ],
)
def test_a_name_ends_as_its_type_does(name: str, content_type: str, kept: str) -> None:
    assert safe_file_name(name, content_type) == kept


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("صورة.png", "image/png"),
        ("می\u200cخواهم.txt", "text/plain"),
        ("👩\u200d👩\u200d👧.png", "image/png"),
        ("🏳\ufe0f\u200d🌈.jpeg", "image/jpeg"),
        ("1\ufe0f\u20e3.png", "image/png"),
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f.png", "image/png"),
        ("IMG_1.HEIC", "image/heic"),
        ("clip.mov", "video/mp4"),
        ("voice.webm", "audio/webm"),
        ("release v1.2.zip", "application/zip"),
        ("J.R.R. Tolkien.pdf", "application/pdf"),
        ("notes.md", "text/plain"),
    ],
)
def test_honest_names_of_every_script_stay_as_they_are(name: str, content_type: str) -> None:
    assert safe_file_name(name, content_type) == name


@given(
    name=st.text(
        st.one_of(st.characters(), st.sampled_from([*TURNS, *UNSEEN, *DOTS, *'/\\:*?"<>| ', *"exepdf"])), max_size=300
    ),
    end=st.sampled_from(["", *PROGRAMS]),
    dot=st.sampled_from(DOTS),
    content_type=st.sampled_from([*DEFAULT_TYPES, "application/octet-stream", "application/x-unknown"]),
)
def test_whatever_a_name_was_it_becomes_one_that_hides_nothing(
    name: str, end: str, dot: str, content_type: str
) -> None:
    kept = safe_file_name(f"{name}{dot}{end}", content_type)
    assert safe_file_name(kept, content_type) == kept
    assert normalize("NFC", kept) == kept
    assert 0 < len(kept) <= MAX_FILE_NAME_CHARS
    assert not set(kept) & set(f'{TURNS}{UNSEEN}/\\:*?"<>|\x00')
    assert not regex.search(r"\p{Cc}|[ .]$|^[ .]|\s\s", kept)
    stem, _, last = kept.rpartition(".")
    assert last.lower() in suffixes_of(content_type)
    assert not regex.search(rf"[{DOTS}]\s*(exe|scr|lnk|js|html|svg|apk|ps1|desktop)\s*([{DOTS}]|$)", stem, regex.I)


@pytest.mark.parametrize("name", ["report\u202efdp.exe", "setup.exe", 'a"; filename=x.exe', "é\r\nX: y.exe"])
def test_a_name_that_an_older_release_kept_is_handed_out_as_it_would_be_today(name: str) -> None:
    kept = file(name)
    said = content_disposition(kept)
    assert said.startswith("attachment; ")
    assert said.isascii()
    assert said.isprintable()
    in_full = unquote(said.partition("filename*=UTF-8''")[2])
    assert in_full == attachment_message(kept).file_name == safe_file_name(name, "application/zip")
    assert said.partition('filename="')[2].partition('"')[0].endswith(".zip")


@pytest.mark.parametrize(
    "content_type", ["image/svg+xml", "text/html", "application/pdf", "image/x-tracing", "video/x-flv"]
)
def test_what_is_not_known_to_be_harmless_is_never_shown_in_place(content_type: str) -> None:
    policy = UploadPolicy(types=frozenset({content_type}))
    assert content_disposition(check_attachment(file("a", content_type), policy)).startswith("attachment;")
