"""Strings of handwritten digits: a chain with learned transitions, read by Viterbi and greedily, against none.

``python benchmarks/digit_strings.py [--seeds 3] [--data FOLDER]`` trains ``lenet_crf`` with and without transitions
(the latter is a space displacement network under the CTC loss) on strings composed of the bundled digits, or of the
whole of MNIST in ``FOLDER/mnist``, and prints the exact-string accuracy and the character error rate on strings of test
digits. The seed draws strings, weights and order.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import mean

import pixelwise as pw
from pixelwise.data.samples.strings import write_strings

SCORES = ("exact_string", "exact_string_greedy", "character_error_rate", "character_error_rate_greedy")
FORMS = ("learned", "none")


def measure(data: Path, out: Path, transitions: str, *, epochs: int, seed: int) -> dict[str, float]:
    """Train once and return the scores on the test split."""
    run = pw.train(
        data,
        "lenet_crf",
        out=out,
        settings={"epochs": str(epochs), "transitions": transitions},
        seed=seed,
        quiet=True,
        should_check=False,
    )
    scores = run.scores
    assert scores is not None  # the run has finished
    return {score["name"]: score["value"] for score in scores["scores"]}


def main() -> None:
    """Parse the options, train, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder that holds mnist/ with the four packed IDX files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=2000, help="training strings")
    parser.add_argument("--test", type=int, default=1000, help="test strings")
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    source = None if options.data is None else options.data / "mnist"
    found: dict[str, list[dict[str, float]]] = {form: [] for form in FORMS}
    print("transitions  seed  " + "  ".join(SCORES))
    with tempfile.TemporaryDirectory() as place:
        for seed in range(options.seeds):
            data = write_strings(
                Path(place) / f"data{seed}", train=options.train, test=options.test, seed=seed, source=source
            )
            for form in FORMS:
                scores = measure(data, Path(place) / f"{form}{seed}", form, epochs=options.epochs, seed=seed)
                found[form].append(scores)
                _show(form, str(seed), scores)
    for form, of_seeds in found.items():
        _show(form, "mean", {name: mean(scores[name] for scores in of_seeds) for name in SCORES})


def _show(form: str, seed: str, scores: dict[str, float]) -> None:
    cells = "  ".join(f"{100 * scores[name]:>{len(name) - 2}.2f} %" for name in SCORES)
    print(f"{form:<11}  {seed:>4}  {cells}", flush=True)


if __name__ == "__main__":
    main()
