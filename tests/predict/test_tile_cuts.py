"""Tiles along one axis: every pixel is answered once, from places whose whole dependence lies in the tile."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.predict.tiling.cuts import Line
from pixelwise.predict.tiling.plan import _ramped


@st.composite
def lines(draw: st.DrawFn) -> Line:
    lattice = draw(st.sampled_from([1, 2, 4, 8, 16]))
    before = draw(st.integers(0, 3)) * lattice
    margin = draw(st.integers(0, 20))
    size = draw(st.integers(1, 400))
    behind = draw(st.integers(0, 30)) + margin
    phases = tuple((-draw(st.integers(0, 40)), draw(st.integers(0, 40)) + margin) for _ in range(lattice))
    return Line(
        size, before, before + size + behind, margin, min(before, behind - margin, lattice - 1), lattice, phases
    )


@settings(deadline=None, max_examples=150)
@given(lines())
def test_every_pixel_is_answered_once_and_by_a_place_that_sees_all_it_needs(line: Line) -> None:
    for count, length in line.choices():
        cuts = line.cuts(length)
        assert len(cuts) == count
        assert [cuts[0].keep[0], cuts[-1].keep[1]] == [0, line.size]
        for cut, following in pairwise(cuts):
            assert cut.keep[1] == following.keep[0]
        for cut in cuts:
            assert cut.keep[0] < cut.keep[1]
            begin = cut.start + line.before
            assert begin % line.lattice == 0
            assert begin + length <= line.total
            for pixel in (cut.keep[0], (cut.keep[0] + cut.keep[1]) // 2, cut.keep[1] - 1):
                place = pixel + line.start
                assert place - begin == cut.answer + pixel - cut.keep[0]  # the answer's places are the input's
                low, high = (place + reach for reach in line.phases[place % len(line.phases)])
                assert low >= begin or begin == 0
                assert high < begin + length or begin + length == line.total


@settings(deadline=None, max_examples=50)
@given(lines())
def test_trusted_places_are_those_of_the_definition(line: Line) -> None:
    for length in list(line.lengths())[:6]:
        places = np.arange(max(length - line.margin, 0))
        low, high = (
            places + np.array([phase[end] for phase in line.phases])[places % len(line.phases)] for end in (0, 1)
        )
        early, late = (low < 0).nonzero()[0], (high >= length).nonzero()[0]
        expected = (early.max() + 1 if len(early) else 0, late.min() if len(late) else len(places))
        assert line.trusted(length) == expected


@settings(deadline=None, max_examples=100)
@given(lines(), st.sampled_from([2, 5, 16]))
def test_the_weights_of_blended_tiles_sum_to_one(line: Line, blend: int) -> None:
    blended = dataclasses.replace(line, blend=blend, keeps_residue=False)
    for count, length in blended.choices()[:12]:
        cuts, total = blended.cuts(length), np.zeros(line.size)
        assert len(cuts) == count
        for cut in cuts:
            total[slice(*cut.keep)] += _ramped(cut)
            assert 0 <= cut.answer <= cut.answer + cut.keep[1] - cut.keep[0] <= length - line.margin
        for cut, following in pairwise(cuts):
            assert cut.keep[1] - following.keep[0] == cut.ramps[1] == following.ramps[0] == 2 * blend
        assert np.allclose(total, 1)


@pytest.mark.parametrize("length", [16, 24])
def test_lengths_that_do_not_work_have_no_count(length: int) -> None:
    assert Line(400, 0, 400, 0, 0, 8, ((-10, 10),)).count(length) == 0
