"""The fewest changes from one string to another, and which characters correspond.

Source: Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals", 1966; computed by the
table of Wagner and Fischer, "The string-to-string correction problem", Journal of the ACM 21(1), 1974.
"""

from collections.abc import Sequence

Pair = tuple[int | None, int | None]
"""A character of the truth and what was read for it; None where there is none."""


def align(truth: Sequence[int], read: Sequence[int]) -> list[Pair]:
    """Return the characters of both, side by side, with as few differing pairs as possible.

    Of alignments with equally few, the one with the most characters read rightly; of these, the one with substitutions
    rather than pairs of a deletion and an insertion.
    """
    costs = [[(column, 0) for column in range(len(read) + 1)]]  # changes, and minus the characters read rightly
    for row, own in enumerate(truth, start=1):
        line = [(row, 0)]
        for column, other in enumerate(read, start=1):
            above, before = costs[-1][column], line[-1]
            beside = _step(costs[-1][column - 1], own, other)
            line.append(min(beside, (above[0] + 1, above[1]), (before[0] + 1, before[1])))
        costs.append(line)
    pairs: list[Pair] = []
    row, column = len(truth), len(read)
    while row or column:
        cost = costs[row][column]
        if row and column and cost == _step(costs[row - 1][column - 1], truth[row - 1], read[column - 1]):
            row, column = row - 1, column - 1
            pairs.append((truth[row], read[column]))
        elif row and cost == (costs[row - 1][column][0] + 1, costs[row - 1][column][1]):
            row -= 1
            pairs.append((truth[row], None))
        else:
            column -= 1
            pairs.append((None, read[column]))
    return pairs[::-1]


def _step(cost: tuple[int, int], own: int, other: int) -> tuple[int, int]:
    changes, rightly = cost
    return (changes, rightly - 1) if own == other else (changes + 1, rightly)


def edit_distance(truth: Sequence[int], read: Sequence[int]) -> int:
    """Return the number of insertions, deletions and substitutions that turn one into the other."""
    return sum(own != other for own, other in align(truth, read))
