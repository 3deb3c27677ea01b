"""What an unfinished prediction was begun with, and going on with it only where that is the same."""

import hashlib
import json
from dataclasses import replace
from typing import Any

from pixelwise.data.regions import RegionSource
from pixelwise.predict.large.journal import RunJournal
from pixelwise.predict.large.places import Places
from pixelwise.predict.postprocess import Pipeline
from pixelwise.predict.tiling import TilePlan
from pixelwise.runs.model import Model


def begun_with(
    model: Model, source: RegionSource, plan: TilePlan, places: Places, pipeline: Pipeline
) -> dict[str, Any]:
    """Say what is predicted: whatever changes an output changes this."""
    return {
        "plan": replace(plan, tile_bytes=0).digest(),  # an estimate of memory does not change the output
        "model": _model_digest(model),
        "input": source.identity,
        "outputs": {"format": places.fmt, "probabilities": places.probabilities is not None},
        "post": pipeline.to_json(),
    }


def _model_digest(model: Model) -> str:
    """Return a sha256 over weights, network, task and preprocessing."""
    parts = {"spec": model.spec.to_json(), "task": model.task.to_json(), "preprocess": model.preprocess.to_json()}
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for name, tensor in sorted(model.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def open_journal(places: Places, begun: dict[str, Any], *, overwrite: bool) -> RunJournal:
    """Go on with what the same command began, or begin anew."""
    if not overwrite:
        places.refuse_standing()
        return RunJournal(places.journal, begun)
    return RunJournal(places.journal, begun, places.clear)
