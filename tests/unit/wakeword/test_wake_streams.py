"""Clips as one stream: what lies where, what is counted, and that no cut changes a score."""

import numpy as np
import pytest

from phonoloop.core.errors import InputError
from phonoloop.wakeword.clips import Label, WakeClip
from phonoloop.wakeword.streams import (
    Mix,
    joined,
    lay_out,
    lay_out_negatives,
    lay_out_positives,
    score,
)
from phonoloop.wakeword.trigger import Event, TriggerSettings

STEP = 1_280


def clip(duration_s=1.0, *, seed=0, level=0.1, **known):
    rng = np.random.default_rng(seed)
    samples = (rng.standard_normal(round(duration_s * 16_000)) * level).astype(np.float32)
    return WakeClip.of(samples, Label.POSITIVE, **{"name": f"clip{seed}", **known})


class Loudness:
    """A scorer that remembers: half of its last score, and the loudest sample of the step."""

    step_samples = STEP

    def scores(self, samples):
        return Running().push(samples)


class Running:
    def __init__(self):
        self.waiting, self.last = np.zeros(0, np.float32), 0.0

    def push(self, samples):
        self.waiting = np.concatenate([self.waiting, samples])
        whole = len(self.waiting) // STEP
        peaks = np.abs(self.waiting[: whole * STEP]).reshape(whole, STEP).max(axis=1)
        self.waiting = self.waiting[whole * STEP :]
        found = []
        for peak in peaks:
            self.last = 0.5 * self.last + 0.5 * float(peak)
            found.append(self.last)
        return np.array(found, np.float32)


class Streaming:
    step_samples = STEP

    def stream(self):
        return Running()


def rendered(stream):
    return np.concatenate(list(stream.render()))


def test_a_clip_lies_in_a_faint_floor_and_never_in_digital_zeros():
    padded = WakeClip.of(np.zeros(16_000, np.int16), Label.POSITIVE)
    samples = rendered(lay_out_positives([padded]))
    assert np.count_nonzero(samples) == len(samples)
    assert np.abs(samples).max() < 0.002


def test_the_clip_is_where_the_layout_says():
    stream = lay_out_positives([clip(seed=1), clip(2.0, seed=2)])
    samples = rendered(stream)
    for one in stream.placed:
        assert np.abs(samples[one.start : one.end] - one.clip.samples).max() < 0.002
    first, second = stream.placed
    assert first.over == second.begin
    assert second.start - first.end >= 3 * 16_000
    assert len(samples) == second.over


def test_the_same_layout_is_the_same_stream():
    clips = [clip(seed=1), clip(seed=2)]
    assert (rendered(lay_out_negatives(clips)) == rendered(lay_out_negatives(clips))).all()


def test_pauses_are_no_evidence():
    scored = score(Loudness(), lay_out_negatives([clip(18.0, seed=1), clip(18.0, seed=2)]))
    assert scored.hours == pytest.approx(0.01)


def test_padding_is_no_sound():
    half = np.concatenate([clip(18.0, seed=1).pcm, np.zeros(18 * 16_000, np.int16)])
    scored = score(Loudness(), lay_out_negatives([WakeClip.of(half, Label.NEGATIVE)]))
    assert scored.hours == pytest.approx(0.01)
    assert scored.hours_of_sound == pytest.approx(0.005, rel=0.01)


def test_nothing_to_hear_gives_no_scores():
    scored = score(Loudness(), lay_out_negatives([]))
    assert len(scored.scores) == 0
    assert scored.hours == 0.0


def test_a_model_without_a_stream_scores_as_if_it_had_one():
    clips = [clip(duration, seed=i) for i, duration in enumerate([1.0, 130.0, 3.3, 65.0, 0.01])]
    stream = lay_out_negatives(clips)
    in_blocks, as_stream = score(Loudness(), stream), score(Streaming(), stream)
    assert len(in_blocks.scores) == len(rendered(stream)) // STEP
    np.testing.assert_allclose(in_blocks.scores, as_stream.scores, atol=1e-6)


def test_progress_ends_at_one():
    shares = []
    score(Loudness(), lay_out_negatives([clip(61.0, seed=i) for i in range(3)]), on_share=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


# which clip an event belongs to


def test_an_event_belongs_to_the_clip_that_was_heard_last():
    scored = score(Loudness(), lay_out([clip(seed=i) for i in range(3)], before_s=1.0, after_s=2.0))
    for i, one in enumerate(scored.placed):
        just_after = Event(one.end // STEP + 1, 0.9)
        assert scored.cells_of([just_after])[0] == i
        assert scored.belongs(just_after, one)
        assert not scored.belongs(Event(one.end // STEP + 14, 0.9), one)
        assert not scored.belongs(Event(one.start // STEP - 1, 0.9), one)


def test_the_first_event_of_each_clip_is_found_and_missing_ones_are_missed():
    clips = [clip(seed=1, level=0.2), clip(seed=2, level=0.001), clip(seed=3, level=0.2)]
    scored = score(Loudness(), lay_out_positives(clips))
    first, missed, last = scored.first_events(TriggerSettings(0.3))
    assert missed is None
    assert scored.belongs(first, scored.placed[0])
    assert scored.belongs(last, scored.placed[2])


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_clip_is_found_exactly_when_its_best_mean_reaches_the_threshold(steps):
    clips = [clip(seed=i, level=0.02 * (i + 1)) for i in range(6)]
    scored = score(Loudness(), lay_out_positives(clips))
    best = scored.best_means(TriggerSettings(0.5, steps))
    for threshold in best:
        found = scored.first_events(TriggerSettings(float(threshold), steps))
        assert [event is not None for event in found] == list(best >= threshold)


# noise under clips


def test_noise_lies_under_clips_at_the_stated_ratio():
    hum = np.sin(np.arange(80_000) * 0.3).astype(np.float32)
    speech = clip(2.0, seed=1)
    stream = lay_out_positives([speech], mix=Mix([hum], 10.0))
    one = stream.placed[0]
    noise = rendered(stream) - rendered(lay_out_positives([speech]))
    under = noise[one.start : one.end]
    ratio_db = 10 * np.log10(np.mean(speech.samples**2) / np.mean(under**2))
    assert ratio_db == pytest.approx(10.0, abs=0.5)
    assert np.abs(noise[: one.start]).max() > 0.01


def test_a_bark_is_never_louder_than_its_recording_allows():
    bark = np.full(80_000, 1e-4, np.float32)
    bark[40_000:44_000] = np.sin(np.arange(4_000) * 0.3)
    speech = clip(1.0, seed=1)
    loudest = []
    for seed in range(12):  # under the clip, beside it, or not there at all
        stream = lay_out_positives([speech], mix=Mix([bark], 10.0), seed=seed)
        noise = rendered(stream) - rendered(lay_out_positives([speech], seed=seed))
        loudest.append(float(np.abs(noise).max()))
    whole = np.sqrt(np.mean(speech.samples**2) / np.mean(bark**2) / 10.0)
    assert max(loudest) == pytest.approx(whole, rel=0.1)


def test_silence_is_no_noise_to_mix_in():
    with pytest.raises(InputError) as refused:
        Mix([np.zeros(100, np.float32)], 10.0)
    assert refused.value.code == "wakeword.no_noise"


def test_joined_streams_fire_where_each_of_them_did_and_hours_add_up():
    trigger = TriggerSettings(0.3, 1, 0.08)
    clips = [[clip(0.7 + 0.1 * seed, seed=seed), clip(seed=seed + 10)] for seed in range(3)]
    parts = [score(Loudness(), lay_out_negatives(one)) for one in clips]
    whole = joined(parts)
    assert whole.hours == pytest.approx(sum(one.hours for one in parts))
    own = [one.placed[at].clip.name for one in parts for at in one.cells_of(one.events(trigger))]
    assert len(own) > 6
    assert [whole.placed[at].clip.name for at in whole.cells_of(whole.events(trigger))] == own
