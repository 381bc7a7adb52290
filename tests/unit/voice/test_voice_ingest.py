"""Taking recordings in: any file with sound, to 22,050 Hz, with the original and what is known of it."""

import hashlib
import json
import tracemalloc

import av
import numpy as np
import pytest

from phonoloop.audio.decode import Decoder
from phonoloop.audio.wav import read_wav, to_int16, wav_info
from phonoloop.core.errors import AudioError, InputError, ManifestError, NotFoundError
from phonoloop.testing.sounds import noise, silence, speech_like, write_media, write_wav
from phonoloop.voice.data import RATE_HZ, Consent, Source
from phonoloop.voice.ingest import (
    AUDIO,
    LIMITS,
    Given,
    blocks_of,
    find_files,
    ingest_file,
    read_source,
    source_id,
)

RECORD = {"who": "Nguyễn Thị Lan", "purpose": "a synthetic voice", "date": "2026-11-20"}


@pytest.fixture(scope="module")
def decoder():
    with Decoder(LIMITS) as decoder:
        yield decoder


@pytest.fixture
def talk(tmp_path):
    sound = speech_like(3.0, seed=1, rate_hz=44_100).samples
    return write_media(tmp_path / "talk.mp4", np.stack([sound, sound], axis=1), 44_100)


def beside(path, about):
    path.with_suffix(".json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")


class TestARecording:
    def test_it_is_mono_at_22050_hz_beside_its_original(self, decoder, talk, tmp_path):
        source = ingest_file(talk, decoder=decoder, folder=tmp_path / "one")
        info = wav_info(tmp_path / "one" / AUDIO)
        assert (info.rate_hz, info.samples) == (RATE_HZ, source.samples)
        assert source.samples == pytest.approx(3 * RATE_HZ, abs=0.06 * RATE_HZ)
        assert (source.name, source.original_rate_hz, source.truncated) == ("talk.mp4", 44_100, False)
        kept = (tmp_path / "one" / "original.mp4").read_bytes()
        assert kept == talk.read_bytes()
        assert source.original_sha256 == hashlib.sha256(kept).hexdigest()

    def test_the_sidecar_of_the_job_says_the_same(self, decoder, talk, tmp_path):
        source = ingest_file(talk, decoder=decoder, folder=tmp_path / "one")
        assert read_source(tmp_path / "one") == source
        assert Source.from_dict(json.loads(json.dumps(source.to_dict()))) == source

    def test_it_is_named_by_its_samples_and_nothing_else(self, decoder, talk, tmp_path):
        first = ingest_file(talk, decoder=decoder, folder=tmp_path / "one")
        again = ingest_file(talk.rename(tmp_path / "b.mp4"), decoder=decoder, folder=tmp_path / "two")
        assert first.source_id == again.source_id == source_id([to_int16(read_wav(tmp_path / "one" / AUDIO))])
        other = write_wav(talk, speech_like(3.0, seed=2).samples)  # in the place of the first
        assert ingest_file(other, decoder=decoder, folder=tmp_path / "three").source_id != first.source_id

    def test_blocks_of_any_length_give_the_same_id(self, decoder, talk, tmp_path):
        ingest_file(talk, decoder=decoder, folder=tmp_path / "one")
        ids = {
            source_id(to_int16(block) for block in blocks_of(tmp_path / "one" / AUDIO, samples))
            for samples in (1000, 22_050, 1 << 20)
        }
        assert ids == {read_source(tmp_path / "one").source_id}

    def test_telephone_speech_says_what_it_was(self, decoder, tmp_path):
        path = write_wav(tmp_path / "a.wav", speech_like(2.0, rate_hz=8000).samples, 8000)
        source = ingest_file(path, decoder=decoder, folder=tmp_path / "one")
        assert source.original_rate_hz == 8000
        assert source.samples == pytest.approx(2 * RATE_HZ, abs=2)

    def test_a_file_that_was_cut_off_says_so(self, decoder, tmp_path):
        path = write_wav(tmp_path / "a.wav", speech_like(3.0).samples)
        path.write_bytes(path.read_bytes()[:60_000])
        assert ingest_file(path, decoder=decoder, folder=tmp_path / "one").truncated

    def test_memory_does_not_grow_with_the_length(self, decoder, tmp_path):
        short, long = (
            write_wav(tmp_path / f"{s}.wav", noise(s, rate_hz=RATE_HZ), RATE_HZ) for s in (20.0, 200.0)
        )
        ingest_file(short, decoder=decoder, folder=tmp_path / "warm")
        peaks = []
        for path in (short, long):
            tracemalloc.start()
            ingest_file(path, decoder=decoder, folder=tmp_path / f"of_{path.stem}")
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < 1.5 * peaks[0] < 12e6


class TestWhatIsKnownOfIt:
    def test_it_comes_from_beside_the_file(self, decoder, talk, tmp_path):
        about = {"text": "xin chào", "speaker": "lan", "language": "vi", "licence": "CC BY 4.0"}
        beside(talk, {**about, "consent": RECORD})
        source = ingest_file(talk, decoder=decoder, folder=tmp_path / "one")
        assert {name: getattr(source, name) for name in about} == about
        assert source.consent == Consent(**RECORD)

    def test_a_text_file_is_a_transcript(self, decoder, talk, tmp_path):
        talk.with_suffix(".txt").write_text("xin chào\n", encoding="utf-8")
        source = ingest_file(talk, decoder=decoder, folder=tmp_path / "one")
        assert (source.text, source.timed) == ("xin chào", ())

    def test_timed_texts_are_kept_with_their_times(self, decoder, talk, tmp_path):
        beside(talk, {"segments": [{"start_ms": 0, "end_ms": 900, "text": "xin chào"}]})
        (one,) = ingest_file(talk, decoder=decoder, folder=tmp_path / "one").timed
        assert (one.start_ms, one.end_ms, one.text) == (0, 900, "xin chào")
        assert read_source(tmp_path / "one").timed == (one,)

    def test_what_is_said_by_hand_counts_more(self, decoder, talk, tmp_path):
        beside(talk, {"speaker": "lan", "licence": "CC0", "consent": RECORD})
        mine = Consent("Minh", "the radio", "2026-01-01")
        given = Given(speaker="minh", language="vi", consent=mine)
        source = ingest_file(talk, decoder=decoder, folder=tmp_path / "one", given=given)
        assert (source.speaker, source.language, source.licence) == ("minh", "vi", "CC0")
        assert source.consent == mine

    def test_nobody_consented_where_nobody_said(self, decoder, talk, tmp_path):
        assert ingest_file(talk, decoder=decoder, folder=tmp_path / "one").consent is None

    def test_a_consent_in_plain_words_is_no_record(self, decoder, talk, tmp_path):
        beside(talk, {"consent": "she said yes"})
        assert ingest_file(talk, decoder=decoder, folder=tmp_path / "one").consent is None

    @pytest.mark.parametrize("broken", [{"who": ""}, {"date": ""}, {"date": "yesterday"}])
    def test_half_a_consent_is_refused(self, decoder, talk, tmp_path, broken):
        beside(talk, {"consent": {**RECORD, **broken}})
        with pytest.raises(ManifestError, match="consent") as error:
            ingest_file(talk, decoder=decoder, folder=tmp_path / "one")
        assert error.value.code == "sidecar.consent"
        assert error.value.hint


class TestRefusals:
    def refused(self, path, decoder, tmp_path):
        before = path.read_bytes()
        with pytest.raises(InputError) as error:
            ingest_file(path, decoder=decoder, folder=tmp_path / "refused")
        assert path.read_bytes() == before
        assert error.value.hint
        assert not (tmp_path / "refused" / "source.json").exists()
        return error.value.code

    @pytest.mark.parametrize(
        "samples",
        [silence(2.0), np.full(44_100, 0.25, np.float32), noise(2.0, level_dbfs=-80.0)],
        ids=["zeros", "a constant", "hiss"],
    )
    def test_all_silence(self, decoder, tmp_path, samples):
        path = write_wav(tmp_path / "a.wav", samples, RATE_HZ)
        assert self.refused(path, decoder, tmp_path) == "audio.silent"

    def test_no_audio_track(self, decoder, tmp_path):
        path = tmp_path / "a.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width = stream.height = 32
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        assert self.refused(path, decoder, tmp_path) == "audio.no_audio_track"

    @pytest.mark.parametrize(
        ("content", "code"),
        [(b"", "audio.empty"), (b"not a sound" * 99, "audio.not_audio"), (b"RIFF\0\0", "audio.truncated")],
    )
    def test_no_media_file(self, decoder, tmp_path, content, code):
        path = tmp_path / "a.mp3"
        path.write_bytes(content)
        assert self.refused(path, decoder, tmp_path) == code

    def test_a_damaged_file(self, decoder, tmp_path):
        path = write_media(tmp_path / "a.flac", speech_like(4.0, seed=3).samples)
        content = bytearray(path.read_bytes())
        content[2000:] = np.random.default_rng(1).bytes(len(content) - 2000)
        path.write_bytes(content)
        assert self.refused(path, decoder, tmp_path) in ("audio.corrupt", "audio.truncated")

    def test_a_sidecar_that_cannot_be_read(self, decoder, talk, tmp_path):
        talk.with_suffix(".json").write_text("{", encoding="utf-8")
        assert self.refused(talk, decoder, tmp_path) == "sidecar.not_json"

    def test_a_file_that_is_not_there(self, decoder, tmp_path):
        with pytest.raises(AudioError) as error:
            ingest_file(tmp_path / "a.mp3", decoder=decoder, folder=tmp_path / "one")
        assert error.value.code == "audio.missing"

    def test_a_file_that_is_still_being_written(self, decoder, talk, tmp_path):
        class Slow:
            def decode_in_blocks(self, path, take, rate_hz):
                facts = decoder.decode_in_blocks(path, take, rate_hz)
                path.write_bytes(path.read_bytes() + b"more")
                return facts

        with pytest.raises(AudioError) as error:
            ingest_file(talk, decoder=Slow(), folder=tmp_path / "one")
        assert error.value.code == "audio.changed"


class TestFindingFiles:
    def test_a_folder_gives_its_media_files_in_order(self, tmp_path):
        for name in ("b.MP3", "a.mov", "a.txt", "a.json", ".hidden.mp3", "deep/c.wav", ".trash/d.wav"):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.touch()
        found = [path.relative_to(tmp_path).as_posix() for path in find_files([tmp_path])]
        assert found == ["a.mov", "b.MP3", "deep/c.wav"]

    def test_a_file_that_is_named_is_tried_whatever_its_ending(self, tmp_path):
        (tmp_path / "talk").touch()
        assert find_files([tmp_path / "talk"]) == [tmp_path / "talk"]

    def test_each_file_is_found_once(self, tmp_path):
        (tmp_path / "a.mp3").touch()
        (tmp_path / "b.mp3").symlink_to(tmp_path / "a.mp3")
        assert find_files([tmp_path / "a.mp3", tmp_path, tmp_path / "b.mp3"]) == [tmp_path / "a.mp3"]

    @pytest.mark.parametrize(("name", "code"), [("none", "input.missing"), (".", "voice.no_files")])
    def test_nothing_to_take_is_said(self, tmp_path, name, code):
        with pytest.raises(NotFoundError) as error:
            find_files([tmp_path / name])
        assert error.value.code == code
