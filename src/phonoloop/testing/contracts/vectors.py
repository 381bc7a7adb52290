"""What every vector index does.

A test class inherits from the suite and gives it a fixture `make`: a function that opens the index of
this test, for vectors of 8 numbers. For an index that is kept (`KeptVectorsContract`), called again, after
`close`, it opens the same one again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from phonoloop.core.errors import InputError
from phonoloop.core.ports import VectorIndex, VectorPoint

Make = Callable[[], VectorIndex]

DIMENSIONS = 8


def axis(number: int, scale: float = 1.0) -> np.ndarray:
    vector = np.zeros(DIMENSIONS, np.float32)
    vector[number] = scale
    return vector


def random_points(count: int, seed: int = 1) -> list[VectorPoint]:
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)
    return [VectorPoint(f"p{i:04d}", vector, {"parity": i % 2}) for i, vector in enumerate(vectors)]


class VectorsContract:
    @pytest.fixture
    def index(self, make: Make):
        opened = make()
        yield opened
        opened.close()

    def test_the_nearest_come_first_with_their_cosine_whatever_their_length(self, index: VectorIndex):
        index.upsert(
            [
                VectorPoint("same", axis(0, 100.0), {"text": "chào"}),
                VectorPoint("half", axis(0) + axis(1)),
                VectorPoint("across", axis(1, 0.01)),
                VectorPoint("against", axis(0, -1.0)),
            ]
        )
        hits = index.search(axis(0, 3.0), k=10)
        assert [hit.point_id for hit in hits] == ["same", "half", "across", "against"]
        assert [hit.score for hit in hits] == pytest.approx([1.0, 2**-0.5, 0.0, -1.0], abs=5e-4)
        assert hits[0].payload == {"text": "chào"}
        assert hits[1].payload == {}

    def test_at_most_k(self, index: VectorIndex):
        index.upsert(random_points(10))
        assert len(index.search(axis(0), k=3)) == 3
        assert index.search(axis(0), k=0) == []

    def test_an_empty_index_finds_nothing(self, index: VectorIndex):
        assert index.search(axis(0), k=5) == []
        assert index.count() == 0

    def test_upserting_nothing_is_nothing(self, index: VectorIndex):
        index.upsert([])
        assert index.count() == 0

    def test_upserting_again_replaces_vector_and_payload(self, index: VectorIndex):
        index.upsert([VectorPoint("a", axis(0), {"old": 1, "both": 1})])
        index.upsert([VectorPoint("a", axis(1), {"both": 2})])
        assert index.count() == 1
        (hit,) = index.search(axis(1), k=5)
        assert hit.score == pytest.approx(1.0, abs=1e-5)
        assert hit.payload == {"both": 2}

    def test_the_last_of_one_id_counts(self, index: VectorIndex):
        index.upsert([VectorPoint("a", axis(0), {"n": 1}), VectorPoint("a", axis(1), {"n": 2})])
        assert [hit.payload for hit in index.search(axis(1), k=5)] == [{"n": 2}]

    def test_deleting_forgets_and_twice_is_once(self, index: VectorIndex):
        index.upsert([VectorPoint(name, axis(0)) for name in "abc"])
        index.delete(["a", "b", "never"])
        index.delete(["a"])
        index.delete([])
        assert index.count() == 1
        assert [hit.point_id for hit in index.search(axis(0), k=5)] == ["c"]

    @pytest.mark.parametrize(
        ("equals", "found"),
        [
            ({"speaker": "lan"}, {"a", "b"}),
            ({"speaker": "lan", "checked": True}, {"a"}),
            ({"year": 2025}, {"c"}),
            ({"checked": 1}, set()),
            ({"a.b[]": "x"}, {"c"}),
            ({"speaker": "nobody"}, set()),
            ({"colour": "red"}, set()),
            ({}, {"a", "b", "c"}),
            (None, {"a", "b", "c"}),
        ],
        ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
    )
    def test_only_those_whose_payload_has_these_values(self, index: VectorIndex, equals, found):
        index.upsert(
            [
                VectorPoint("a", axis(0), {"speaker": "lan", "checked": True, "year": 2026}),
                VectorPoint("b", axis(0), {"speaker": "lan", "checked": False, "year": 2026}),
                VectorPoint("c", axis(0), {"speaker": "mai", "year": 2025, "a.b[]": "x"}),
            ]
        )
        assert {hit.point_id for hit in index.search(axis(0), k=10, equals=equals)} == found

    def test_lists_and_fractions_are_nothing_to_filter_by(self, index: VectorIndex):
        for value in ([1], 0.5, None):
            with pytest.raises(InputError) as refusal:
                index.search(axis(0), k=1, equals={"x": value})
            assert refusal.value.code == "vector.filter"

    @pytest.mark.parametrize(
        ("ranges", "found"),
        [
            ({"snr": (10.0, None)}, "bc"),
            ({"snr": (None, 10.0)}, "a"),
            ({"snr": (5.5, 10)}, "a"),
            ({"snr": (None, None)}, "abcd"),
            ({"snr": (10.0, None), "a.b[]": (1, 2)}, "b"),
            ({"colour": (0.0, None)}, ""),
            ({"text": (0.0, None)}, ""),
            ({"flag": (0.0, None)}, ""),
        ],
        ids=str,
    )
    def test_only_those_whose_numbers_lie_in_a_range(self, index: VectorIndex, ranges, found):
        index.upsert(
            [
                VectorPoint("a", axis(0), {"snr": 5.5, "text": "7", "flag": True}),
                VectorPoint("b", axis(0), {"snr": 10, "a.b[]": 1}),
                VectorPoint("c", axis(0), {"snr": 20.25}),
                VectorPoint("d", axis(0), {}),
            ]
        )
        assert {hit.point_id for hit in index.search(axis(0), k=10, ranges=ranges)} == set(found)

    def test_values_and_ranges_together(self, index: VectorIndex):
        index.upsert(
            [VectorPoint(f"p{i}", axis(0), {"who": "lan" if i % 2 else "mai", "n": i}) for i in range(10)]
        )
        hits = index.search(axis(0), k=10, equals={"who": "lan"}, ranges={"n": (4, 8)})
        assert {hit.point_id for hit in hits} == {"p5", "p7"}

    def test_a_bound_is_a_number(self, index: VectorIndex):
        for bound in ("5", True, float("nan")):
            with pytest.raises(InputError) as refusal:
                index.search(axis(0), k=1, ranges={"x": (bound, None)})
            assert refusal.value.code == "vector.filter"

    def test_k_counts_what_the_filter_lets_through(self, index: VectorIndex):
        index.upsert([VectorPoint(f"near{i}", axis(0), {"kind": "near"}) for i in range(20)])
        index.upsert([VectorPoint("far", axis(1), {"kind": "far"})])
        assert [hit.point_id for hit in index.search(axis(0), k=1, equals={"kind": "far"})] == ["far"]

    def test_payloads_come_back_as_they_were(self, index: VectorIndex):
        payload = {"text": "Đường ờ", "n": 2**40, "x": 0.5, "flag": False, "deep": {"a": [1, None, "b"]}}
        index.upsert([VectorPoint("a", axis(0), payload)])
        assert index.search(axis(0), k=1)[0].payload == payload

    def test_any_text_is_an_id(self, index: VectorIndex):
        names = ["1f3a-000000000-000016000", "chữ", "a/b", "7"]
        index.upsert([VectorPoint(name, axis(i)) for i, name in enumerate(names)])
        assert [index.search(axis(i), k=1)[0].point_id for i in range(4)] == names

    @pytest.mark.parametrize(
        "vector",
        [
            np.zeros(DIMENSIONS, np.float32),
            np.full(DIMENSIONS, np.nan, np.float32),
            np.ones(DIMENSIONS + 1, np.float32),
            np.ones((2, DIMENSIONS), np.float32),
        ],
        ids=["zero", "nan", "too long", "two"],
    )
    def test_what_has_no_direction_or_another_shape_is_refused_and_nothing_kept(self, index, vector):
        index.upsert([VectorPoint("good", axis(0))])
        with pytest.raises(InputError) as refusal:
            index.upsert([VectorPoint("also good", axis(1)), VectorPoint("bad", vector)])
        assert refusal.value.code == "vector.invalid"
        assert index.count() == 1
        with pytest.raises(InputError):
            index.search(vector, k=1)

    def test_it_agrees_with_the_definition(self, index: VectorIndex):
        points = random_points(300)
        index.upsert(points)
        query = axis(0) + axis(3)
        cosines = {p.point_id: float(p.vector @ query / np.linalg.norm(p.vector)) for p in points}
        expected = sorted(cosines, key=cosines.get, reverse=True)[:10]
        assert [hit.point_id for hit in index.search(query, k=10)] == expected
        even = [p for p in expected if int(p[1:]) % 2 == 0]
        assert [hit.point_id for hit in index.search(query, k=len(even), equals={"parity": 0})] == even


class KeptVectorsContract(VectorsContract):
    """Of an index that is still there after its process has ended."""

    def test_what_was_stored_is_there_when_it_is_opened_again(self, make: Make):
        index = make()
        index.upsert(random_points(50))
        index.delete(["p0007"])
        before = index.search(axis(2), k=5)
        index.close()
        index = make()
        after = index.search(axis(2), k=5)
        assert index.count() == 49
        index.close()
        assert [(hit.point_id, hit.payload) for hit in after] == [(h.point_id, h.payload) for h in before]
