"""docs/design/runtime.md says of each file of runtime what it is: services/runtime/README.md leads to that list."""

from pathlib import Path

from deploy.embedded.record import ROOT

RUNTIME = ROOT / "services/runtime"
FILES = sorted(path.relative_to(RUNTIME) for path in RUNTIME.rglob("*.py") if path.name != "__init__.py")


def test_the_list_of_files_has_each_once() -> None:
    page = (ROOT / "docs/design/runtime.md").read_text()
    named = [name for row in page.splitlines() if row.startswith("| `") for name in row.split("|")[1].split("`")]
    assert len(FILES) > 30
    for file in FILES:
        assert named.count(Path(file).name) == 1, f"{file} stands in {named.count(Path(file).name)} rows of the table"
