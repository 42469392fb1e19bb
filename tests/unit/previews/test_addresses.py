"""Which addresses may be asked, by how they are written."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.previews.core.addresses import MAX_URL_CHARS, Address, follow, parse_address
from services.previews.core.errors import AddressNotAllowed


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("https://news.example.org", "news.example.org", "/"),
        ("HTTPS://News.Example.org/A?b=c#d", "news.example.org", "/A?b=c"),
        ("http://example.org:80/", "example.org", "/"),
        ("https://example.org:443?q", "example.org", "/?q"),
        ("https://bücher.example.org/ü", "xn--bcher-kva.example.org", "/%C3%BC"),
        ("https://example.org./a%20b", "example.org", "/a%20b"),
        ("https://example.org/a[1]|\"<'", "example.org", "/a[1]|%22%3C'"),
    ],
)
def test_public_addresses_are_in_one_spelling(url: str, host: str, target: str) -> None:
    address = parse_address(url)
    assert (address.host, address.target) == (host, target)
    assert parse_address(address.url) == address


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.org", "//example.org/", "ftp://example.org/", "file:///etc/passwd", "gopher://example.org/"),
        *("javascript:alert(1)", "https://", "https:///path", "https:example.org", "data:text/html,<title>a</title>"),
        # Credentials, backslashes, escapes, spaces, breaks.
        *("https://a@example.org/", "https://a:b@example.org/", "https://example.org\\@evil.org/"),
        *("https://example.org\\.evil.org/", "https://exa%6dple.org/", "https://example.org/a b", " https://a.org"),
        *(
            "https://example.org/a\nb",
            "https://example.org/\tb",
            "https://example.org/\x00",
            "https://example.org/\ud800",
        ),
        *("https://exa\u200bmple.org\u202e/", "https://example.org/\r\nHost: evil.org"),
        # Other ports, and one for the other scheme is fine by itself.
        *("https://example.org:8443/", "http://example.org:22/", "http://example.org:0/", "http://example.org:99999/"),
        "http://example.org:6379/",
        # Numbers in all forms in which programs read them.
        *("http://127.0.0.1/", "http://8.8.8.8/", "http://127.1/", "http://2130706433/", "http://0x7f000001/"),
        *("http://0x7f.0.0.1/", "http://0177.0.0.1/", "http://017700000001/", "http://0/", "http://0.0.0.0/"),
        *(
            "http://127.0.0.1./",
            "http://127.0x0.1/",
            "http://1.2.3.0x4/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
        ),
        *("http://[::ffff:7f00:1]/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[2606:4700::1111]/"),
        *("http://①②⑦.0.0.1/", "http://127。0。0。1/", "http://１２７.0.0.1/", "http://٣.٣.٣.٣/"),
        *("http://0251.0376.0251.0376/", "http://0xa9.0xfe.0xa9.0xfe/", "http://2852039166/", "http://a.08/"),
        *("http://[::ffff:a9fe:a9fe]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:a9fe:a9fe::]/", "http://a.0x1/"),
        *("http://\u2488com/", "http://1\u2024com/"),
        # Hosts that another program would read elsewhere.
        *("http://example.org%00.evil.org/", "http://example.org%2f@evil.org/", "http://example.org:/"),
        *(
            "http://example.org\uff20evil.org/",
            "http://example.org\uff0fevil.org/",
            "http://example.org\uff03.evil.org/",
        ),
        *(
            "http://example.org:\uff18\uff10/",
            "http://xn--/",
            "http://a.xn--/",
            "http+unix://%2fvar%2frun/",
            "unix:///x",
        ),
        # Names that only a network of one's own knows.
        *("http://localhost/", "http://LOCALHOST/", "http://localhost./", "http://localhost../", "http://a.localhost/"),
        *("http://printer.local/", "http://metadata.google.internal/", "http://metadata.google.internal./"),
        *("http://messaging/", "http://messaging.parley.svc/", "http://messaging.parley.svc.cluster.local/"),
        *("http://router.home.arpa/", "http://wiki.corp/", "http://nas.lan/", "http://x.onion/", "http://a.test/"),
        *("http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "http://kubernetes.default.svc/", "http://1.0.0.127.in-addr.arpa/"),
        # No hosts.
        *("http://-a.org/", "http://a_b.org/", "http://a..org/", "http://.org/", "http://*.org/", "http://a.1/"),
        # Scripts that are mixed to look like another name.
        "http://b\u0430nk.org/",
        f"http://example.org/{'a' * MAX_URL_CHARS}",
    ],
)
def test_all_others_are_refused(url: str) -> None:
    with pytest.raises(AddressNotAllowed):
        parse_address(url)


@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://", "https://example.org"]))
def test_whatever_is_asked_for_is_an_address_or_refused(text: str, before: str) -> None:
    try:
        address = parse_address(before + text)
    except AddressNotAllowed:
        return
    assert address.port in (80, 443)
    assert re.fullmatch(r"/[!-~]*", address.target)
    assert re.fullmatch(r"[a-z0-9.-]+\.[a-z][a-z0-9-]*", address.host)
    assert parse_address(address.url) == address


PAGE = Address("https", "example.org", 443, "/a/b?c")


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/d", "https://example.org/d"),
        ("d", "https://example.org/a/d"),
        ("../../../d", "https://example.org/d"),
        ("//other.org/d", "https://other.org/d"),
        ("https://other.org", "https://other.org/"),
        ("?d", "https://example.org/a/b?d"),
    ],
)
def test_redirections_are_followed_from_where_they_stand(location: str, url: str) -> None:
    assert follow(PAGE, location).url == url


@pytest.mark.parametrize(
    "location",
    [
        *("http://example.org/", "http://127.0.0.1/", "https://127.0.0.1/", "//localhost/", "https://[::1]/"),
        *("https://example.org:8443/", "file:///etc/passwd", "https://a@other.org/", "/\\other.org", "\\\\other.org"),
        *(
            "https://[",
            "https://other.org/a b",
            "https://other.org/\udcff",
            "/a\r\nb",
            "javascript:1",
            "/" + "a" * 3_000,
        ),
        "https://metadata.google.internal/computeMetadata/v1/",
    ],
)
def test_a_redirection_is_checked_as_if_it_had_been_asked_for(location: str) -> None:
    with pytest.raises(AddressNotAllowed):
        follow(PAGE, location)


def test_http_may_lead_to_https_and_to_http() -> None:
    page = parse_address("http://example.org/")
    assert follow(page, "https://example.org/").scheme == "https"
    assert follow(page, "/a").url == "http://example.org/a"


@given(st.text(max_size=80))
def test_no_redirection_leads_astray(location: str) -> None:
    try:
        address = follow(PAGE, location)
    except AddressNotAllowed:
        return
    assert address.scheme == "https"
    assert parse_address(address.url) == address


def test_an_address_is_as_short_as_it_may_be_in_ascii_too() -> None:
    """Each of these letters becomes twelve, in what is asked for and in what is kept of thousands of addresses."""
    with pytest.raises(AddressNotAllowed):
        parse_address("https://example.org/" + "\U0001f600" * (MAX_URL_CHARS // 2))
    with pytest.raises(AddressNotAllowed):
        follow(parse_address("https://example.org/"), "/" + "\U0001f600" * (MAX_URL_CHARS // 2))
    assert len(parse_address("https://example.org/" + "\U0001f600" * 100).url) <= MAX_URL_CHARS
