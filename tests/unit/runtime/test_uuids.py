from uuid import UUID

import pytest

from services.runtime.uuids import parse_id

ID = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@pytest.mark.parametrize("text", [ID, ID.upper()])
def test_an_id_is_taken_in_its_usual_form(text: str) -> None:
    assert parse_id(text) == UUID(ID)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        ID + "\n",
        ID.replace("-", ""),
        "{" + ID + "}",
        "urn:uuid:" + ID,
        # Of 36 characters, and taken by uuid.UUID.
        "{" + ID.replace("-", "") + "}--",
        ID.replace("-", "") + "----",
        ID.replace("0", "\uff10"),
    ],
)
def test_no_other_spelling_of_an_id_is_taken(text: str) -> None:
    assert parse_id(text) is None
