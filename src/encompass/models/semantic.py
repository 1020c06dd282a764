"""Semantic segmentation on a low-cost encoder (thesis 2.5 and 4.2; Long et al. 2015, Chen et al.
2018): FCN's skips, or strides replaced by dilation; `decoders` has what follows the encoder.

Which layers there are is solved from the parameter counts of Table 4.2. A 1x1 convolution scores
the encoder's last map; each skip is a transposed convolution of the scores added to a 1x1 score of
the finer map (added, although section 2.5.1 says concatenated). Scores have no activation.

Atrous rates "of the last layer" (Tables 4.3 to 4.6) are of the last 3x3 that reads the map: the
depthwise convolution of MobileNet's block 13, the 3x3 expand layer of SqueezeNet's fire9; only
1x1 layers follow. The rate multiplies the dilation that an output stride has put there, so that
rate 1 is always the network as it is.

Logits are brought to the picture by bilinear interpolation, a step of its own, because what needs
full size differs: the loss does, the class of each pixel may not. Section 4.2.1 takes the softmax
before it, section 4.2.2 after it; here it is after.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from encompass.models.decoders import FcnDecoder, RefineDecoder
from encompass.models.mobilenet import BLOCKS, SHALLOW, MobileNetV1
from encompass.models.squeezenet import SqueezeNet
from encompass.models.zoo import SemanticSpec

# Widths of MobileNet are at least 8 in the ImageNet releases; multiplier 0.25 alone has such.
MIN_DEPTH = 8

Encoder = MobileNetV1 | SqueezeNet


def build_encoder(spec: SemanticSpec) -> Encoder:
    """The trunk of a row; its `forward` takes pictures in [-1, 1] and returns {layer: map}."""
    outputs = tuple(sorted(spec.maps))
    if spec.encoder in ("squeezenet1.0", "squeezenet1.1"):
        return SqueezeNet(
            version="1.0" if spec.encoder == "squeezenet1.0" else "1.1",
            outputs=outputs,
            output_stride=spec.output_stride,
            last_rate=spec.last_rate,
        )
    return MobileNetV1(
        multiplier=spec.multiplier,
        outputs=outputs,
        output_stride=spec.output_stride,
        last_rate=spec.last_rate,
        blocks=SHALLOW if spec.encoder == "mobilenet-shallow" else BLOCKS,
        min_depth=MIN_DEPTH,
    )


class SemanticNetwork(nn.Module):
    """The network of one semantic row. `upsample` brings its logits to the picture."""

    def __init__(self, spec: SemanticSpec, *, num_classes: int) -> None:
        """Args:
        spec: the row.
        num_classes: logits of a pixel; background, where there is one, is a class.
        """
        super().__init__()
        self.spec = spec
        self.num_classes = num_classes
        self.encoder = build_encoder(spec)
        strides = [self.encoder.strides[layer] for layer in spec.maps]
        assert strides[0] == spec.output_stride, f"the last layer has stride {strides[0]}"
        assert all(a == 2 * b for a, b in pairwise(strides)), f"skips have strides {strides}"
        self.stride = strides[-1]  # picture pixels for one cell of the logits
        channels = [self.encoder.channels[layer] for layer in spec.maps]
        self.decoder = (
            RefineDecoder(channels, spec.widths, num_classes)
            if spec.widths
            else FcnDecoder(channels, num_classes)
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits of cells of `stride` pixels; the first cell begins at the picture's corner.

        A picture whose sides are no multiples of the output stride is continued in grey to the
        right and below. So a cell lies at the same pixels whatever the picture's size, and maps
        fit onto each other.

        Args:
            pictures: (B, 3, H, W) RGB in 0..255.

        Returns:
            (B, classes, h, w), where h * stride >= H and w * stride >= W.
        """
        below, right = (-size % self.spec.output_stride for size in pictures.shape[-2:])
        maps = self.encoder(F.pad(pictures / 127.5 - 1.0, (0, right, 0, below)))
        return self.decoder([maps[layer] for layer in self.spec.maps])


def upsample(logits: Tensor, *, stride: int, size: tuple[int, int]) -> Tensor:
    """Bilinear interpolation to the picture's pixels.

    Args:
        logits: (B, classes, h, w), of cells of `stride` pixels.
        stride: `SemanticNetwork.stride`.
        size: (height, width) of the picture; what lies beyond is cut off.

    Returns:
        (B, classes, height, width).
    """
    height, width = size
    full = F.interpolate(logits, scale_factor=stride, mode="bilinear", align_corners=False)
    return full[..., :height, :width]
