"""The job file says how far a voice is, in the words of requirement C8."""

import json

import pytest

from phonoloop.core.errors import InputError, IntegrityError
from phonoloop.core.ids import slug
from phonoloop.voice.jobfile import JobFile, JobState, job_id_of, read_job


@pytest.fixture
def job(tmp_path):
    return JobFile(tmp_path, JobState("lan-1", "Lan", "vi"))


def test_it_has_the_fields_that_were_promised(job):
    job.update(ingested={"a" * 32: "talk.mp4"}, epoch=3, last_checkpoint="epoch-3.ckpt")
    written = json.loads(job.path.read_text("utf-8"))
    assert job.path.name == "lan-1.json"
    assert job.path.parent.name == "checkpoints"
    assert written["training"] == {"epoch": 3, "last_checkpoint": "epoch-3.ckpt"}
    promised = {"ingested", "separated", "segments_saved", "transcribed_count", "manifest_created"}
    assert promised < written.keys()


def test_what_is_written_is_read_back(job):
    job.update(separated=("a", "b"), segments_saved=5, refused={"x.mp3": "no sound"})
    assert read_job(job.path) == job.state


def test_a_job_that_is_taken_up_again_goes_on_with_what_was_written(job, tmp_path):
    job.update(epoch=7, last_checkpoint="epoch-7.ckpt")
    again = JobFile(tmp_path, JobState("lan-1", "Lan", "vi"))
    again.update(segments_saved=3)
    assert (read_job(job.path).epoch, read_job(job.path).segments_saved) == (7, 3)


def test_a_damaged_file_is_said(job):
    job.path.parent.mkdir()
    job.path.write_text("{")
    with pytest.raises(IntegrityError) as caught:
        read_job(job.path)
    assert caught.value.code == "voice.job_file"


def test_the_same_voice_is_the_same_job():
    assert job_id_of("Lan", "vi") == job_id_of("Lan", "vi") != job_id_of("Lan", "en")
    assert job_id_of("Cà phê", "vi").startswith("ca-phe-")
    assert job_id_of("声", "zh").startswith("voice-")


@pytest.mark.parametrize("job_id", ["../x", "", ".hidden", "a/b"])
def test_a_job_that_cannot_be_a_file_name_is_refused(tmp_path, job_id):
    with pytest.raises(InputError) as caught:
        JobFile(tmp_path, JobState(job_id, "Lan", "vi"))
    assert caught.value.code == "voice.job_id"


def test_a_slug_never_ends_in_a_dash():
    assert slug("a" * 39 + " b", otherwise="x") == "a" * 39
