"""Bootstrap intervals: against theory, a loop, and their edge cases."""

import math

import numpy as np
import pytest
import scipy.sparse

from pixelwise.metrics import bootstrap, bootstrap_interval


def share(sums):
    return (sums[:, 0] / sums[:, 1])[:, None]


def table_of(right):
    return np.stack([right, np.ones(len(right))], axis=1)


def test_the_interval_of_a_proportion_is_the_binomial_one():
    right = np.zeros(400)
    right[:300] = 1
    ((low, high),) = bootstrap_interval(table_of(right), share, resamples=4000)
    half = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert low == pytest.approx(0.75 - half, abs=0.005)
    assert high == pytest.approx(0.75 + half, abs=0.005)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(300):
        bounds = bootstrap_interval(table_of(rng.random(80) < 0.7), share, seed=trial, resamples=300)
        covered += bounds[0, 0] <= 0.7 <= bounds[0, 1]
    assert 0.90 <= covered / 300 <= 0.98


def test_resamples_equal_a_loop_over_images(monkeypatch):
    rng = np.random.default_rng(0)
    table = rng.random((6, 2)) + 0.1
    seen = []

    def statistic(sums):
        seen.append(sums.copy())
        return share(sums)

    bounds = bootstrap_interval(table, statistic, seed=3, resamples=50)
    draws = np.random.default_rng(3).integers(6, size=(50, 6))
    by_loop = np.array([table[draw].sum(0) for draw in draws])
    np.testing.assert_allclose(np.concatenate(seen), by_loop)
    np.testing.assert_allclose(bounds[0], np.percentile(by_loop[:, 0] / by_loop[:, 1], [2.5, 97.5]))
    monkeypatch.setattr(bootstrap, "_CELLS_AT_ONCE", 42)  # 7 resamples at a time: the same draws in other portions
    np.testing.assert_allclose(bootstrap_interval(table, share, seed=3, resamples=50), bounds)
    np.testing.assert_allclose(bootstrap_interval(scipy.sparse.csr_array(table), share, seed=3, resamples=50), bounds)


def test_a_seed_is_repeatable_and_another_differs():
    table = table_of(np.arange(30) % 3 == 0)
    first, again, other = (bootstrap_interval(table, share, seed=seed, resamples=200) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_one_image_has_no_interval():
    bounds = bootstrap_interval(np.array([[3.0, 4.0]]), lambda sums: np.zeros((len(sums), 2)))
    assert bounds.shape == (2, 2)
    assert np.isnan(bounds).all()


def test_images_that_all_agree_say_nothing_about_the_next_one():
    assert np.isnan(bootstrap_interval(table_of(np.ones(6)), share)).all()


def test_undefined_resamples_are_left_out():
    table = np.zeros((5, 2))
    table[:2] = [[1, 2], [1, 1]]  # the class is in two images only: some resamples lack it

    def statistic(sums):
        shares = np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0)
        return np.stack([shares, np.full(len(sums), np.nan)], axis=1)

    bounds = bootstrap_interval(table, statistic, resamples=200)
    np.testing.assert_allclose(bounds[0], [0.5, 1])
    assert np.isnan(bounds[1]).all()


def test_a_stop_is_honoured_between_portions(monkeypatch):
    class StopError(Exception):
        pass

    def stop():
        raise StopError

    with pytest.raises(StopError):
        bootstrap_interval(table_of(np.ones(5)), share, should_stop=stop)
