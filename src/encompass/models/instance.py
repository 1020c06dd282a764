"""SSD with parallel instance segmentation branches (thesis chapter 3), and its decoding."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encompass.geometry.boxes import clip
from encompass.geometry.grid import Shape, encompassing_cells, route, route_by_aspect
from encompass.geometry.masks import decode_mask
from encompass.geometry.resize import Stretch
from encompass.models.anchors import build_anchors, decode, nms, pixel_anchors
from encompass.models.branches import (
    BOX_CHANNELS,
    Branch,
    box_channels,
    crop_batch,
    crop_cells,
)
from encompass.models.mask_head import MaskHead
from encompass.models.ssd import SsdMobileNet, SsdOutputs
from encompass.models.zoo import InstanceSpec
from encompass.schema import BoxMask, Instances


@dataclass(frozen=True, slots=True)
class Detections:
    """The boxes of one picture after non-maximum suppression, best first."""

    boxes_xyxy: Tensor  # (N, 4) net pixels, clipped to the input
    scores: Tensor  # (N,)
    labels: Tensor  # (N,) int64


@dataclass(frozen=True, slots=True)
class MaskLogits:
    """What the branches say of N boxes, in the order of the boxes."""

    cells: np.ndarray  # (N, 4) float32 what was cropped, edges in cells of the coarse map
    branches: np.ndarray  # (N,) int64, -1 for a box without a branch
    logits: list[Tensor]  # N of (classes, h, w), that of the box's branch; (classes, 0, 0) for none


Head = Branch | MaskHead
AT_ONCE = 16  # boxes of a branch: the crops of a hundred would take a gigabyte


class SsdIsb(nn.Module):
    """The network of one row of the zoo. `forward` is the detector; `masks` runs the branches."""

    def __init__(self, spec: InstanceSpec, *, num_classes: int) -> None:
        super().__init__()
        self.spec = spec
        self.num_classes = num_classes
        self.detector = SsdMobileNet(
            multiplier=spec.multiplier,
            num_classes=num_classes,
            outputs=spec.crop_blocks,
            more_anchors=spec.anchors == "pixels",
            fine_map=spec.fine_map,
            inner=spec.inner,
        )
        trunk = self.detector.trunk
        self.stride = trunk.STRIDES[spec.crop_blocks[0]]
        channels = [trunk.channels[block] for block in spec.crop_blocks]
        if spec.box_channels:
            channels[0] += BOX_CHANNELS
        self.branches = nn.ModuleList(
            MaskHead(channels, num_classes=num_classes)
            if spec.head == "mask-rcnn"
            else Branch(
                channels,
                num_classes=num_classes,
                convolutions=branch.convolutions,
                rate=branch.rate,
                refine=spec.refine,
            )
            for branch in (spec.branches[:1] if spec.shared else spec.branches)
        )

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of the map on which encompassing boxes are counted."""
        cells = self.spec.input_size // self.stride
        return cells, cells

    def forward(self, pictures: Tensor) -> SsdOutputs:
        """(B, 3, H, W) RGB in 0..255, already at the network's size."""
        return self.detector(pictures / 127.5 - 1.0)

    def anchors(self, grids: list[tuple[int, int]]) -> Tensor:
        """(A, 4) of the maps of these (rows, columns); relative to the picture, centre form."""
        if self.spec.anchors == "pixels":
            return pixel_anchors(self.spec.input_size, fine_map=self.spec.fine_map)
        return build_anchors(grids)

    def detect(self, outputs: SsdOutputs, *, score: float) -> list[Detections]:
        """Decode and suppress: one record for each picture of the batch."""
        anchors = self.anchors(outputs.grids).to(outputs.offsets.device)
        boxes = decode(outputs.offsets.float(), anchors).clamp(0, 1) * self.spec.input_size
        return [
            self._suppress(b, s, score=score)
            for b, s in zip(boxes, class_scores(outputs.logits.float(), self.spec), strict=True)
        ]

    def _suppress(self, boxes: Tensor, scores: Tensor, *, score: float) -> Detections:
        found = []
        for label in range(self.num_classes):
            picked = (scores[:, label] > score).nonzero()[:, 0]
            kept = picked[
                nms(
                    boxes[picked],
                    scores[picked, label],
                    iou=self.spec.nms_iou,
                    limit=self.spec.max_boxes,
                )
            ]
            found.append((boxes[kept], scores[kept, label], torch.full_like(kept, label)))
        every = [torch.cat(parts) for parts in zip(*found, strict=True)]
        best = every[1].argsort(descending=True, stable=True)[: self.spec.max_boxes]
        return Detections(*(part[best] for part in every))

    def mask_shape(self, branch: int) -> Shape:
        """(height, width) of the logits of a branch."""
        height, width = self.spec.shapes[branch]
        zoom = self.head(branch).upsampling
        return height * zoom, width * zoom

    def head(self, branch: int) -> Head:
        """One branch by its number; all are the same one where they share their weights."""
        head = self.branches[0 if self.spec.shared else branch]
        assert isinstance(head, (Branch, MaskHead))
        return head

    def cells(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """What is cropped for boxes: (N, 4) net pixels to float32 edges in cells."""
        if self.spec.crop == "encompassing":
            cells = encompassing_cells(boxes_xyxy, stride=self.stride, grid=self.grid)
            return cells.astype(np.float32)
        return (clip(boxes_xyxy, *[self.spec.input_size] * 2) / self.stride).astype(np.float32)

    def route(self, cells: np.ndarray) -> np.ndarray:
        """The branch of each box, (N, 4) cells to (N,) int64; -1 for none."""
        if self.spec.routing == "aspect":
            return route_by_aspect(cells, self.spec.shapes)
        exact = [branch.exact for branch in self.spec.branches]
        return route(cells, self.spec.shapes, exact=exact)

    def crops(self, features: dict[int, Tensor], cells: np.ndarray, branch: int) -> list[Tensor]:
        """Crops of one picture's maps for one branch, coarse to fine.

        Args:
            features: trunk block -> (C, H, W).
            cells: (N, 4) xyxy edges in cells of the coarse map.
            branch: index of the shape to which they are brought.
        """

        def cut(block: int, edges: np.ndarray, shape: Shape) -> Tensor:
            return crop_cells(features[block], torch.from_numpy(edges), shape)

        return self._crops(cut, cells, branch)

    def batch_crops(
        self, features: dict[int, Tensor], pictures: np.ndarray, cells: np.ndarray, branch: int
    ) -> list[Tensor]:
        """`crops` of the maps of several pictures, trunk block -> (B, C, H, W), at once.

        `pictures` (N,) says in whose maps each of `cells` lies.
        """

        def cut(block: int, edges: np.ndarray, shape: Shape) -> Tensor:
            feature = features[block]
            which, where = torch.from_numpy(pictures), torch.from_numpy(edges)
            return crop_batch(feature, which.to(feature.device), where.to(feature.device), shape)

        return self._crops(cut, cells, branch)

    def _crops(
        self, cut: Callable[[int, np.ndarray, Shape], Tensor], cells: np.ndarray, branch: int
    ) -> list[Tensor]:
        """The crops of all levels; `cut` takes a block, edges in its cells and a shape."""
        spec, zooms = self.spec.branches[branch], self.head(branch).zooms
        crops = []
        for i, (block, zoom) in enumerate(zip(self.spec.crop_blocks, zooms, strict=True)):
            height, width = spec.shape[0] * zoom, spec.shape[1] * zoom
            edges = cells * 2**i
            if spec.pool == "none":
                crops.append(cut(block, edges, (height, width)))
            else:
                twice = cut(block, edges, (2 * height, 2 * width))
                pool = F.max_pool2d if spec.pool == "max" else F.avg_pool2d
                crops.append(pool(twice, 2))
        return crops

    def with_box(
        self, crops: Sequence[Tensor], boxes_xyxy: np.ndarray, cells: np.ndarray
    ) -> list[Tensor]:
        """What a branch is given: its crops, the coarse one with `box_channels` where they are on.

        Args:
            crops: of `crops`.
            boxes_xyxy: (N, 4) the objects' own boxes, net pixels.
            cells: (N, 4) what was cropped for them.
        """
        if not self.spec.box_channels:
            return list(crops)
        coarse, *finer = crops
        boxes = clip(boxes_xyxy, *[self.spec.input_size] * 2) / self.stride
        height, width = coarse.shape[2:]
        where = box_channels(boxes, cells, (height, width))
        return [torch.cat([coarse, where.to(coarse)], dim=1), *finer]

    def masks(self, features: dict[int, Tensor], boxes_xyxy: Tensor) -> MaskLogits:
        """Run each branch on the boxes that belong to it, the first so many that it takes.

        Args:
            features: trunk block -> (C, H, W), of one picture.
            boxes_xyxy: (N, 4) net pixels, best first.
        """
        # Thesis 3.2.1: no gradient passes the crop.
        features = {block: feature.detach() for block, feature in features.items()}
        boxes = boxes_xyxy.numpy()
        cells = self.cells(boxes)
        branches = self.route(cells)
        logits: list[Tensor] = [torch.empty(self.num_classes, 0, 0)] * len(cells)
        for branch, spec in enumerate(self.spec.branches):
            members, late = np.split(np.flatnonzero(branches == branch), [spec.max_boxes])
            branches[late] = -1
            for some in parts(members):
                crops = self.crops(features, cells[some], branch)
                crops = self.with_box(crops, boxes[some], cells[some])
                for i, mask in zip(some, self.head(branch)(crops), strict=True):
                    logits[i] = mask
        return MaskLogits(cells, branches, logits)


def parts(members: np.ndarray) -> list[np.ndarray]:
    """The boxes of a branch, (N,) or (N, 4), in groups that are cropped together."""
    return np.split(members, range(AT_ONCE, len(members), AT_ONCE))


def class_scores(logits: Tensor, spec: InstanceSpec) -> Tensor:
    """(..., classes + 1) logits to (..., classes) scores, background left out."""
    if spec.score == "softmax":
        return logits.softmax(dim=-1)[..., 1:]
    return logits[..., 1:].sigmoid()


def mask_confidence(logits: Tensor) -> float:
    """How sure a branch is of the cells that it sets: their mean probability, 0.5 if it sets none.

    (h, w) logits of one mask to [0.5, 1]. SOLO's "maskness" (Wang et al. 2020).
    """
    chosen = logits[logits > 0]
    return float(chosen.sigmoid().mean()) if len(chosen) else 0.5


@torch.no_grad()
def predict_instances(
    model: SsdIsb,
    outputs: SsdOutputs,
    stretch: Stretch,
    *,
    names: tuple[str, ...],
    score: float,
    with_masks: bool = True,
) -> Instances:
    """What the network says of one picture, without export.

    Args:
        model: in evaluation mode.
        outputs: of its detector, for a batch of one picture.
        stretch: how the source picture became the network's input.
        names: class names by label.
        score: detections at or below it are dropped.
        with_masks: False leaves the branches out; `masks` is then empty.
    """
    found = model.detect(outputs, score=score)[0]
    height, width = stretch.src
    instances = Instances(
        height=height,
        width=width,
        boxes=clip(stretch.inverse_xyxy(found.boxes_xyxy.numpy()), height, width),
        scores=found.scores.numpy(),
        labels=found.labels.numpy(),
        masks=(),
        names=names,
    )
    if not with_masks:
        return instances
    features = {block: feature[0] for block, feature in outputs.features.items()}
    said = model.masks(features, found.boxes_xyxy)
    masks = decode_masks(model, said, instances.boxes, instances.labels, stretch)
    instances = dataclasses.replace(instances, masks=masks)
    if not model.spec.mask_confidence:
        return instances
    sure = np.asarray(
        [mask_confidence(m[label]) for m, label in zip(said.logits, found.labels, strict=True)],
        dtype=np.float32,
    )
    instances = dataclasses.replace(instances, scores=instances.scores * sure)
    order = np.argsort(-instances.scores, kind="stable")
    return instances[order[instances.scores[order] > score]]


def decode_masks(
    model: SsdIsb, said: MaskLogits, boxes: np.ndarray, labels: np.ndarray, stretch: Stretch
) -> tuple[BoxMask, ...]:
    """Logits to masks in source pixels.

    Args:
        model: whose logits they are.
        said: of N boxes.
        boxes: (N, 4) xyxy, source pixels.
        labels: (N,) whose mask is taken.
        stretch: of the picture.
    """
    height, width = stretch.src
    areas = stretch.inverse_xyxy(said.cells * model.stride)
    return tuple(
        decode_mask(mask[label].float().numpy(), area, box, height=height, width=width)
        for mask, label, area, box in zip(said.logits, labels, areas, boxes, strict=True)
    )


@torch.no_grad()
def predict_masks(
    model: SsdIsb, outputs: SsdOutputs, stretch: Stretch, boxes: np.ndarray, labels: np.ndarray
) -> tuple[BoxMask, ...]:
    """The masks of given boxes, whatever the detector would find.

    Args:
        model: in evaluation mode.
        outputs: of its detector, for a batch of one picture.
        stretch: how the source picture became the network's input.
        boxes: (N, 4) float32 xyxy, source pixels.
        labels: (N,) int64.
    """
    features = {block: feature[0] for block, feature in outputs.features.items()}
    said = model.masks(features, torch.from_numpy(stretch.forward_xyxy(boxes)))
    return decode_masks(model, said, boxes, labels, stretch)
