"""Alignments of strings against the recursive definition."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.metrics import align, edit_distance

STRINGS = st.lists(st.integers(0, 2), max_size=7)


def by_definition(truth, read):
    @cache
    def distance(a, b):
        if not a or not b:
            return len(a) + len(b)
        return min(distance(a[1:], b[1:]) + (a[0] != b[0]), distance(a[1:], b) + 1, distance(a, b[1:]) + 1)

    return distance(tuple(truth), tuple(read))


@given(STRINGS, STRINGS)
@settings(deadline=None, max_examples=200)
def test_distance_is_the_least_number_of_changes(truth, read):
    assert edit_distance(truth, read) == by_definition(truth, read)
    pairs = align(truth, read)
    assert [own for own, _ in pairs if own is not None] == truth
    assert [other for _, other in pairs if other is not None] == read
    assert (None, None) not in pairs


@pytest.mark.parametrize(
    ("truth", "read", "pairs"),
    [
        ([], [], []),
        ([1, 2], [1, 3], [(1, 1), (2, 3)]),
        ([1, 2, 3], [1, 3], [(1, 1), (2, None), (3, 3)]),
        ([1, 3], [2, 1, 3], [(None, 2), (1, 1), (3, 3)]),
        ([0, 1], [1, 2], [(0, None), (1, 1), (None, 2)]),  # two changes either way: the 1 was read
    ],
)
def test_alignments(truth, read, pairs):
    assert align(truth, read) == pairs
