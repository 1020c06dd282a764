"""What the thesis reports, transcribed (Tables 4.1 to 4.6 and 5.2 to 5.9).

Chapter 4's scores are IoUs in points, on Cityscapes' val and on crops of its persons; its costs are
of pictures of 2048x1024. Chapter 5's are in points at an IoU of 0.50; Tables 5.2 and 5.3 are on the
ISB-shape subset of COCO, the others on all of val2017's person pictures. Costs were measured on a
GeForce RTX 2080 Ti and an Intel Core i9-9900K. Table 5.1 stands in `data.persons`, whose counts it
is.
"""

from __future__ import annotations

from typing import NamedTuple

METRICS = ("AP", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


class Cost(NamedTuple):
    """One row of Tables 4.2, 5.5, 5.7 and 5.9."""

    fps_gpu: float
    fps_cpu: float
    megabytes: float  # all operators' output bytes
    parameters: int


def _scores(*values: float) -> dict[str, float]:
    return dict(zip(METRICS, values, strict=True))


SCORES: dict[str, dict[str, dict[str, float]]] = {
    "5.2": {
        "Single-Branch": _scores(
            26.81, 1.475, 28.29, 65.71, 10.28, 35.18, 46.27, 13.97, 56.56, 84.0
        ),
        "Single-Shape": _scores(11.8, 1.102, 29.58, 3.96, 7.095, 20.25, 25.84, 3.107, 49.66, 11.69),
        "Single-Shape+": _scores(
            26.53, 1.407, 27.59, 67.33, 10.3, 34.31, 44.96, 12.36, 57.36, 78.94
        ),
        "Multi-Shape": _scores(30.59, 1.87, 35.22, 73.48, 10.74, 37.89, 51.59, 16.25, 63.95, 90.62),
    },
    "5.3": {
        "Single-Branch": _scores(
            13.62, 1.836, 28.74, 8.052, 9.578, 8.71, 40.33, 18.91, 59.8, 68.75
        ),
        "Single-Shape": _scores(
            15.19, 0.402, 37.08, 71.55, 10.63, 31.52, 42.64, 17.81, 65.25, 81.82
        ),
    },
    "5.4": {
        "Single-Branch": _scores(
            32.58, 0.4717, 21.9, 66.26, 18.17, 42.8, 51.06, 10.7, 49.87, 58.84
        ),
        "Single-Shape": _scores(
            8.824, 0.9345, 23.43, 2.961, 5.846, 15.18, 18.72, 10.82, 41.94, 2.832
        ),
        "Single-Shape+": _scores(
            34.86, 0.6803, 23.56, 69.95, 18.99, 42.04, 51.96, 10.95, 54.11, 84.05
        ),
        "Multi-Shape": _scores(
            38.6, 0.8881, 30.46, 74.18, 19.36, 46.87, 57.19, 12.26, 61.18, 90.75
        ),
        "Mask R-CNN": _scores(73.61, 36.41, 76.97, 93.33, 23.12, 72.86, 85.74, 68.56, 89.6, 96.31),
    },
    "5.6": {
        "SB-Default": _scores(32.58, 0.4717, 21.9, 66.26, 18.17, 42.8, 51.06, 10.7, 49.87, 58.84),
        "SB-MN0.75": _scores(30.77, 0.3217, 17.67, 65.92, 17.76, 40.43, 48.56, 8.484, 45.75, 84.65),
        "SB-FCN16": _scores(29.8, 0.1578, 16.41, 64.54, 16.92, 39.5, 47.41, 5.178, 45.86, 84.07),
    },
    "5.8": {
        "MS-Default": _scores(38.6, 0.8881, 30.46, 74.18, 19.36, 46.87, 57.19, 12.26, 61.18, 90.75),
        "MS-MN0.75": _scores(35.97, 2.141, 26.81, 70.29, 18.53, 45.34, 55.91, 14.72, 58.44, 87.76),
        "MS-FCN16": _scores(32.71, 0.184, 16.9, 73.12, 17.92, 39.7, 46.94, 2.183, 43.34, 87.71),
        "MS-NewShapes": _scores(
            36.73, 1.012, 27.59, 71.36, 19.11, 45.33, 54.89, 13.07, 57.87, 86.83
        ),
        "MS-SmallShapes": _scores(
            37.88, 1.12, 29.28, 72.99, 19.43, 46.61, 56.61, 12.45, 61.98, 90.05
        ),
    },
}

COSTS: dict[str, dict[str, Cost]] = {
    "4.2": {
        "SqzNet-Base": Cost(43.29, 3.69, 2089.03, 732_243),
        "SqzNet-FCN8": Cost(74.4, 3.74, 2122.4, 740_470),
        "SqzNet-Stride8": Cost(48.45, 2.43, 3744.08, 732_243),
        "MN-Base": Cost(75.47, 5.59, 1609.49, 839_283),
        "MN-FCN16": Cost(80.19, 5.62, 1612.21, 849_942),
        "MN-FCN8": Cost(46.92, 5.33, 1628.2, 858_169),
        "MN-Stride16": Cost(67.84, 5.09, 1874.31, 839_283),
        "MN-Stride8": Cost(33.61, 1.91, 5088.76, 839_283),
    },
    "5.5": {
        "Single-Branch": Cost(51.95, 8.566, 852.76, 5_790_631),
        "Single-Shape": Cost(56.11, 12.66, 405.89, 8_862_738),
        "Single-Shape+": Cost(43.68, 6.259, 2179.24, 9_002_580),
        "Multi-Shape": Cost(43.68, 7.983, 1909.9, 8_014_288),
        "Mask R-CNN": Cost(3.87, 0.38, 11927.95, 47_673_551),
    },
    "5.7": {
        "SB-Default": Cost(51.95, 8.566, 852.76, 5_790_631),
        "SB-MN0.75": Cost(62.8, 11.57, 523.76, 3_358_647),
        "SB-FCN16": Cost(65.91, 11.93, 365.63, 5_765_991),
    },
    "5.9": {
        "MS-Default": Cost(43.68, 7.983, 1909.9, 8_014_288),
        "MS-MN0.75": Cost(50.27, 10.14, 652.33, 5_211_360),
        "MS-FCN16": Cost(49.9, 10.85, 571.23, 7_767_888),
        "MS-NewShapes": Cost(39.3, 5.94, 2314.3, 7_273_069),
        "MS-SmallShapes": Cost(48.28, 9.203, 825.22, 7_520_142),
    },
}

# Semantic row of the zoo -> (mIoU of Table 4.1, name in Table 4.2).
SEMANTIC_ROWS: dict[str, tuple[float, str]] = {
    "squeezenet": (35.61, "SqzNet-Base"),
    "fcn8-squeezenet": (36.22, "SqzNet-FCN8"),
    "stride8-squeezenet": (36.37, "SqzNet-Stride8"),
    "mobilenet0.5": (41.07, "MN-Base"),
    "fcn16-mobilenet0.5": (43.78, "MN-FCN16"),
    "fcn8-mobilenet0.5": (43.46, "MN-FCN8"),
    "stride16-mobilenet0.5": (42.75, "MN-Stride16"),
    "stride8-mobilenet0.5": (44.25, "MN-Stride8"),
}

# Tables 4.3 to 4.6, by their row without a rate: background -> IoU of persons at the last layer's
# atrous rates 1, 3 and 5.
PERSON_TABLES = {
    "mobilenet0.5": "4.3",
    "fcn8-mobilenet0.5": "4.4",
    "fcn16-mobilenet0.5": "4.5",
    "stride8-mobilenet0.5": "4.6",
}
RATES = (1, 3, 5)
PERSON_IOUS: dict[str, dict[float, tuple[float, float, float]]] = {
    "4.3": {0.0: (54.24, 54.82, 54.7), 0.05: (50.78, 50.47, 50.56), 0.1: (46.88, 49.62, 48.61)},
    "4.4": {0.0: (68.44, 68.8, 68.3), 0.05: (68.6, 68.07, 67.88), 0.1: (67.57, 68.6, 67.36)},
    "4.5": {0.0: (67.78, 67.84, 67.48), 0.05: (66.58, 66.52, 66.04), 0.1: (66.08, 66.23, 66.38)},
    "4.6": {0.0: (70.05, 69.98, 69.93), 0.05: (69.5, 69.63, 69.53), 0.1: (69.12, 69.66, 69.74)},
}

# Row of the zoo -> where the thesis reports it: (table of scores, table of costs, name there).
ROWS: dict[str, tuple[str, str, str]] = {
    "single-branch": ("5.4", "5.5", "Single-Branch"),
    "single-shape": ("5.4", "5.5", "Single-Shape"),
    "single-shape-plus": ("5.4", "5.5", "Single-Shape+"),
    "multi-shape": ("5.4", "5.5", "Multi-Shape"),
    "single-branch-mn0.75": ("5.6", "5.7", "SB-MN0.75"),
    "single-branch-fcn16": ("5.6", "5.7", "SB-FCN16"),
    "multi-shape-mn0.75": ("5.8", "5.9", "MS-MN0.75"),
    "multi-shape-fcn16": ("5.8", "5.9", "MS-FCN16"),
    "multi-shape-new-shapes": ("5.8", "5.9", "MS-NewShapes"),
    "multi-shape-small-shapes": ("5.8", "5.9", "MS-SmallShapes"),
}
