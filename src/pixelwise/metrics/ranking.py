"""At which place the true class stands among the scores."""

from torch import Tensor


def rank_of_truth(scores: Tensor, target: Tensor) -> Tensor:
    """Return the place of each true class, 0 for the first.

    Top-k accuracy is the share of places below k (Russakovsky et al., "ImageNet Large Scale Visual Recognition
    Challenge", 2015, section 4.1, reports the errors for k = 1 and 5). Among equal scores the lower class index stands
    first, and scores that are not numbers stand last, so that a broken network is never right.

    Args:
        scores: (N, K) logits or probabilities.
        target: (N,) int64 class indices.

    Returns:
        (N,) int64 in 0..K-1.

    """
    own = scores.gather(1, target.unsqueeze(1))  # (N, 1)
    classes = scores.new_tensor(range(scores.shape[1])).to(target.dtype)
    behind = (scores < own) | ((scores == own) & (classes > target.unsqueeze(1)))
    return scores.shape[1] - 1 - behind.sum(1)
