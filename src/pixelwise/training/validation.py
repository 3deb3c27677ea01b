"""Loss and metrics of the validation pictures, during training."""

import torch

from pixelwise.data.loading import load_batches
from pixelwise.data.sample_set import SampleSet
from pixelwise.specs import Network
from pixelwise.training import distributed
from pixelwise.training.device import autocast
from pixelwise.training.job import Job


@torch.inference_mode()
def validate(job: Job, network: Network, val_set: SampleSet) -> tuple[float, dict[str, float]]:
    """Return the mean loss per picture and the task's scores, over all processes.

    Raises:
        Interrupted: a signal came; the network is as it was.

    """
    network.eval()
    distributed.same_buffers(network)
    meter, sums = job.task.meter(), torch.zeros(2, dtype=torch.float64)
    batches = load_batches(
        val_set,
        batch_size=job.val_batch_size,
        epoch=0,
        shuffle=False,
        workers=job.workers,
        rank=distributed.rank(),
        world_size=distributed.world_size(),
    )
    for batch in batches:
        job.stop.poll()
        targets = batch.targets.to(job.device, non_blocking=True)
        with autocast(job.device, job.dtype):
            logits = network(batch.network_input(job.preprocess, job.device))
        meter.update(logits, targets)
        sums += torch.tensor([job.task.loss((logits,), targets).item() * len(targets), len(targets)])
    distributed.add_up({**meter.state(), "loss": sums})
    return float(sums[0] / sums[1]), meter.scores()
