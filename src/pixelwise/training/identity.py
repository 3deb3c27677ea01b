"""What makes two runs the same run, and which differences a resumed run may have."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from pixelwise.data.manifest import Manifest, Sample
from pixelwise.errors import RunError
from pixelwise.runs.folder import RunConfig
from pixelwise.training.recipe import Recipe
from pixelwise.values import show_value

SAFE_KEYS = ("workers", "checkpoint_seconds", "checkpoint_steps")
"""Settings that change nothing in the result, whenever they change."""

EARLY_STOP_KEYS = ("patience",)
"""Recipe fields that decide only where a run ends."""

ENDLESS_SCHEDULES = ("constant", "exponential")
"""Schedules that do not know where a run ends."""

DEVICE_KEYS = ("device", "precision")
"""Settings that a resumed run may change, but not to the same bits."""


def identity_of(config: RunConfig) -> dict[str, Any]:
    """Return what every checkpoint records of its run, to be compared when it is resumed."""
    return {
        "spec": config.spec,
        "in_channels": config.in_channels,
        "num_classes": config.num_classes,
        "task": config.task,
        "recipe": config.recipe,
        "preprocess": config.preprocess,
        "seed": config.seed,
        "manifest_digest": config.data["manifest_digest"],
    }


def may_change(key: str, recipe: Recipe) -> bool:
    """Whether a recipe's field may differ at resume: patience always; epochs where the rate does not depend on them."""
    return key in EARLY_STOP_KEYS or (key == "epochs" and recipe.schedule in ENDLESS_SCHEDULES)


def check_same(then: Mapping[str, Any], now: Mapping[str, Any], recipe: Recipe) -> None:
    """Refuse to go on with other settings than a checkpoint was made with.

    Args:
        then: the checkpoint's identity.
        now: the identity of the run as it stands.
        recipe: the recipe as it stands.

    Raises:
        RunError: shows every difference.

    """
    # Runs of an earlier version lack fields that came later: they were trained as the defaults say.
    defaults = Recipe().to_json()
    before, after = ({**side, "recipe": {**defaults, **side["recipe"]}} for side in (then, now))
    refused = [
        difference
        for key, difference in differences(before, after).items()
        if not (key.startswith("recipe.") and may_change(key.removeprefix("recipe."), recipe))
    ]
    if not refused:
        return
    shown = "; ".join(refused)
    raise RunError(
        f"The run was started with other settings: {shown}",
        expected=f"changes only to {', '.join((*SAFE_KEYS, *EARLY_STOP_KEYS, *DEVICE_KEYS))}, "
        f"and to epochs where schedule={' or '.join(ENDLESS_SCHEDULES)}",
        do="Undo the change, or train a new run",
    )


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Return what differs, by the path of its keys: ``{"recipe.loss": "recipe.loss: ce -> bce"}``."""
    before, after = _flat(then), _flat(now)
    return {
        key: f"{key}: {show_value(before.get(key))} -> {show_value(after.get(key))}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }


def check_same_data(then: Manifest, now: Manifest, root: object) -> None:
    """Refuse to go on with other data than a run was started with.

    Args:
        then: the run's manifest.
        now: the data as they are.
        root: where they are, for the message.

    Raises:
        RunError: says what was added, removed or changed.

    """
    now = _with_ignored_class(now, then.classes)
    if then.digest() == now.digest():
        return
    before, after = ({(sample.path, sample.frame): sample for sample in manifest} for manifest in (then, now))
    differences = {
        "added": [key for key in after if key not in before],
        "removed": [key for key in before if key not in after],
        "changed": [key for key in before if key in after and _content(before[key]) != _content(after[key])],
    }
    shown = [
        f"{len(keys)} {what} ({keys[0][0]}{', ...' if len(keys) > 1 else ''})"
        for what, keys in differences.items()
        if keys
    ]
    if then.classes != now.classes:
        shown.append(f"classes {', '.join(then.classes)} -> {', '.join(now.classes)}")
    difference = "; ".join(shown) or "masks, or how they are read"
    raise RunError(
        f"The data in {root} are not those that the run was started with: {difference}",
        expected="the same files, labels, masks and splits",
        do="Restore the data, give their new place with --data, or train a new run",
    )


def _with_ignored_class(manifest: Manifest, classes: tuple[str, ...]) -> Manifest:
    """Return a manifest with the last of ``classes``, where that is ignored: runs of an earlier version kept it."""
    reading = manifest.mask_reading
    if reading is None or classes[:-1] != manifest.classes or reading.ignore != len(classes) - 1:
        return manifest
    reading = dataclasses.replace(reading, num_classes=len(classes))
    return dataclasses.replace(manifest, classes=classes, mask_reading=reading)


def _content(sample: Sample) -> tuple[object, ...]:
    return sample.sha256, sample.label, sample.annotation, sample.mask, sample.mask_frame, sample.split


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat
