import base64
import json

import pytest

from phonoloop.core.errors import ConfigError, IntegrityError, NotFoundError
from phonoloop.text.normalise import for_training
from phonoloop.text.tokens import (
    BLANK_ID,
    UNKNOWN_ID,
    UNKNOWN_TEXT,
    BpeTokenizer,
    CharTokenizer,
    load_tokenizer,
    save_tokenizer,
    tokenizer_from_dict,
)
from phonoloop.text.vietnamese import vietnamese_letters

TEXTS = [
    "bật đèn phòng khách",
    "tắt đèn phòng ngủ",
    "mở cửa phòng khách lúc bảy giờ",
    "đóng cửa nhà bếp ngay bây giờ",
    "hôm nay trời có mưa không",
]


@pytest.fixture(params=["char", "bpe"])
def tokenizer(request):
    if request.param == "char":
        return CharTokenizer.train(TEXTS)
    return BpeTokenizer.train(TEXTS, 60)


def test_what_was_learned_from_comes_back(tokenizer):
    for text in TEXTS:
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert tokenizer.unknown(text) == 0


def test_ids_leave_room_for_blank_and_stay_below_the_size(tokenizer):
    ids = {i for text in TEXTS for i in tokenizer.encode(text)}
    assert BLANK_ID not in ids
    assert UNKNOWN_ID not in ids
    assert max(ids) < tokenizer.vocab_size


def test_every_id_can_be_written(tokenizer):
    assert all(isinstance(tokenizer.decode([i]), str) for i in range(tokenizer.vocab_size))


def test_blanks_are_not_written(tokenizer):
    ids = tokenizer.encode("đèn")
    assert tokenizer.decode([0, *ids, 0]) == "đèn"


def test_an_unknown_character_is_counted_and_shown(tokenizer):
    assert tokenizer.unknown("đèn 犬") == 1
    assert tokenizer.decode(tokenizer.encode("đèn 犬")) == f"đèn {UNKNOWN_TEXT}"


def test_empty_text_is_no_tokens(tokenizer):
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


def test_a_saved_tokenizer_is_the_same(tokenizer, tmp_path):
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert loaded.hash == tokenizer.hash
    assert loaded.encode(TEXTS[2]) == tokenizer.encode(TEXTS[2])
    assert [p.name for p in tmp_path.iterdir()] == ["tokenizer.json"]


def test_the_same_texts_give_the_same_hash():
    assert BpeTokenizer.train(TEXTS, 60).hash == BpeTokenizer.train(TEXTS, 60).hash
    assert CharTokenizer.train(TEXTS).hash == CharTokenizer.train(reversed(TEXTS)).hash
    assert CharTokenizer.train(TEXTS).hash != CharTokenizer.train(TEXTS[:1]).hash


def test_vietnamese_is_covered_though_the_texts_lack_letters():
    char = CharTokenizer.train(["a"], cover="vi")
    bpe = BpeTokenizer.train(TEXTS, 130, cover="vi")
    for tokens in (char, bpe):
        assert tokens.unknown(vietnamese_letters()) == 0
        assert tokens.decode(tokens.encode("những quẫy ỡ")) == "những quẫy ỡ"


def test_bpe_learns_frequent_pieces():
    texts = [for_training(text) for text in TEXTS * 3]
    assert len(BpeTokenizer.train(texts, 60).encode("phòng khách")) < len("phòng khách") - 3


def test_training_is_silent(capfd):
    BpeTokenizer.train(TEXTS, 60)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("train", "code"),
    [
        (lambda: BpeTokenizer.train(TEXTS, 5000), "tokenizer.vocab_size"),
        (lambda: BpeTokenizer.train(TEXTS, 10), "tokenizer.vocab_size"),
        (lambda: BpeTokenizer.train([" "], 50), "tokenizer.no_text"),
        (lambda: CharTokenizer.train(TEXTS, cover="xx"), "tokenizer.cover"),
    ],
)
def test_a_recipe_that_cannot_work_says_so(train, code):
    with pytest.raises(ConfigError) as caught:
        train()
    assert caught.value.code == code


def test_a_missing_tokenizer_is_named(tmp_path):
    with pytest.raises(NotFoundError) as caught:
        load_tokenizer(tmp_path / "tokenizer.json")
    assert caught.value.code == "tokenizer.missing"
    assert str(tmp_path) in caught.value.subject


@pytest.mark.parametrize("cut", [0, 1, 40, 100])
def test_a_cut_off_file_is_damaged(tokenizer, tmp_path, cut):
    path = tmp_path / "tokenizer.json"
    save_tokenizer(tokenizer, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(IntegrityError) as caught:
        load_tokenizer(path)
    assert caught.value.code == "tokenizer.damaged"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda raw: raw.update(characters=raw["characters"] + "x"), "tokenizer.damaged"),
        (lambda raw: raw.update(hash="0" * 32), "tokenizer.damaged"),
        (lambda raw: raw.update(kind="words"), "tokenizer.damaged"),
        (lambda raw: raw.update(format=99), "tokenizer.format"),
        (lambda raw: raw.pop("characters"), "tokenizer.damaged"),
        (lambda raw: raw.update(characters=7), "tokenizer.damaged"),
        (lambda raw: raw.update(kind="bpe", model="no base64 !"), "tokenizer.damaged"),
    ],
)
def test_a_changed_file_is_refused(tmp_path, change, code):
    path = tmp_path / "tokenizer.json"
    save_tokenizer(CharTokenizer.train(TEXTS), path)
    raw = json.loads(path.read_text(encoding="utf-8"))
    change(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(IntegrityError) as caught:
        load_tokenizer(path)
    assert caught.value.code == code


@pytest.mark.parametrize("raw", [None, [], 7, "text"])
def test_json_that_is_no_tokenizer_is_refused(raw):
    with pytest.raises(IntegrityError):
        tokenizer_from_dict(raw)


def test_bytes_that_are_no_sentencepiece_model_are_refused():
    model = base64.b64encode(b"not a model").decode()
    with pytest.raises(IntegrityError) as caught:
        tokenizer_from_dict({"format": 1, "kind": "bpe", "model": model}).encode("a")
    assert caught.value.code == "tokenizer.damaged"
