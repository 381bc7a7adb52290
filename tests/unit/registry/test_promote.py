import pytest
from registry_builders import NOON, model

from phonoloop.core.errors import NotFoundError
from phonoloop.core.events import MODEL_PROMOTED, MODEL_ROLLED_BACK
from phonoloop.data.model import AuditEntry
from phonoloop.registry.model import Champion, Model, ModelStatus
from phonoloop.registry.promote import champion_of, promote, register, rollback, served


@pytest.fixture
def three(tx):
    for name in "ABC":
        register(tx, model(name))
    return tx


def promote_all(tx, names):
    for name in names:
        promote(tx, name, actor="anna", now=NOON)


def status(tx, name):
    return tx.get(Model, name).status


def test_a_model_is_registered_once(tx):
    assert register(tx, model("A"))
    assert not register(tx, model("A", run_id="other"))
    assert champion_of(tx, "asr") is None


def test_promoting_moves_the_pointer_and_both_statuses(three):
    promote_all(three, "AB")
    assert three.get(Champion, "asr") == Champion(
        kind="asr", model_id="B", previous_model_id="A", since_position=2, since=NOON
    )
    assert (status(three, "A"), status(three, "B")) == (ModelStatus.RETIRED, ModelStatus.CHAMPION)
    assert champion_of(three, "asr").model_id == "B"


def test_promoting_tells_who_did_it(three):
    promote(three, "A", actor="anna", reason="sounds better", now=NOON)
    (event,) = three.events
    assert (event.type, event.subject) == (MODEL_PROMOTED, "A")
    assert event.data["actor"] == "anna"
    (entry,) = three.find(AuditEntry)
    assert (entry.actor, entry.subject, entry.detail["reason"]) == ("anna", "A", "sounds better")


def test_promoting_the_champion_changes_nothing(three):
    promote_all(three, "AA")
    assert three.get(Champion, "asr").since_position == 1
    assert len(three.events) == 1


def test_kinds_do_not_touch_each_other(three):
    register(three, model("V", kind="voice"))
    promote_all(three, "AVB")
    assert champion_of(three, "voice").model_id == "V"
    with pytest.raises(NotFoundError):
        rollback(three, "voice", actor="anna")


def test_rolling_back_walks_back_and_ends(three):
    promote_all(three, "ABC")
    assert rollback(three, "asr", actor="anna", now=NOON).model_id == "B"
    assert three.get(Champion, "asr").previous_model_id == "A"
    assert rollback(three, "asr", actor="anna", now=NOON).model_id == "A"
    assert three.get(Champion, "asr").previous_model_id == ""
    with pytest.raises(NotFoundError) as caught:
        rollback(three, "asr", actor="anna")
    assert caught.value.code == "model.no_previous"
    assert [status(three, name) for name in "ABC"] == ["champion", "retired", "retired"]
    assert three.get(Champion, "asr").since_position == 5


def test_rolling_back_tells_so(three):
    promote_all(three, "AB")
    rollback(three, "asr", actor="anna", reason="worse on calls")
    event = three.events[-1]
    assert (event.type, event.subject) == (MODEL_ROLLED_BACK, "A")
    assert event.data["replaced_model_id"] == "B"


def test_a_model_that_served_twice_is_not_a_circle(three):
    promote_all(three, "ABCB")
    walked = [rollback(three, "asr", actor="anna").model_id for _ in range(3)]
    assert walked == ["C", "B", "A"]


def test_what_is_promoted_after_a_rollback_goes_back_to_what_served_then(three):
    promote_all(three, "AB")
    rollback(three, "asr", actor="anna")
    promote(three, "C", actor="anna")
    assert served(three, "asr") == ["A", "C"]
    assert rollback(three, "asr", actor="anna").model_id == "A"


def test_a_model_that_is_gone_is_passed_over(three):
    promote_all(three, "ABC")
    three.delete(Model, "B")
    assert rollback(three, "asr", actor="anna").model_id == "A"


def test_the_same_model_promoted_again_is_another_event(three):
    promote_all(three, "ABA")
    assert len({event.id for event in three.events}) == 3


@pytest.mark.parametrize("act", [promote, lambda tx, name, actor: champion_of(tx, name)])
def test_a_model_that_is_not_there_is_named(tx, act):
    tx.put(Champion(kind="nobody", model_id="nobody"))
    with pytest.raises(NotFoundError) as caught:
        act(tx, "nobody", actor="anna")
    assert (caught.value.code, caught.value.subject) == ("model.missing", "nobody")


def test_nothing_to_roll_back_where_nothing_served(tx):
    with pytest.raises(NotFoundError):
        rollback(tx, "asr", actor="anna")
