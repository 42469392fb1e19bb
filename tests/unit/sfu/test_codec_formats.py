from services.sfu.core.wire.codec_formats import list_decodable, lower_level, name_format


def test_levels_are_lowered_and_never_raised() -> None:
    assert lower_level("profile-level-id=42e034", "profile-level-id=42e01f") == "profile-level-id=42e01f"
    assert lower_level("profile-level-id=42e01f", "profile-level-id=42e034") == "profile-level-id=42e01f"
    assert lower_level("packetization-mode=1", "profile-level-id=42e01f") == "packetization-mode=1"
    assert lower_level("profile-level-id=zz", "profile-level-id=42e01f") == "profile-level-id=zz"


def test_what_is_not_understood_fits_itself_only() -> None:
    name = name_format("h264", "profile-level-id=nonsense;packetization-mode=1")
    assert name in list_decodable(name)
    assert not list_decodable("h264/high/1") & list_decodable(name)
