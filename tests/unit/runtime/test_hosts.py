"""Hosts in their one spelling."""

import pytest

from services.runtime.hosts import is_host


@pytest.mark.parametrize("host", ["a.example", "a1.b-c.example", "xn--bcher-kva.example", "a.xn--p1ai", "0.example"])
def test_a_domain_in_ascii_and_lower_case_is_a_host(host: str) -> None:
    assert is_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", ".", "example", "localhost", "a.example.", ".a.example", "a..example", "A.example", "*.example"),
        *("-a.example", "a-.example", "a_b.example", "bücher.example", "a.example:443", "a.example/", "u@a.example"),
        *("127.0.0.1", "1.2", "[::1]", "a.example\n", " a.example", "a" * 64 + ".example", "a." * 130 + "example"),
    ],
)
def test_other_spellings_numbers_and_single_names_are_none(host: str) -> None:
    assert not is_host(host)
