import json
from pathlib import Path

from loadtests.sfu import QUICK, write_report


def test_what_limits_stands_beside_the_medians_of_its_point(tmp_path: Path) -> None:
    rounds = [{"voice": {"us_per_forwarded": cost}, "joins_per_s": 100.0} for cost in (30.0, 50.0, 31.0)]
    limits = {
        "voice": {"limits": {"routing": 0.7, "way in": 0.3}, "limits_samples": 90},
        "joins": {"limits": None, "limits_missing": "no right to trace"},
    }
    path = tmp_path / "reports" / "sfu.json"
    write_report(path, QUICK, rounds, limits)
    report = json.loads(path.read_text())
    assert report["voice"] == {"us_per_forwarded": 31.0, **limits["voice"]}
    assert report["joins"] == limits["joins"]
    assert report["joins_per_s"] == 100.0
    assert report["rounds"] == rounds
