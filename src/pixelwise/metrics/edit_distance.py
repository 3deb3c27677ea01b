"""The fewest changes from one string to another, and which characters correspond.

Source: Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals", 1966; computed by the
table of Wagner and Fischer, "The string-to-string correction problem", Journal of the ACM 21(1), 1974.
"""

from collections.abc import Sequence

Pair = tuple[int | None, int | None]
"""A character of the truth and what was read for it; None where there is none."""


def align(truth: Sequence[int], read: Sequence[int]) -> list[Pair]:
    """Return the characters of both, side by side, with as few differing pairs as possible.

    Of equally good alignments, the one with substitutions rather than pairs of a deletion and an insertion.
    """
    costs = [list(range(len(read) + 1))]
    for row, own in enumerate(truth, start=1):
        line = [row]
        for column, other in enumerate(read, start=1):
            line.append(min(costs[-1][column - 1] + (own != other), costs[-1][column] + 1, line[-1] + 1))
        costs.append(line)
    pairs: list[Pair] = []
    row, column = len(truth), len(read)
    while row or column:
        cost = costs[row][column]
        if row and column and cost == costs[row - 1][column - 1] + (truth[row - 1] != read[column - 1]):
            row, column = row - 1, column - 1
            pairs.append((truth[row], read[column]))
        elif row and cost == costs[row - 1][column] + 1:
            row -= 1
            pairs.append((truth[row], None))
        else:
            column -= 1
            pairs.append((None, read[column]))
    return pairs[::-1]


def edit_distance(truth: Sequence[int], read: Sequence[int]) -> int:
    """Return the number of insertions, deletions and substitutions that turn one into the other."""
    return sum(own != other for own, other in align(truth, read))
