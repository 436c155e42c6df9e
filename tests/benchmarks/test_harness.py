"""The bench itself: rows, ratios, skips and what is written of a run."""

import json
import sys

import pytest

from tests.benchmarks import harness
from tests.benchmarks.harness import Contender, Outcome, alternate

TASK = """
def wait(seconds, megabytes):
    import time
    calls = []

    def work():
        calls.append(None)
        time.sleep(seconds * SLOWER + 0.1 * (len(calls) == 1))
        return bytearray(int(megabytes * 1e6))

    return work, lambda made: {"bytes": len(made)}
"""


@pytest.fixture
def contenders(tmp_path, monkeypatch):
    (tmp_path / "contenders").mkdir()
    (tmp_path / "child.py").write_text((harness.FOLDER / "child.py").read_text())
    for name, slower in (("quick.py", 1), ("slow.py", 4)):
        (tmp_path / "contenders" / name).write_text(f"SLOWER = {slower}\n{TASK}")
    monkeypatch.setattr(harness, "FOLDER", tmp_path)
    return [Contender("quick", "quick.py"), Contender("slow", "slow.py"), Contender("none", "x.py", "/no/python", "x")]


def test_contenders_are_timed_in_turn_and_the_missing_say_why(contenders):
    rows = alternate("wait", contenders, {"seconds": 0.03, "megabytes": 40}, runs=2)
    assert [row["contender"] for row in rows] == ["quick", "slow", "none"]
    assert rows[0]["ratio"] == 1
    assert rows[1]["ratio"] == pytest.approx(rows[1]["seconds"] / rows[0]["seconds"])
    assert 0.03 <= rows[0]["seconds"] <= rows[0]["first_seconds"] - 0.05  # the quickest call, and the first
    assert rows[0]["fresh_seconds"] <= rows[0]["first_seconds"] - 0.05  # the second, in new memory too
    assert len(rows[0]["runs"][0]["calls"]) == 4
    assert 38 < rows[0]["peak_mb"] < 60
    assert rows[0]["facts"] == {"bytes": 40_000_000}
    assert len(rows[1]["runs"]) == 2
    assert "make_peers" in rows[2]["skipped"]


def test_a_failure_names_the_contender_and_its_error(contenders):
    with pytest.raises(RuntimeError, match="(?s)quick failed at wait: .*TypeError"):
        alternate("wait", contenders[:1], {"seconds": "a", "megabytes": 1}, runs=1)


def test_what_is_written_names_settings_versions_machine_and_commit(tmp_path):
    outcome = Outcome({"size": 2}, [{"task": "a", "seconds": 0.5, "runs": [1, 2]}], {"peer": "1.0"})
    facts = json.loads(harness.save("one", outcome, tmp_path).read_text())
    assert facts["settings"] == {"size": 2}
    assert facts["versions"]["peer"] == "1.0"
    assert facts["versions"]["numpy"]
    assert facts["rows"][0]["runs"] == [1, 2]
    assert set(facts["machine"]) == {"processor", "cores", "memory_gb", "system", "load"}
    assert "runs" not in outcome.table()
    assert "| a    | 0.5     |" in outcome.table()


def test_a_contender_of_this_interpreter_needs_nothing():
    assert Contender("ours", "ours.py").missing() == ""
    assert "cannot be imported" in Contender("x", "x.py", sys.executable, "no_such_package").missing()
