"""Which of two detectors is better: by what one alone gets wrong, and never by chance."""

from types import SimpleNamespace

import pytest

from phonoloop.registry.model import Decision
from phonoloop.wakeword.compare import compare


def heard(missed, accepts, hours=2.0, clips=100):
    """What a comparison looks at of an evaluation."""
    return SimpleNamespace(
        missed=[SimpleNamespace(name=name) for name in missed],
        misses=SimpleNamespace(clips=clips),
        accepts=SimpleNamespace(events=accepts, hours=hours),
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (([], 0), (range(5), 0), Decision.BETTER),
        (([], 0), (range(4), 0), Decision.NOT_ENOUGH_EVIDENCE),
        ((range(20), 0), (range(20), 0), Decision.NOT_ENOUGH_EVIDENCE),
        ((range(20), 1), (range(20), 9), Decision.BETTER),
        (([], 12), (range(9), 2), Decision.WORSE),
        ((range(9), 0), ([], 0), Decision.WORSE),
        ((range(3), 3), (range(3, 6), 2), Decision.NOT_ENOUGH_EVIDENCE),
    ],
)
def test_only_what_one_alone_gets_wrong_decides(ours, theirs, expected):
    found = compare(heard(*ours), heard(*theirs))
    assert found.decision is expected


def test_it_says_what_it_rests_on():
    found = compare(heard(range(2), 1), heard(range(1, 9), 4))
    assert (found.only_candidate_missed, found.only_champion_missed) == (1, 7)
    assert "of 100 clips" in found.reason
    assert "in 2.00 h" in found.reason
    assert found.to_dict()["decision"] == "better"
