"""Scores of strings: how many are right to the last character, and how many changes the others need.

``exact_string`` is the share of pictures whose whole string is right; ``character_error_rate`` the insertions,
deletions and substitutions of all strings together over the characters of the truth (Graves et al. 2006, section 5,
call it the label error rate); it may exceed 1. Both are given for Viterbi's reading and, with ``_greedy``, for that of
the windows each taken for itself. A character's recall is the share of its places in the truth that were read so.
"""

from collections.abc import Sequence

import numpy as np
import scipy.sparse

from pixelwise.data.strings import parse_string
from pixelwise.evaluation.tally import Array, Measured, tally_sums
from pixelwise.evaluation.work import Findings, Work
from pixelwise.metrics import ClassCounts, align, edit_distance, ratio
from pixelwise.predict.text_prediction import TextPrediction

_SUMS = ("pictures", "exact", "exact_greedy", "errors", "errors_greedy", "characters")


def score_strings(work: Work) -> Findings:
    """Compare the string of every sample with the one read."""
    size, samples = len(work.classes), []
    summands = np.zeros((len(work.indices), 3 * size + len(_SUMS)))
    for place, (index, prediction) in enumerate(work.predictions()):
        assert isinstance(prediction, TextPrediction)  # the model's task is sequence
        truth = work.order[list(parse_string(work.manifest.annotations[index]))].tolist()
        summands[place] = _summands(truth, prediction, size)
        errors = edit_distance(truth, prediction.characters)
        samples.append(
            work.sample(
                index,
                max(0.0, 1 - errors / len(truth)),
                truth="".join(work.classes[character] for character in truth),
                prediction=prediction.text,
                probability=prediction.probability,
            )
        )

    def measure(sums: Array) -> Measured:
        counts = ClassCounts(*(sums[:, block * size : (block + 1) * size] for block in range(3)))
        total = dict(zip(_SUMS, sums[:, 3 * size :].T, strict=True))
        overall = {
            "exact_string": ratio(total["exact"], total["pictures"]),
            "exact_string_greedy": ratio(total["exact_greedy"], total["pictures"]),
            "character_error_rate": ratio(total["errors"], total["characters"]),
            "character_error_rate_greedy": ratio(total["errors_greedy"], total["characters"]),
        }
        classes = {"recall": counts.recall(), "precision": counts.precision(), "f1": counts.f1()}
        return Measured(overall, classes, counts.truth)

    tally = tally_sums(
        scipy.sparse.csr_array(summands),
        measure,
        work.classes,
        images=len(work.indices),
        seed=work.seed,
        should_stop=work.should_stop,
    )
    return Findings(tally, np.zeros((0, 0), np.int64), tuple(samples))


def _summands(truth: Sequence[int], prediction: TextPrediction, size: int) -> Array:
    """What one picture adds: K characters that are right, K in the truth, K that were read, and :data:`_SUMS`."""
    right = [own for own, other in align(truth, prediction.characters) if own is not None and own == other]
    counts = [np.bincount(np.array(found, np.int64), minlength=size) for found in (right, truth, prediction.characters)]
    greedy = edit_distance(truth, prediction.greedy)
    errors = edit_distance(truth, prediction.characters)
    return np.concatenate([*counts, [1, errors == 0, greedy == 0, errors, greedy, len(truth)]]).astype(np.float64)
