"""A text of any length is said sentence by sentence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonoloop.core.errors import InputError
from phonoloop.voice.infer import MAX_CHARS, sentences, speak

RATE_HZ = 22_050


def tone(text):
    return np.full(10 * len(text), 0.5, np.float32), RATE_HZ


def test_sentences_keep_their_marks():
    text = "Xin chào! Bạn khoẻ không? “Tôi khoẻ.” Cảm ơn\nHẹn gặp lại"
    assert sentences(text) == ["Xin chào!", "Bạn khoẻ không?", "“Tôi khoẻ.", "Cảm ơn", "Hẹn gặp lại"]


def test_decimals_and_times_are_not_ends():
    assert sentences("Giá 3.5 triệu lúc 10:30 nhé.") == ["Giá 3.5 triệu lúc 10:30 nhé."]


def test_long_sentences_are_parted_at_commas():
    text = ", ".join(["một hai ba bốn năm sáu bảy"] * 20)
    parts = sentences(text)
    assert len(parts) > 1
    assert all(part.endswith(",") for part in parts[:-1])


@given(text=st.text(alphabet="ab ,.!\n", max_size=800))
def test_no_word_is_lost_and_no_part_is_long(text):
    parts = sentences(text)
    letters = [ch for ch in "".join(parts) if ch.isalnum()]
    assert letters == [ch for ch in text if ch.isalnum()]
    longest = max(map(len, text.replace("\n", " ").split(" ")), default=0)
    assert all(len(part) <= max(200, longest) for part in parts)


def test_there_is_a_pause_between_and_none_after():
    spoken, rate_hz = speak("Một. Hai.", tone, pause_s=0.1)
    assert rate_hz == RATE_HZ
    assert spoken.size == 10 * len("Một.") + 2205 + 10 * len("Hai.")
    assert spoken[40:2245].tolist() == [0.0] * 2205
    assert spoken[-1] == 0.5


@pytest.mark.parametrize("text", ["", "  \n", "…!?", "a" * (MAX_CHARS + 1)])
def test_nothing_and_too_much_are_refused(text):
    with pytest.raises(InputError) as caught:
        speak(text, tone)
    assert caught.value.code == "voice.text"
