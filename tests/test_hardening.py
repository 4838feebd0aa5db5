"""What tests/hardening.json says on top is the worst of all hosts."""

import json

from tests import hardening


def test_the_worst_of_all_hosts_stands_on_top(tmp_path):
    path = tmp_path / "hardening.json"
    hardening.write("0.3.64", {"files": 500, "leftovers": 1}, path)
    hardening.write("0.33.0", {"files": 600, "leftovers": 0}, path)
    hardening.write("0.33.0", {"inputs": 3000, "internal": 0}, path)
    known = json.loads(path.read_text(encoding="utf-8"))
    assert list(known["hosts"]) == ["0.33.0", "0.3.64"]
    assert known["hosts"]["0.33.0"] == {"files": 600, "leftovers": 0, "inputs": 3000, "internal": 0}
    assert {key: value for key, value in known.items() if key != "hosts"} == {
        "files": 500,
        "leftovers": 1,
        "inputs": 3000,
        "internal": 0,
    }
