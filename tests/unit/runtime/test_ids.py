from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.ids import new_id, unix_time_of, uuid7


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_uuid7_has_the_version_variant_and_time_of_rfc_9562(unix_ms: int, entropy: bytes) -> None:
    value = uuid7(unix_ms, entropy)
    assert value.version == 7
    assert value.variant == "specified in RFC 4122"
    assert value.int >> 80 == unix_ms
    assert unix_time_of(value) == unix_ms / 1000


def test_the_example_of_rfc_9562_appendix_a6_comes_out() -> None:
    entropy = bytes.fromhex("0cc3" + "18c4dc0c0c07398f")
    assert str(uuid7(0x017F22E279B0, entropy)) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_an_id_of_another_version_has_no_time() -> None:
    assert unix_time_of(UUID(int=1)) is None
    assert unix_time_of(uuid4()) is None


def test_ids_sort_by_time() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [new_id(start + timedelta(milliseconds=step)) for step in range(50)]
    assert sorted(ids) == ids
