"""Dividing samples into training, validation and test sets: seeded, stratified, never parting what belongs together.

Single images of one class each are stratified exactly: in each class, each split's share is within one image of its
target, and what rounding leaves is spread over the classes so that the totals agree too. Groups, and samples that may
show many classes (masks, several labels), are stratified greedily (K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the
stratification of multi-label data", ECML PKDD 2011, with whole groups in place of single samples).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pixelwise.data.grouping import Codes, atoms, group_codes
from pixelwise.data.manifest import Manifest
from pixelwise.data.names import SPLITS, counted
from pixelwise.errors import DataError, UsageError

TRAIN: Final = 1
MANY_STACKS: Final = 10
"""From so many on, whole stacks are divided; fewer are cut into blocks."""

Fractions = tuple[float, float, float]


def split_manifest(
    manifest: Manifest, *, fractions: Fractions = (0.8, 0.1, 0.1), seed: int = 0, group_by: str | None = None
) -> Manifest:
    """Divide the samples that no split was given for.

    Given splits are kept. Where every sample has one and none is validation, validation is cut from the training
    samples alone. Stacks of slices are cut into contiguous blocks (train first, test last), since neighbouring slices
    are nearly equal; ten stacks or more are divided as wholes.

    Args:
        manifest: the samples.
        fractions: of train, val and test, together 1; 0 leaves a split out.
        seed: another seed, another division; the same on every machine.
        group_by: see :func:`pixelwise.data.grouping.group_codes`.

    Raises:
        UsageError: fractions or grouping that mean nothing.
        DataError: too few samples or groups for the splits wanted.

    """
    _check_fractions(fractions)
    given = np.bincount(manifest.column("split"), minlength=len(SPLITS))
    groups = group_codes(manifest, group_by)
    codes = np.array(manifest.column("split"), np.int64)
    if given[0]:
        target = np.array([fractions[0], *(0.0 if given[code] else fractions[code - 1] for code in (2, 3))])
        share = _percentages(target / target.sum())
        note = f"Divided with seed {seed} into {share}"
    elif given[1] and not given[2] and fractions[1]:
        target = np.array([fractions[0], fractions[1], 0.0])
        share = _percentages(target / target.sum())
        note = f"Validation images were cut from the training images with seed {seed}: {share}"
    else:
        return manifest
    slices = manifest.layout == "stack" and groups is None
    if slices and len(np.unique(manifest.column("path"))) >= MANY_STACKS:
        groups, slices = group_codes(manifest, "file"), False
        note += ", stack by stack"
    bound = atoms(manifest, groups)
    pool = _free(codes, bound, 0 if given[0] else TRAIN)
    if not len(pool):
        return manifest.with_splits(codes, note=f"{note}; but each sample belongs to one of a given split.")
    task = _Division(manifest, pool, bound[pool], target / target.sum(), seed)
    codes[pool] = _blocks(task) if slices else _stratified(task)
    task.mend(codes, every_class=not slices)
    how = ", in contiguous blocks of slices" if slices else ", stratified by class"
    return manifest.with_splits(codes, note=note + how + _about_bonds(group_by, groups, bound) + ".")


def _check_fractions(fractions: Fractions) -> None:
    if len(fractions) != 3 or min(fractions) < 0 or not fractions[0] or abs(sum(fractions) - 1) > 1e-6:
        raise UsageError(
            f"The fractions {', '.join(f'{value:g}' for value in fractions)} cannot divide a data set",
            expected="three numbers for train, val and test, together 1, train above 0",
            do="For instance 0.8, 0.1, 0.1",
        )


def _percentages(target: NDArray[np.float64]) -> str:
    return ", ".join(f"{share:.4g} % {SPLITS[k + 1]}" for k, share in enumerate(100 * target) if share)


def _about_bonds(group_by: str | None, groups: Codes | None, bound: Codes) -> str:
    if groups is not None:
        return f", grouped by {group_by or 'column'}" if group_by != "file" else ", grouped by file"
    extra = len(bound) - (int(bound.max()) + 1)
    if extra == 1:
        return ", 1 exact duplicate kept with its original"
    return f", {extra:,} exact duplicates kept with their originals" if extra else ""


def _free(codes: Codes, bound: Codes, code: int) -> NDArray[np.int64]:
    """Samples of split ``code`` that may go anywhere; those bound to a sample of another split are sent to it."""
    anchor = np.zeros(int(bound.max()) + 1, np.int64)
    fixed = codes != code
    np.maximum.at(anchor, bound[fixed], codes[fixed])
    waiting = np.flatnonzero(codes == code)
    tied = waiting[anchor[bound[waiting]] > 0]
    if code == 0:
        codes[tied] = anchor[bound[tied]]
    return waiting[anchor[bound[waiting]] == 0]


@dataclass(frozen=True, slots=True)
class _Division:
    """Samples to divide: ``pool`` are their places in the manifest, ``bound`` their atoms, ``target`` the shares."""

    manifest: Manifest
    pool: NDArray[np.int64]
    bound: Codes
    target: NDArray[np.float64]
    seed: int

    def order_keys(self) -> NDArray[np.uint64]:
        """One pseudo-random number per sample, of seed, path and frame alone: no library's generator can change it."""
        start = hashlib.blake2b(str(self.seed).encode(), digest_size=8)
        frames = self.manifest.column("frame")[self.pool].tolist()
        names = self.manifest.paths.table()
        keys: list[bytes] = []
        for code, frame in zip(self.manifest.column("path")[self.pool].tolist(), frames, strict=True):
            digest = start.copy()
            digest.update(f"\0{names[code]}\0{frame}".encode("utf-8", "surrogateescape"))
            keys.append(digest.digest())
        return np.frombuffer(b"".join(keys), np.uint64)

    def mend(self, codes: Codes, *, every_class: bool) -> None:
        """Give every class a training sample and every wanted split a sample, moving as few atoms as possible.

        Without ``every_class`` classes stay where they are: a slice out of its block would show its neighbours.

        Raises:
            DataError: there are too few.

        """
        names, of_sample = np.unique(self.bound, return_inverse=True)
        sizes = np.bincount(of_sample)
        where = np.zeros(len(names), np.int64)
        where[of_sample] = codes[self.pool]
        spread = csr_array((np.ones(len(of_sample)), (of_sample, np.arange(len(of_sample)))))
        shown = csr_array(spread @ self.manifest.shows(self.pool))
        elsewhere = np.setdiff1d(np.flatnonzero(codes == TRAIN), self.pool)
        fixed = np.asarray(self.manifest.shows(elsewhere).sum(axis=0)).ravel()
        in_train = fixed + np.asarray(shown[where == TRAIN].sum(axis=0)).ravel()
        missing = np.flatnonzero((in_train == 0) & (np.asarray(shown.sum(axis=0)).ravel() > 0))
        for index in missing if every_class else ():
            if in_train[index] == 0:
                atom = _smallest(np.flatnonzero(shown[:, [int(index)]].toarray()[:, 0]), sizes)
                where[atom] = TRAIN
                in_train += shown[[atom]].toarray()[0]
        for code in np.flatnonzero(self.target) + 1:
            if not (codes == code).any() and not (where == code).any():
                spare = [
                    atom
                    for atom in np.flatnonzero(where == TRAIN).tolist()
                    if all(in_train[k] > shown[atom, k] for k in shown[[atom]].indices)
                ]
                spare = (
                    spare or np.flatnonzero((where != TRAIN) & (np.bincount(where, minlength=4)[where] > 1)).tolist()
                )
                if not spare:
                    raise self._too_few(len(names))
                atom = _smallest(np.array(spare), sizes)
                if where[atom] == TRAIN:
                    in_train -= shown[[atom]].toarray()[0]
                where[atom] = code
        codes[self.pool] = where[of_sample]

    def _too_few(self, num_atoms: int) -> DataError:
        images = counted(len(self.pool), "image")
        if num_atoms != len(self.pool):
            images += f" in {counted(num_atoms, 'inseparable group')}"
        wanted = [SPLITS[code] for code in (np.flatnonzero(self.target) + 1).tolist()]
        return DataError(
            f"{images} cannot be divided into {', '.join(wanted)} with every class in train",
            expected="at least one for each split besides one of each class for train",
            do="Add images, group less coarsely, or give a split the fraction 0",
        )


def _smallest(candidates: NDArray[np.int64], sizes: NDArray[np.int64]) -> int:
    return int(candidates[np.argmin(sizes[candidates])])


def _blocks(task: _Division) -> Codes:
    """Cut each stack into train, val and test, in this order; equal slices join the first of their splits."""
    paths = task.manifest.column("path")[task.pool]
    frames = task.manifest.column("frame")[task.pool]
    codes = np.zeros(len(task.pool), np.int64)
    for stack in np.unique(paths):
        members = np.flatnonzero(paths == stack)
        members = members[np.argsort(frames[members], kind="stable")]
        codes[members] = np.repeat([1, 2, 3], _sizes(len(members), task.target))
    first = np.full(int(task.bound.max()) + 1, len(SPLITS), np.int64)
    np.minimum.at(first, task.bound, codes)
    return first[task.bound]


def _sizes(count: int, target: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers near ``count * target`` by the largest remainders; none wanted is 0 while another is above 1."""
    exact = count * target
    sizes = np.floor(exact + 1e-9).astype(np.int64)
    for place in np.argsort(-(exact - sizes), kind="stable")[: count - int(sizes.sum())]:
        sizes[place] += 1
    for place in np.flatnonzero((target > 0) & (sizes == 0)):
        if sizes.max() > 1:
            sizes[np.argmax(sizes)] -= 1
            sizes[place] = 1
    return sizes


def _stratified(task: _Division) -> Codes:
    keys = task.order_keys()
    _, of_sample, sizes = np.unique(task.bound, return_inverse=True, return_counts=True)
    alone = sizes[of_sample] == 1
    if task.manifest.form.shows_several:
        alone[:] = False
    codes = np.zeros(len(task.pool), np.int64)
    together = np.flatnonzero(~alone)
    if len(together):
        codes[together] = _greedy(task, together, of_sample, keys)
    singles = np.flatnonzero(alone)
    if len(singles):
        codes[singles] = _by_class(task, singles, codes, keys)
    return codes


def _greedy(
    task: _Division, together: NDArray[np.int64], of_sample: NDArray[np.int64], keys: NDArray[np.uint64]
) -> Codes:
    """Place whole atoms, those of the rarest classes first, each where its rarest class is missing most."""
    _, atom = np.unique(of_sample[together], return_inverse=True)
    sizes = np.bincount(atom)
    spread = csr_array((np.ones(len(atom)), (atom, np.arange(len(atom)))))
    shown = csr_array(spread @ task.manifest.shows(task.pool[together]))
    first_key = np.full(len(sizes), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(first_key, atom, keys[together])
    # Shares of the whole pool: the single samples, still free, will even things out.
    totals = np.asarray(task.manifest.shows(task.pool).sum(axis=0)).ravel()
    need = np.outer(task.target, totals)
    need_size = task.target * len(task.pool)
    need_size[task.target == 0] = -np.inf
    rarest = _rarest(shown, totals)
    rarity = np.where(rarest >= 0, totals[rarest], np.inf)
    where = np.zeros(len(sizes), np.int64)
    for place in np.lexsort((first_key, -sizes, rarity)).tolist():
        missing = need[:, rarest[place]] if rarest[place] >= 0 else need_size
        best = int(np.lexsort((-need_size, -np.where(task.target > 0, missing.round(6), -np.inf)))[0])
        row = slice(shown.indptr[place], shown.indptr[place + 1])
        need[best, shown.indices[row]] -= shown.data[row]
        need_size[best] -= sizes[place]
        where[place] = best + 1
    return where[atom]


def _rarest(shown: csr_array, totals: NDArray[np.float64]) -> NDArray[np.int64]:
    """Each row's class of the smallest total; -1 where it shows none."""
    rarest = np.full(shown.shape[0], -1, np.int64)
    for place in range(shown.shape[0]):
        classes = shown.indices[shown.indptr[place] : shown.indptr[place + 1]]
        if len(classes):
            rarest[place] = classes[np.argmin(totals[classes])]
    return rarest


def _by_class(task: _Division, singles: NDArray[np.int64], codes: Codes, keys: NDArray[np.uint64]) -> Codes:
    """Divide single images class by class, each split's number within one of its target."""
    labels = task.manifest.column("label")[task.pool]
    totals = np.bincount(labels, minlength=len(task.manifest.classes))
    placed = np.stack([np.bincount(labels[codes == k], minlength=len(totals)) for k in (1, 2, 3)], 1)
    ordered = singles[np.lexsort((keys[singles], labels[singles]))]
    counts = np.bincount(labels[singles], minlength=len(totals))
    owed = np.zeros(3)  # what rounding has kept from each split so far
    parts: list[NDArray[np.int64]] = []
    for index in np.flatnonzero(counts).tolist():
        exact = np.maximum(totals[index] * task.target - placed[index], 0)
        exact *= counts[index] / exact.sum()
        sizes = _rounded(exact, owed, needs_train=placed[index][0] == 0)
        owed += exact - sizes
        parts.append(np.repeat([1, 2, 3], sizes))
    result = np.zeros(len(task.pool), np.int64)
    result[ordered] = np.concatenate(parts)
    return result[singles]


def _rounded(exact: NDArray[np.float64], owed: NDArray[np.float64], *, needs_train: bool) -> NDArray[np.int64]:
    """Round to the same sum, up where earlier classes were rounded down most; train first if it has none."""
    sizes = np.floor(exact + 1e-9).astype(np.int64)
    rest = exact - sizes
    urgency = np.where(rest > 1e-9, owed + rest, -np.inf)
    if needs_train and sizes[0] == 0:
        urgency[0] = np.inf
    up: Sequence[int] = np.argsort(-urgency, kind="stable")[: round(float(rest.sum()))].tolist()
    for place in up:
        sizes[place] += 1
    return sizes
