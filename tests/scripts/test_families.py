"""The table of docs/models.md says what the tests found."""

import json

import pytest

from scripts import families


@pytest.fixture(scope="module")
def results():
    return json.loads(families.RESULTS.read_text(encoding="utf-8"))


def test_the_page_has_the_table_of_the_results(results):
    assert families.BEGIN + families.table(results) + families.END in families.PAGE.read_text(encoding="utf-8")


def test_every_host_has_every_family_with_a_status_and_a_reason_unless_it_just_works(results):
    hosts = list(results.values())
    assert len(hosts) == 3
    assert all(host.keys() == hosts[0].keys() for host in hosts)
    for host in hosts:
        for row in host.values():
            assert row["status"] in ("works", "note", "refused", "absent")
            assert bool(row["why"]) == (row["status"] != "works")


def test_families_that_share_everything_share_a_row():
    works, refused = {"status": "works", "why": ""}, {"status": "refused", "why": "It hums."}
    absent = {"status": "absent", "why": "not in this ComfyUI"}
    text = families.table({"2": {"A": works, "B": works, "C": refused}, "1": {"A": works, "B": absent, "C": absent}})
    assert text.splitlines()[2:] == [
        f"| {families.RUNS} | A | 2, 1 |  |",
        f"| {families.RUNS} | B | 2 |  |",
        "| refused | C | 2 | It hums. |",
    ]
