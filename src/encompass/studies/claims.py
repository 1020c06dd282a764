"""What the thesis concludes, as findings that our results can be checked against.

Of its semantic networks (4.2.3 and 4.3.3), then of its instance networks (3.1 and 5.2.2 to 5.2.4).
"""

from __future__ import annotations

from encompass.studies.findings import CostFinding, Finding
from encompass.studies.pairs import PairFinding, above

SEMANTIC_FINDINGS: tuple[Finding, ...] = (
    Finding(
        claim="MobileNet is above SqueezeNet, without a method",
        section="4.2.3",
        better="mobilenet0.5",
        worse="squeezenet",
        figure="mIoU",
    ),
    Finding(
        claim="MobileNet is above SqueezeNet, each with one skip",
        section="4.2.3",
        better="fcn16-mobilenet0.5",
        worse="fcn8-squeezenet",
        figure="mIoU",
    ),
    Finding(
        claim="MobileNet is above SqueezeNet, each with one stride less",
        section="4.2.3",
        better="stride16-mobilenet0.5",
        worse="stride8-squeezenet",
        figure="mIoU",
    ),
    Finding(
        claim="One skip improves MobileNet",
        section="4.2.3",
        better="fcn16-mobilenet0.5",
        worse="mobilenet0.5",
        figure="mIoU",
    ),
    Finding(
        claim="One skip improves SqueezeNet",
        section="4.2.3",
        better="fcn8-squeezenet",
        worse="squeezenet",
        figure="mIoU",
    ),
    Finding(
        claim="FCN-16 is above FCN-8 (MobileNet)",
        section="4.2.3",
        better="fcn16-mobilenet0.5",
        worse="fcn8-mobilenet0.5",
        figure="mIoU",
    ),
    Finding(
        claim="One stride less improves MobileNet",
        section="4.2.3",
        better="stride16-mobilenet0.5",
        worse="mobilenet0.5",
        figure="mIoU",
    ),
    Finding(
        claim="One stride less improves SqueezeNet",
        section="4.2.3",
        better="stride8-squeezenet",
        worse="squeezenet",
        figure="mIoU",
    ),
    Finding(
        claim="Stride 8 is above FCN-8 (MobileNet)",
        section="4.2.3",
        better="stride8-mobilenet0.5",
        worse="fcn8-mobilenet0.5",
        figure="mIoU",
    ),
    Finding(
        claim="Stride 8 is above stride 16 (MobileNet)",
        section="4.2.3",
        better="stride8-mobilenet0.5",
        worse="stride16-mobilenet0.5",
        figure="mIoU",
    ),
    Finding(
        claim="Stride 8 is the best: above FCN-16 (MobileNet)",
        section="4.2.3",
        better="stride8-mobilenet0.5",
        worse="fcn16-mobilenet0.5",
        figure="mIoU",
    ),
    Finding(
        claim="Stride 8 shows gridding: cells alternate more than FCN-8's, of the same stride",
        section="4.2.3",
        better="stride8-mobilenet0.5",
        worse="fcn8-mobilenet0.5",
        figure="gridding",
    ),
)

_BASE, _FCN16, _FCN8, _STRIDE8 = (
    {"method": f"{name}mobilenet0.5"} for name in ("", "fcn16-", "fcn8-", "stride8-")
)
_NONE, _TEN = {"background": 0.0}, {"background": 0.10}

PERSON_FINDINGS = (
    PairFinding(
        claim="FCN-8 is above the baseline",
        terms=above(_FCN8, _BASE),
    ),
    PairFinding(
        claim="FCN-8 is above FCN-16 (by 0.5 to 2 in the thesis's words)",
        terms=above(_FCN8, _FCN16),
    ),
    PairFinding(
        claim="Stride 8 is above FCN-8",
        terms=above(_STRIDE8, _FCN8),
    ),
    PairFinding(
        claim="10 % more background lowers the baseline",
        terms=above({**_BASE, **_NONE}, {**_BASE, **_TEN}),
    ),
    PairFinding(
        claim="It lowers the baseline more than FCN-8",
        terms=(
            *above({**_BASE, **_NONE}, {**_BASE, **_TEN}),
            *above({**_FCN8, **_TEN}, {**_FCN8, **_NONE}),
        ),
    ),
    PairFinding(
        claim="With 10 % background, rate 3 is above rate 1 in the baseline",
        terms=above({**_BASE, **_TEN, "rate": 3}, {**_BASE, **_TEN, "rate": 1}),
    ),
    *(
        PairFinding(
            claim=f"Against the thesis, which sees hardly any effect: rate 3 is above 1 in {name}",
            terms=above({**method, "rate": 3}, {**method, "rate": 1}),
        )
        for name, method in (
            ("FCN-16", _FCN16),
            ("FCN-8", _FCN8),
            ("stride 8", _STRIDE8),
        )
    ),
)

SEMANTIC_COST_FINDINGS = (
    CostFinding(
        claim="FCN-16 is cheaper than stride 16 (MobileNet)",
        cheaper="fcn16-mobilenet0.5",
        dearer="stride16-mobilenet0.5",
    ),
    CostFinding(
        claim="FCN-8 is cheaper than stride 16 (MobileNet; in the thesis on the CPU)",
        cheaper="fcn8-mobilenet0.5",
        dearer="stride16-mobilenet0.5",
    ),
    CostFinding(
        claim="FCN-8 is cheaper than stride 8 (MobileNet)",
        cheaper="fcn8-mobilenet0.5",
        dearer="stride8-mobilenet0.5",
    ),
    CostFinding(
        claim="FCN-8 is cheaper than stride 8 (SqueezeNet)",
        cheaper="fcn8-squeezenet",
        dearer="stride8-squeezenet",
    ),
    CostFinding(
        claim="Stride 8 is the dearest: above SqueezeNet's",
        cheaper="stride8-squeezenet",
        dearer="stride8-mobilenet0.5",
    ),
    CostFinding(
        claim="MobileNet without a method is slower than FCN-16",
        cheaper="fcn16-mobilenet0.5",
        dearer="mobilenet0.5",
        on=("time",),
    ),
    CostFinding(
        claim="MobileNet without a method is faster than FCN-8",
        cheaper="mobilenet0.5",
        dearer="fcn8-mobilenet0.5",
        on=("time",),
    ),
    CostFinding(
        claim="MobileNet without a method is faster than stride 8",
        cheaper="mobilenet0.5",
        dearer="stride8-mobilenet0.5",
        on=("time",),
    ),
    CostFinding(
        claim="SqueezeNet without a method is slower than FCN-8",
        cheaper="fcn8-squeezenet",
        dearer="squeezenet",
        on=("time",),
    ),
    CostFinding(
        claim="FCN-16 takes hardly more memory than none (MobileNet)",
        cheaper="fcn16-mobilenet0.5",
        dearer="mobilenet0.5",
        on=("output bytes",),
        below=1.02,
    ),
    CostFinding(
        claim="FCN-8 takes hardly more memory than none (MobileNet)",
        cheaper="fcn8-mobilenet0.5",
        dearer="mobilenet0.5",
        on=("output bytes",),
        below=1.02,
    ),
    CostFinding(
        claim="FCN-8 takes hardly more memory than none (SqueezeNet)",
        cheaper="fcn8-squeezenet",
        dearer="squeezenet",
        on=("output bytes",),
        below=1.02,
    ),
    CostFinding(
        claim="Stride 16 takes much more memory than none: over a tenth (MobileNet)",
        cheaper="mobilenet0.5",
        dearer="stride16-mobilenet0.5",
        on=("output bytes",),
        below=0.91,
    ),
    CostFinding(
        claim="Stride 8 takes much more memory than none: over a half (MobileNet)",
        cheaper="mobilenet0.5",
        dearer="stride8-mobilenet0.5",
        on=("output bytes",),
        below=0.67,
    ),
    CostFinding(
        claim="Stride 8 takes much more memory than none: over a half (SqueezeNet)",
        cheaper="squeezenet",
        dearer="stride8-squeezenet",
        on=("output bytes",),
        below=0.67,
    ),
)

FINDINGS: tuple[Finding, ...] = (
    Finding(
        claim="Multi-Shape is above Single-Branch overall",
        section="5.2.2",
        better="multi-shape",
        worse="single-branch",
        figure="AP50",
    ),
    Finding(
        claim="Multi-Shape is above Single-Branch on medium objects",
        section="5.2.2",
        better="multi-shape",
        worse="single-branch",
        figure="AP50 medium",
    ),
    Finding(
        claim="Multi-Shape is above Single-Branch on large objects",
        section="5.2.2",
        better="multi-shape",
        worse="single-branch",
        figure="AP50 large",
    ),
    Finding(
        claim="Multi-Shape is above Single-Shape+",
        section="5.2.2",
        better="multi-shape",
        worse="single-shape-plus",
        figure="AP50",
    ),
    Finding(
        claim="Single-Shape+ is above Single-Branch overall",
        section="5.2.2",
        better="single-shape-plus",
        worse="single-branch",
        figure="AP50",
    ),
    Finding(
        claim="Single-Shape fails on large objects: less than half of Single-Branch's",
        section="5.2.2",
        better="single-branch",
        worse="single-shape",
        figure="AP50 large",
        share=0.5,
    ),
    Finding(
        claim="Single-Shape is above Single-Branch on medium objects",
        section="5.2.2",
        better="single-shape",
        worse="single-branch",
        figure="AP50 medium",
    ),
    Finding(
        claim="Single-Shape+ is above Single-Branch on medium objects",
        section="5.2.2",
        better="single-shape-plus",
        worse="single-branch",
        figure="AP50 medium",
    ),
    Finding(
        claim="Multi-Shape is above Single-Branch on the ISB-shape subset",
        section="5.2.1",
        better="multi-shape",
        worse="single-branch",
        figure="AP50 of ISB shapes",
    ),
    Finding(
        claim="Single-Shape is above Single-Branch on matching annotations",
        section="5.2.1",
        better="single-shape",
        worse="single-branch",
        figure="AP50 of matching",
    ),
    Finding(
        claim="Single-Shape is above Single-Branch on large matching annotations",
        section="5.2.1",
        better="single-shape",
        worse="single-branch",
        figure="AP50 large of matching",
    ),
    Finding(
        claim="Depth 0.75 costs mask accuracy (Single-Branch)",
        section="5.2.4",
        better="single-branch",
        worse="single-branch-mn0.75",
        figure="mask IoU",
    ),
    Finding(
        claim="Depth 0.75 costs mask accuracy (Multi-Shape)",
        section="5.2.4",
        better="multi-shape",
        worse="multi-shape-mn0.75",
        figure="mask IoU",
    ),
    Finding(
        claim="FCN-16 is worse than FCN-8 (Single-Branch)",
        section="5.2.4",
        better="single-branch",
        worse="single-branch-fcn16",
        figure="AP50",
    ),
    Finding(
        claim="FCN-16 is worse than FCN-8 (Multi-Shape)",
        section="5.2.4",
        better="multi-shape",
        worse="multi-shape-fcn16",
        figure="AP50",
    ),
    Finding(
        claim="FCN-16 costs Multi-Shape more than depth 0.75 does",
        section="5.2.4",
        better="multi-shape-mn0.75",
        worse="multi-shape-fcn16",
        figure="mask IoU",
    ),
    Finding(
        claim="Multi-Shape at depth 0.75 is above Single-Branch at 1.0",
        section="5.2.4",
        better="multi-shape-mn0.75",
        worse="single-branch",
        figure="mask IoU",
    ),
    Finding(
        claim="Multi-Shape at depth 0.75 is above Single-Shape+ at 1.0",
        section="5.2.4",
        better="multi-shape-mn0.75",
        worse="single-shape-plus",
        figure="mask IoU",
    ),
    Finding(
        claim="NewShapes is below the ten shapes",
        section="5.2.4",
        better="multi-shape",
        worse="multi-shape-new-shapes",
        figure="AP50",
    ),
    Finding(
        claim="SmallShapes is below the ten shapes",
        section="5.2.4",
        better="multi-shape",
        worse="multi-shape-small-shapes",
        figure="AP50",
    ),
    Finding(
        claim="SmallShapes is above NewShapes",
        section="5.2.4",
        better="multi-shape-small-shapes",
        worse="multi-shape-new-shapes",
        figure="AP50",
    ),
    Finding(
        claim="Crops of default anchors train worse masks than crops of boxes",
        section="3.1.4",
        better="single-branch",
        worse="single-branch-anchors",
        figure="AP50",
    ),
    Finding(
        claim="Encompassing boxes give better masks than aligned ones, all else equal",
        section="3.1.3",
        better="single-branch",
        worse="single-branch-aligned",
        figure="mask IoU",
    ),
    Finding(
        claim="The same with predicted boxes",
        section="3.1.3",
        better="single-branch",
        worse="single-branch-aligned",
        figure="AP50",
    ),
    Finding(
        claim="Multi-Shape's masks are better than those of Mask R-CNN's head",
        section="3.1.3",
        better="multi-shape",
        worse="mask-rcnn-head",
        figure="mask IoU",
    ),
    Finding(
        claim="The same with predicted boxes",
        section="3.1.3",
        better="multi-shape",
        worse="mask-rcnn-head",
        figure="AP50",
    ),
)

COST_FINDINGS = (
    CostFinding(
        claim="FCN-16 is cheaper than FCN-8 (Single-Branch)",
        cheaper="single-branch-fcn16",
        dearer="single-branch",
    ),
    CostFinding(
        claim="FCN-16 is cheaper than FCN-8 (Multi-Shape)",
        cheaper="multi-shape-fcn16",
        dearer="multi-shape",
    ),
    CostFinding(
        claim="Depth 0.75 is cheaper than 1.0 (Single-Branch)",
        cheaper="single-branch-mn0.75",
        dearer="single-branch",
    ),
    CostFinding(
        claim="Depth 0.75 is cheaper than 1.0 (Multi-Shape)",
        cheaper="multi-shape-mn0.75",
        dearer="multi-shape",
    ),
    CostFinding(
        claim="SmallShapes is cheaper than the ten shapes",
        cheaper="multi-shape-small-shapes",
        dearer="multi-shape",
    ),
    CostFinding(
        claim="The ten shapes are cheaper than NewShapes",
        cheaper="multi-shape",
        dearer="multi-shape-new-shapes",
    ),
    CostFinding(
        claim="Single-Shape is cheaper than Single-Branch",
        cheaper="single-shape",
        dearer="single-branch",
    ),
    CostFinding(
        claim="Single-Branch is cheaper than Multi-Shape",
        cheaper="single-branch",
        dearer="multi-shape",
    ),
)
