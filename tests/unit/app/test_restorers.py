"""A user's own restorer: judged before it is used, switched in one write, the old one kept."""

from __future__ import annotations

import itertools
import json

import pytest
from click.testing import CliRunner

from phonoloop.adapters.blobs_memory import MemoryBlobStore
from phonoloop.app.bootstrap import open_app
from phonoloop.app.cli.text_restore import restore, train_restorer
from phonoloop.app.restorer_training import has_marks, judge, split
from phonoloop.app.restorer_training import train_restorer as train
from phonoloop.app.restorers import POINTER, Restorers
from phonoloop.app.settings import load_settings
from phonoloop.core.errors import InputError, IntegrityError, NotFoundError
from phonoloop.text.restorer import Restorer
from phonoloop.text.restorer_train import adapt

# names and terms that no general text has: what a user's own transcripts are full of
WHO = ("bác sĩ Thược", "y tá Nhuần", "anh Khuể", "chị Thoan", "cụ Quých")
WHAT = ("đo huyết áp", "khám tuyến giáp", "chụp cộng hưởng từ", "nội soi dạ dày", "tiêm vắc xin")
WHERE = ("ở buồng hồi sức", "tại khoa Nhũ", "cho bệnh nhân Truật", "trong ca trực đêm")
WHEN = ("đêm qua", "sáng nay", "hôm thứ ba", "lúc giao ca")
LINES = [f"{d} {a} {b} {c}" for a, b, c, d in itertools.product(WHO, WHAT, WHERE, WHEN)]


@pytest.fixture
def app(tmp_path):
    with open_app(load_settings({"data_dir": tmp_path / "data"})) as app:
        yield app


@pytest.fixture(scope="module")
def mine() -> Restorer:
    return Restorer(adapt(Restorer.shipped().model, LINES[::2], {"name": "mine"}))


class TestRestorers:
    def test_the_shipped_one_where_there_is_no_other(self):
        assert Restorers(MemoryBlobStore()).in_use().restorer is Restorer.shipped()

    def test_a_kept_one_is_used_only_when_it_is_said(self, mine):
        restorers = Restorers(MemoryBlobStore())
        restorers.keep("mine", mine.model, {})
        assert restorers.in_use().restorer_id == "shipped"
        restorers.use("mine")
        assert restorers.in_use().restorer_id == "mine"
        assert restorers.in_use().before == "shipped"
        restorers.use("shipped")
        assert restorers.in_use().restorer is Restorer.shipped()

    def test_another_process_sees_the_switch(self, mine):
        blobs = MemoryBlobStore()
        here, there = Restorers(blobs), Restorers(blobs)
        assert there.in_use().restorer_id == "shipped"
        here.keep("mine", mine.model, {})
        here.use("mine")
        assert there.in_use().restorer_id == "mine"

    def test_a_changed_file_is_refused(self, mine):
        blobs = MemoryBlobStore()
        restorers = Restorers(blobs)
        restorers.keep("mine", mine.model, {})
        restorers.use("mine")
        blobs.put("models/text/restorer/mine.bin", b"something else")
        with pytest.raises(IntegrityError) as error:
            Restorers(blobs).in_use()
        assert error.value.code == "restorer.corrupt"

    def test_a_broken_pointer_is_said(self):
        blobs = MemoryBlobStore()
        blobs.put(POINTER, b"{}")
        with pytest.raises(IntegrityError) as error:
            Restorers(blobs).in_use()
        assert error.value.code == "restorer.pointer"


class TestTraining:
    def test_text_of_its_own_kind_makes_it_better_and_it_is_used(self, app, tmp_path):
        (tmp_path / "mine.txt").write_text("\n".join(LINES), encoding="utf-8")
        outcome = train(app, [tmp_path / "mine.txt"])
        assert outcome.used
        assert outcome.report["accuracy_after"] > outcome.report["accuracy_before"]
        assert app.restorers.in_use().restorer_id == outcome.restorer_id

    def test_the_same_again_is_no_better(self, mine):
        found = judge(mine, mine, [[line] for line in LINES[1::2]])
        assert not found["used"]

    def test_transcripts_of_the_records_where_no_file_is_named(self, app):
        with pytest.raises(InputError) as error:
            train(app, [])
        assert error.value.code == "restorer.no_text"

    def test_a_missing_file(self, app, tmp_path):
        with pytest.raises(NotFoundError):
            train(app, [tmp_path / "none.txt"])

    def test_a_line_that_is_not_utf8_is_named(self, app, tmp_path):
        (tmp_path / "mine.txt").write_bytes("được rồi\n".encode() + b"\xff\xfe\n")
        with pytest.raises(InputError, match="line 2") as error:
            train(app, [tmp_path / "mine.txt"])
        assert error.value.code == "restorer.not_utf8"

    def test_what_is_held_out_is_not_learnt(self):
        learnt, held_out = split([f"câu số {n % 70}" for n in range(500)])
        assert not set(learnt) & {line for block in held_out for line in block}

    @pytest.mark.parametrize(
        ("line", "expected"),
        [("tôi đi học ở Hà Nội", True), ("toi di hoc o Ha Noi", False), ("hello world", False), ("", False)],
    )
    def test_lines_without_marks_teach_nothing(self, line, expected):
        assert has_marks(line) is expected


class TestCommands:
    def test_lines_through_the_filter(self, tmp_path):
        given = "toi di hoc\r\n\nHôm nay trời đẹp.\nxin chao cac ban".encode() + b"\n\xff\n"
        result = CliRunner().invoke(restore, ["--data", str(tmp_path / "none")], input=given)
        assert result.exit_code == 2
        assert result.stdout_bytes == (
            "tôi đi học\r\n\nHôm nay trời đẹp.\nxin chào các bạn".encode() + b"\n\xff\n"
        )
        assert not (tmp_path / "none").exists()

    def test_as_json(self):
        result = CliRunner().invoke(restore, ["--json"], input="toi di hoc\n")
        told = json.loads(result.stdout)
        assert told["text"] == "tôi đi học"
        assert told["corrections"][0] | {"confidence": 0} == {
            "start": 0,
            "end": 3,
            "before": "toi",
            "after": "tôi",
            "rule": "diacritics",
            "confidence": 0,
        }

    def test_the_users_own_is_used_after_training(self, tmp_path):
        (tmp_path / "mine.txt").write_text("\n".join(LINES), encoding="utf-8")
        data = ["--data", str(tmp_path / "data")]
        trained = CliRunner().invoke(train_restorer, [str(tmp_path / "mine.txt"), *data])
        assert "is in use now" in trained.output
        result = CliRunner().invoke(restore, data, input="y ta Nhuan kham tuyen giap\n")
        assert result.stdout == "y tá Nhuần khám tuyến giáp\n"
