"""Segments become clips: trimmed, joined, cleaned where needed, levelled, cut where nobody hears it."""

import dataclasses
import itertools

import numpy as np
import pytest
from voice_material import Held, room, sentences, talk

from phonoloop.audio.quality import integrated_loudness
from phonoloop.audio.wav import to_int16, wav_bytes
from phonoloop.core.errors import AudioError, ConfigError, InputError
from phonoloop.core.speech import Span
from phonoloop.voice.data import RATE_HZ, Segment, Stretch, clip_name
from phonoloop.voice.process import ProcessSettings, process_source
from phonoloop.voice.samples import WavSamples
from phonoloop.voice.segment import segment


def samples_of(duration_s):
    return round(duration_s * RATE_HZ)


def silence(duration_s):
    return np.zeros(samples_of(duration_s), np.float32)


def in_a_room(*parts, level_dbfs=-65.0):
    joined = np.concatenate(parts)
    return joined + room(joined.size, level_dbfs=level_dbfs)


def processed(samples, segments=None, **given):
    """The clips, with their samples."""
    held = samples if isinstance(samples, Held) else Held.of(samples)
    segments = segments or [Segment(0, held.samples)]
    return list(process_source(held, segments, source_id="s1", **given))


def only(samples, segments=None, **given):
    ((clip, pcm),) = processed(samples, segments, **given)
    return clip, pcm


class TestTrimming:
    def test_silence_at_the_ends_goes_but_for_the_padding(self):
        spoken = sentences()[0]
        clip, pcm = only(in_a_room(silence(1), spoken, silence(1)), settings=ProcessSettings(pad_s=0.1))
        assert clip.samples == pcm.size == pytest.approx(spoken.size + samples_of(0.2), abs=samples_of(0.05))

    @pytest.mark.parametrize("noise_dbfs", [-80, -60, -45, -35])
    def test_no_speech_is_lost(self, noise_dbfs):
        """What is within 40 dB of the loudest is in the clip."""
        spoken = sentences("vi+f2")[2]
        clip, _ = only(in_a_room(silence(0.7), spoken, silence(0.7), level_dbfs=noise_dbfs))
        powers = np.square(spoken[: spoken.size // 110 * 110].reshape(-1, 110)).mean(axis=1)
        heard = np.flatnonzero(powers > powers.max() * 1e-4) * 110 + samples_of(0.7)
        assert clip.spans[0].start <= heard[0]
        assert clip.spans[-1].end >= heard[-1] + 110

    def test_a_long_pause_inside_is_shortened_in_its_middle(self):
        one, other = sentences()[:2]
        clip, _ = only(in_a_room(silence(0.3), one, silence(2), other, silence(0.3)))
        before, after = clip.spans
        middle = samples_of(0.3) + one.size + samples_of(1)
        assert after.start - before.end == pytest.approx(samples_of(1.4), abs=samples_of(0.1))
        assert before.end < middle < after.start

    def test_a_short_pause_stays(self):
        one, other = sentences()[:2]
        clip, _ = only(in_a_room(silence(0.3), one, silence(0.4), other, silence(0.3)))
        assert len(clip.spans) == 1

    def test_a_segment_in_which_nobody_speaks_is_kept_and_says_so(self):
        clip, _ = only(room(samples_of(3)))
        assert clip.samples == pytest.approx(samples_of(3), abs=samples_of(0.02))
        assert clip.facts["speech_s"] == 0

    def test_a_silent_source_is_a_silent_clip(self):
        clip, pcm = only(silence(2))
        assert not pcm.any()
        assert clip.facts["speech_s"] == clip.facts["voiced_s"] == 0


class TestCuts:
    def test_clips_begin_and_end_where_the_wave_rises_through_zero(self):
        held = Held.of(talk(count=6, pause_s=0.9, level_dbfs=-50))
        for clip, _ in processed(held, segment([held.read(0, held.samples)])):
            for place in itertools.chain.from_iterable((span.start, span.end) for span in clip.spans):
                assert held.pcm[place - 1] < 0 <= held.pcm[place]

    def test_they_fade_in_and_out(self):
        loud = in_a_room(np.concatenate([sentences()[0]] * 2))
        middle = Segment(samples_of(1), samples_of(2))  # no pause at either end
        _, pcm = only(loud, [middle], settings=ProcessSettings(fade_ms=10))
        steps = np.abs(pcm[: samples_of(0.01)].astype(int))
        assert pcm[0] == pcm[-1] == 0
        assert steps[:20].max() < 0.02 * np.abs(pcm.astype(int)).max()

    def test_where_a_pause_was_shortened_nothing_clicks(self):
        one, other = sentences()[:2]
        clip, pcm = only(in_a_room(silence(0.3), one, silence(2), other, silence(0.3), level_dbfs=-50))
        joint = clip.spans[0].samples
        steps = np.abs(np.diff(pcm.astype(int)))
        assert steps[joint - 3 : joint + 3].max() <= steps[joint - 2000 : joint + 2000].max()


class TestJoining:
    def test_short_neighbours_become_one(self):
        short = sentences()[0][: samples_of(0.8)]
        held = in_a_room(silence(0.3), short, silence(0.6), short, silence(0.3))
        half = held.size // 2
        clip, _ = only(held, [Segment(0, half), Segment(half, held.size)])
        assert clip.facts["speech_s"] == pytest.approx(1.6, abs=0.25)

    def test_long_ones_stay_apart(self):
        one, other = sentences()[:2]
        held = in_a_room(silence(0.3), one, silence(0.6), other, silence(0.3))
        cut = samples_of(0.6) + one.size
        assert len(processed(held, [Segment(0, cut), Segment(cut, held.size)])) == 2

    @pytest.mark.parametrize("gap_s", [0.0, 0.2, 0.9, 1.4])
    def test_what_was_dropped_between_them_stays_dropped(self, gap_s):
        short = sentences()[1][: samples_of(0.9)]
        held = in_a_room(silence(0.2), short, silence(0.2 + gap_s), silence(0.2), short, silence(0.2))
        first = samples_of(0.4) + short.size
        clip, pcm = only(held, [Segment(0, first), Segment(first + samples_of(gap_s), held.size)])
        assert pcm.size == sum(span.samples for span in clip.spans)
        assert pcm.size < 2 * short.size + samples_of(1.0)

    def two_short_ones(self, **second):
        short = sentences()[0][: samples_of(0.8)]
        held = in_a_room(silence(0.3), short, silence(0.6), short, silence(0.3))
        half = held.size // 2
        return held, [Segment(0, half), Segment(half, held.size, **second)]

    def test_a_forced_cut_joins_nothing(self):
        assert len(processed(*self.two_short_ones(forced_cut=True))) == 2

    def test_a_clean_one_is_not_joined_to_one_with_music(self):
        held, segments = self.two_short_ones()
        music = Stretch(segments[1].start, segments[1].end, "music", 0.9)
        assert len(processed(held, segments, marks=[music])) == 2

    def test_never_beyond_the_longest(self):
        held, segments = self.two_short_ones()
        assert len(processed(held, segments, settings=ProcessSettings(max_s=1.5))) == 2

    def test_it_can_be_turned_off(self):
        held, segments = self.two_short_ones()
        assert len(processed(held, segments, settings=ProcessSettings(join_below_s=0))) == 2


class TestSound:
    @pytest.mark.parametrize("gain", [0.1, 1.0, 2.0])
    def test_every_clip_has_the_loudness_that_was_asked_for(self, gain):
        _, pcm = only(talk(count=2) * gain)
        assert integrated_loudness(pcm, RATE_HZ) == pytest.approx(-23, abs=0.5)

    def test_noise_is_taken_out_where_there_is_much(self):
        clip, pcm = only(talk(count=3, level_dbfs=-38))
        assert clip.facts["denoised"]
        quiet = np.sort(np.square(pcm[: pcm.size // 441 * 441].reshape(-1, 441) / 32768).mean(axis=1))
        assert 10 * np.log10(quiet[: quiet.size // 20].mean()) < -60

    def test_and_left_alone_where_there_is_little(self):
        clip, _ = only(talk(count=3, level_dbfs=-65))
        assert not clip.facts["denoised"]

    def test_never_where_that_was_asked_for(self):
        clip, _ = only(talk(count=3, level_dbfs=-38), settings=ProcessSettings(denoise_below_db=None))
        assert not clip.facts["denoised"]

    def test_the_clip_is_otherwise_the_source_times_a_constant(self):
        held = Held.of(talk(count=2))
        clip, pcm = only(held)
        raw = np.concatenate([held.pcm[span.start : span.end] for span in clip.spans]).astype(float)
        inner = slice(200, -200)
        assert np.corrcoef(raw[inner], pcm[inner])[0, 1] > 0.99999

    def test_an_offset_of_the_recording_is_gone(self):
        _, pcm = only(talk(count=2) + np.float32(0.05))
        assert abs(pcm.astype(float).mean()) < 10


class TestFacts:
    def test_they_tell_of_the_recording_not_of_what_was_made_of_it(self):
        quiet, _ = only(talk(count=2) * 0.1)
        loud, _ = only(talk(count=2))
        assert loud.facts["loudness_lufs"] - quiet.facts["loudness_lufs"] == pytest.approx(20, abs=0.3)
        assert quiet.facts["gain_db"] - loud.facts["gain_db"] == pytest.approx(20, abs=0.3)

    @pytest.mark.parametrize(("level_dbfs", "snr_db"), [(-33, 10), (-43, 20)])
    def test_the_signal_to_noise_ratio_is_about_right(self, level_dbfs, snr_db):
        clip, _ = only(talk(count=3, level_dbfs=level_dbfs))
        assert clip.facts["snr_db"] == pytest.approx(snr_db, abs=4)

    def test_a_voices_pitch_is_told(self):
        low, _ = only(talk("vi+m3", count=2))
        high, _ = only(talk("vi+f5", count=2))
        assert high.facts["pitch_hz"] > 1.5 * low.facts["pitch_hz"]

    def test_marks_are_counted_in_seconds_of_certainty(self):
        held = talk(count=2)
        marks = [Stretch(0, held.size, "music", 0.5), Stretch(samples_of(2), samples_of(3), "speakers", 1.0)]
        clip, _ = only(held, marks=marks)
        assert clip.facts["marked_s"] == {
            "music": pytest.approx(clip.duration_s / 2, abs=0.01),
            "speakers": pytest.approx(1.0, abs=0.01),
        }

    def test_they_are_json(self):
        clip, _ = only(talk(count=2))
        assert type(clip).from_dict(clip.to_dict()) == clip

    def test_a_forced_cut_is_passed_on(self):
        held = talk(count=2)
        assert only(held, [Segment(0, held.size, forced_cut=True)])[0].facts["forced_cut"]


class TestNames:
    def names(self, samples, **given):
        return [clip.clip_id for clip, _ in processed(samples, **given)]

    def test_the_same_clip_has_the_same_name_and_the_same_samples(self):
        held = talk(count=2)
        (one, one_pcm), (other, other_pcm) = only(held), only(held)
        assert one == other
        assert (one_pcm == other_pcm).all()

    @pytest.mark.parametrize("given", [{"settings": ProcessSettings(fade_ms=7)}, {"variant": "demucs"}])
    def test_processed_in_another_way_it_is_another_clip(self, given):
        held = talk(count=2)
        assert not set(self.names(held)) & set(self.names(held, **given))

    def test_what_is_marked_does_not_change_the_name(self):
        held = talk(count=2)
        assert self.names(held) == self.names(held, marks=[Stretch(0, 1000, "music", 0.5)])

    def test_the_name_holds_source_and_spans(self):
        clip, _ = only(talk(count=2))
        assert clip.clip_id != clip_name("s2", clip.spans, "")


class TestInput:
    @pytest.mark.parametrize(
        "segments",
        [
            [Segment(0, 10**9)],
            [Segment(0, 2000), Segment(1000, 3000)],
            [Segment(3000, 2000)],
            [Segment(-1, 9)],
        ],
    )
    def test_segments_that_cannot_be_are_refused(self, segments):
        with pytest.raises(InputError) as refused:
            processed(talk(count=1), segments)
        assert refused.value.code == "voice.segments"

    def test_nothing_gives_nothing(self):
        assert list(process_source(Held.of(silence(0)), [], source_id="s1")) == []
        assert list(process_source(Held.of(silence(1)), [Segment(5, 5)], source_id="s1")) == []

    @pytest.mark.parametrize("samples", [1, 2, 10, 300, 3000])
    def test_segments_of_a_few_samples_are_clips(self, samples):
        held = Held.of(talk(count=1))
        clip, pcm = only(held, [Segment(40_000, 40_000 + samples)])
        assert 0 < clip.samples == pcm.size <= samples

    def test_memory_does_not_grow_with_the_source(self):
        held = Held.of(np.tile(talk(count=6), 4))
        segments = segment([held.read(0, held.samples)])
        longest = [0]
        list(process_source(dataclasses.replace(held, longest=longest), segments, source_id="s1"))
        assert longest[0] <= samples_of(12 + 2)

    @pytest.mark.parametrize("wrong", [{"pad_s": 0.0}, {"pad_s": 0.4}, {"fade_ms": -1}, {"max_s": 0.0}])
    def test_settings_that_cannot_be_are_refused(self, wrong):
        with pytest.raises(ConfigError) as refused:
            ProcessSettings(**wrong)
        assert refused.value.code == "voice.process_settings"


class TestWavSamples:
    def test_a_file_gives_what_memory_gives(self, tmp_path):
        samples = talk(count=2)
        path = tmp_path / "audio.wav"
        path.write_bytes(wav_bytes(to_int16(samples), RATE_HZ))
        from_file = list(process_source(WavSamples.of(path), [Segment(0, samples.size)], source_id="s1"))
        assert from_file[0][0] == only(samples)[0]
        assert (from_file[0][1] == only(samples)[1]).all()

    def test_another_rate_is_refused(self, tmp_path):
        path = tmp_path / "audio.wav"
        path.write_bytes(wav_bytes(np.zeros(100, np.int16), 16_000))
        with pytest.raises(AudioError) as refused:
            WavSamples.of(path)
        assert refused.value.code == "audio.not_canonical"


def test_a_span_is_of_the_source():
    """The samples before the cut are not what a clip's spans count."""
    held = Held.of(talk(count=3))
    start = samples_of(2)
    clip, _ = only(held, [Segment(start, held.samples)])
    assert clip.spans[0].start >= start
    assert isinstance(clip.spans[0], Span)
