"""What a computation costs on any machine: multiply-adds, and the bytes that its operators output.

The second is the thesis's measure of memory (section 5.2.3: output bytes of TensorFlow's profiler).
Differs: views and in-place operators, which allocate nothing, count nothing; TensorFlow's graphs
have hardly any. Imports torch alone, so that other programs' networks can be counted too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry


class CostCounter(TorchDispatchMode):
    """Counts what is computed inside `with CostCounter() as counter:`, without gradients.

    Multiply-adds are those of convolutions and matrix products, as PyTorch's own counter of
    floating-point operations knows them (two for each multiply-add); cells of padding count too.
    """

    macs: int = 0
    output_bytes: int = 0  # of tensors in memory that the operator itself allocated

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operator and add its cost."""
        kwargs = kwargs or {}
        known = {_memory(tensor) for tensor in _tensors((args, kwargs))}
        out = func(*args, **kwargs)
        for tensor in _tensors(out):
            if _memory(tensor) not in known:
                known.add(_memory(tensor))
                self.output_bytes += tensor.numel() * tensor.element_size()
        if count := flop_registry.get(func._overloadpacket):
            self.macs += count(*args, **kwargs, out_val=out) // 2
        return out


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
