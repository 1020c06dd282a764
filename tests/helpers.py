"""What several tests of training share."""

import pytest
import torch

# Lightning's own warnings, on a small machine and a new torch.
LIGHTNING = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:The '.*dataloader' does not have many workers"),
    pytest.mark.filterwarnings("ignore:The number of training batches"),
    pytest.mark.filterwarnings("ignore:You are trying to"),  # a module without a trainer logs
]


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all that a network holds."""
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def differing(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """Names of the tensors that are not the same, bit for bit."""
    return {name for name in before if not torch.equal(before[name], after[name])}
