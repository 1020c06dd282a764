"""What the thesis concludes, as findings that our results can be checked against.

Of its semantic networks (4.2.3 and 4.3.3), then of its instance networks (3.1 and 5.2). What it
says of Mask R-CNN's accuracy is not here: none was trained.
"""

from __future__ import annotations

from encompass.studies.findings import CostFinding, Finding
from encompass.studies.pairs import PairFinding, above
from encompass.studies.published import MAIN

_SB, _SS, _SS_PLUS, _MS = MAIN


def _of(section: str, figure: str, *claims: tuple[str, str, str]) -> tuple[Finding, ...]:
    """Findings on one figure, each a claim with the row it puts first and the other."""
    return tuple(
        Finding(claim=claim, section=section, better=better, worse=worse, figure=figure)
        for claim, better, worse in claims
    )


def _costing(
    *claims: tuple[str, str, str], on: tuple[str, ...], below: float = 1.0
) -> tuple[CostFinding, ...]:
    """Findings on some costs, each a claim with the row that it says costs less and the other."""
    return tuple(
        CostFinding(claim=claim, cheaper=cheaper, dearer=dearer, on=on, below=below)
        for claim, cheaper, dearer in claims
    )


_TIME, _MEMORY, _PARAMETERS = ("time",), ("output bytes",), ("parameters",)
_ALL = ("time", "multiply-adds", "output bytes")

SEMANTIC_FINDINGS: tuple[Finding, ...] = (
    *_of(
        *("4.2.3", "mIoU"),
        ("MobileNet is above SqueezeNet, without a method", "mobilenet0.5", "squeezenet"),
        (
            "MobileNet is above SqueezeNet, each with one skip",
            *("fcn16-mobilenet0.5", "fcn8-squeezenet"),
        ),
        (
            "MobileNet is above SqueezeNet, each with one stride less",
            *("stride16-mobilenet0.5", "stride8-squeezenet"),
        ),
        ("One skip improves MobileNet", "fcn16-mobilenet0.5", "mobilenet0.5"),
        ("One skip improves SqueezeNet", "fcn8-squeezenet", "squeezenet"),
        ("FCN-16 is above FCN-8 (MobileNet)", "fcn16-mobilenet0.5", "fcn8-mobilenet0.5"),
        ("One stride less improves MobileNet", "stride16-mobilenet0.5", "mobilenet0.5"),
        ("One stride less improves SqueezeNet", "stride8-squeezenet", "squeezenet"),
        ("Stride 8 is above FCN-8 (MobileNet)", "stride8-mobilenet0.5", "fcn8-mobilenet0.5"),
        (
            "Stride 8 is above stride 16 (MobileNet)",
            "stride8-mobilenet0.5",
            "stride16-mobilenet0.5",
        ),
        (
            "Stride 8 is the best: above FCN-16 (MobileNet)",
            *("stride8-mobilenet0.5", "fcn16-mobilenet0.5"),
        ),
    ),
    *_of(
        *("4.2.3", "gridding"),
        (
            "Stride 8 shows gridding: cells alternate more than FCN-8's, of the same stride",
            *("stride8-mobilenet0.5", "fcn8-mobilenet0.5"),
        ),
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
    *_costing(
        (
            "FCN-16 is cheaper than stride 16 (MobileNet)",
            "fcn16-mobilenet0.5",
            "stride16-mobilenet0.5",
        ),
        (
            "FCN-8 is cheaper than stride 16 (MobileNet; in the thesis on the CPU)",
            *("fcn8-mobilenet0.5", "stride16-mobilenet0.5"),
        ),
        ("FCN-8 is cheaper than stride 8 (MobileNet)", "fcn8-mobilenet0.5", "stride8-mobilenet0.5"),
        ("FCN-8 is cheaper than stride 8 (SqueezeNet)", "fcn8-squeezenet", "stride8-squeezenet"),
        (
            "Stride 8 is the dearest: above SqueezeNet's",
            *("stride8-squeezenet", "stride8-mobilenet0.5"),
        ),
        on=_ALL,
    ),
    *_costing(
        (
            "MobileNet without a method is slower than FCN-16",
            *("fcn16-mobilenet0.5", "mobilenet0.5"),
        ),
        (
            "MobileNet without a method is slower than stride 16 (so the text; not its table)",
            *("stride16-mobilenet0.5", "mobilenet0.5"),
        ),
        ("MobileNet without a method is faster than FCN-8", "mobilenet0.5", "fcn8-mobilenet0.5"),
        (
            "MobileNet without a method is faster than stride 8",
            *("mobilenet0.5", "stride8-mobilenet0.5"),
        ),
        ("SqueezeNet without a method is slower than FCN-8", "fcn8-squeezenet", "squeezenet"),
        (
            "SqueezeNet without a method is slower than stride 8 (in the thesis on the GPU)",
            *("stride8-squeezenet", "squeezenet"),
        ),
        on=_TIME,
    ),
    *_costing(
        (
            "FCN-16 takes hardly more memory than none (MobileNet)",
            *("fcn16-mobilenet0.5", "mobilenet0.5"),
        ),
        (
            "FCN-8 takes hardly more memory than none (MobileNet)",
            *("fcn8-mobilenet0.5", "mobilenet0.5"),
        ),
        (
            "FCN-8 takes hardly more memory than none (SqueezeNet)",
            *("fcn8-squeezenet", "squeezenet"),
        ),
        on=_MEMORY,
        below=1.02,
    ),
    *_costing(
        (
            "Stride 16 takes much more memory than none: over a tenth (MobileNet)",
            *("mobilenet0.5", "stride16-mobilenet0.5"),
        ),
        on=_MEMORY,
        below=0.91,
    ),
    *_costing(
        (
            "Stride 8 takes much more memory than none: over a half (MobileNet)",
            *("mobilenet0.5", "stride8-mobilenet0.5"),
        ),
        (
            "Stride 8 takes much more memory than none: over a half (SqueezeNet)",
            *("squeezenet", "stride8-squeezenet"),
        ),
        on=_MEMORY,
        below=0.67,
    ),
)

FINDINGS: tuple[Finding, ...] = (
    *_of(
        *("5.2.2", "AP50"),
        ("Multi-Shape is above Single-Branch overall", _MS, _SB),
        ("Multi-Shape is above Single-Shape+", _MS, _SS_PLUS),
        ("Single-Shape+ is above Single-Branch overall", _SS_PLUS, _SB),
    ),
    *_of(
        *("5.2.2", "AP50 medium"),
        ("Multi-Shape is above Single-Branch on medium objects", _MS, _SB),
        ("Single-Shape is above Single-Branch on medium objects", _SS, _SB),
        ("Single-Shape+ is above Single-Branch on medium objects", _SS_PLUS, _SB),
    ),
    *_of(
        *("5.2.2", "AP50 large"),
        ("Multi-Shape is above Single-Branch on large objects", _MS, _SB),
        ("Multi-Shape is above Single-Shape+ on large objects", _MS, _SS_PLUS),
    ),
    Finding(
        claim="Single-Shape fails on large objects: less than half of Single-Branch's",
        section="5.2.2",
        better=_SB,
        worse=_SS,
        figure="AP50 large",
        share=0.5,
    ),
    *_of(
        *("5.2.2", "AP50 small"),
        ("Single-Shape is above Single-Branch on small objects", _SS, _SB),
        ("Single-Shape+ is above Single-Branch on small objects", _SS_PLUS, _SB),
    ),
    *_of(
        *("5.2.2", "AR100"),
        ("Multi-Shape's recall is above Single-Branch's", _MS, _SB),
        ("Multi-Shape's recall is above Single-Shape+'s", _MS, _SS_PLUS),
    ),
    *(
        Finding(
            claim=f"Small objects are hardly found: below a tenth of medium ones ({name})",
            section="5.2.2",
            better=row,
            worse=row,
            figure="AP50 medium",
            figure_of_worse="AP50 small",
            share=0.1,
        )
        for name, row in (
            *(("Single-Branch", _SB), ("Single-Shape", _SS)),
            *(("Single-Shape+", _SS_PLUS), ("Multi-Shape", _MS)),
        )
    ),
    *(
        Finding(
            claim=f"{name} is better on all pictures than on the ISB-shape subset",
            section="5.2.2",
            better=row,
            worse=row,
            figure="AP50",
            figure_of_worse="AP50 of ISB shapes",
        )
        for name, row in (
            *(("Single-Branch", _SB), ("Single-Shape+", _SS_PLUS), ("Multi-Shape", _MS)),
        )
    ),
    Finding(
        claim="Single-Shape is worse on all pictures than on the ISB-shape subset",
        section="5.2.2",
        better=_SS,
        worse=_SS,
        figure="AP50 of ISB shapes",
        figure_of_worse="AP50",
    ),
    *_of(
        *("5.2.1", "AP50 of ISB shapes"),
        ("Multi-Shape is above Single-Branch on the ISB-shape subset", _MS, _SB),
    ),
    *_of(
        *("5.2.1", "AP50 medium of ISB shapes"),
        ("Multi-Shape is above Single-Branch on its medium objects", _MS, _SB),
        ("Single-Shape is above Single-Branch on its medium objects", _SS, _SB),
        ("Single-Shape+ is below Single-Branch on its medium objects", _SB, _SS_PLUS),
    ),
    *_of(
        *("5.2.1", "AP50 large of ISB shapes"),
        ("Multi-Shape is above Single-Branch on its large objects", _MS, _SB),
        ("Single-Shape+ is above Single-Branch on its large objects", _SS_PLUS, _SB),
        ("One more branch, resizing, helps Single-Shape on its large objects", _SS_PLUS, _SS),
    ),
    *_of(
        *("5.2.1", "AR100 of ISB shapes"),
        ("Multi-Shape's recall is above Single-Branch's on the ISB-shape subset", _MS, _SB),
    ),
    *_of(
        *("5.2.1", "AP50 of matching"),
        ("Single-Shape is above Single-Branch on matching annotations", _SS, _SB),
    ),
    *_of(
        *("5.2.1", "AP50 medium of matching"),
        ("Single-Shape is above Single-Branch on medium matching annotations", _SS, _SB),
    ),
    *_of(
        *("5.2.1", "AP50 large of matching"),
        ("Single-Shape is above Single-Branch on large matching annotations", _SS, _SB),
    ),
    *_of(
        *("5.2.4", "mask IoU"),
        ("Depth 0.75 costs mask accuracy (Single-Branch)", _SB, "single-branch-mn0.75"),
        ("Depth 0.75 costs mask accuracy (Multi-Shape)", _MS, "multi-shape-mn0.75"),
        (
            "FCN-16 costs Multi-Shape more than depth 0.75 does",
            *("multi-shape-mn0.75", "multi-shape-fcn16"),
        ),
        ("Multi-Shape at depth 0.75 is above Single-Branch at 1.0", "multi-shape-mn0.75", _SB),
        ("Multi-Shape at depth 0.75 is above Single-Shape+ at 1.0", "multi-shape-mn0.75", _SS_PLUS),
    ),
    *_of(
        *("5.2.4", "AP50"),
        ("FCN-16 is worse than FCN-8 (Single-Branch)", _SB, "single-branch-fcn16"),
        ("FCN-16 is worse than FCN-8 (Multi-Shape)", _MS, "multi-shape-fcn16"),
        ("NewShapes is below the ten shapes", _MS, "multi-shape-new-shapes"),
        ("SmallShapes is below the ten shapes", _MS, "multi-shape-small-shapes"),
        ("SmallShapes is above NewShapes", "multi-shape-small-shapes", "multi-shape-new-shapes"),
    ),
    *_of(
        *("3.1.4", "AP50"),
        (
            "Crops of default anchors train worse masks than crops of boxes",
            *(_SB, "single-branch-anchors"),
        ),
    ),
    *_of(
        *("3.1.3", "mask IoU"),
        (
            "Encompassing boxes give better masks than aligned ones, all else equal",
            *(_SB, "single-branch-aligned"),
        ),
        ("Multi-Shape's masks are better than those of Mask R-CNN's head", _MS, "mask-rcnn-head"),
    ),
    *_of(
        *("3.1.3", "AP50"),
        (
            "Encompassing boxes are better with predicted boxes too",
            *(_SB, "single-branch-aligned"),
        ),
        (
            "Multi-Shape is better than Mask R-CNN's head with predicted boxes too",
            *(_MS, "mask-rcnn-head"),
        ),
    ),
)

# Rows of one network: how far a verdict on time can be trusted.
CONTROL = ("single-branch-anchors", _SB)
COST_FINDINGS = (
    *_costing(
        ("Single-Shape is cheaper than Single-Branch", _SS, _SB),
        ("Single-Shape is cheaper than Single-Shape+", _SS, _SS_PLUS),
        ("Single-Shape is cheaper than Multi-Shape", _SS, _MS),
        ("Single-Branch is cheaper than Single-Shape+", _SB, _SS_PLUS),
        ("Single-Branch is cheaper than Multi-Shape", _SB, _MS),
        ("FCN-16 is cheaper than FCN-8 (Single-Branch)", "single-branch-fcn16", _SB),
        ("FCN-16 is cheaper than FCN-8 (Multi-Shape)", "multi-shape-fcn16", _MS),
        ("Depth 0.75 is cheaper than 1.0 (Single-Branch)", "single-branch-mn0.75", _SB),
        ("Depth 0.75 is cheaper than 1.0 (Multi-Shape)", "multi-shape-mn0.75", _MS),
        ("SmallShapes is cheaper than the ten shapes", "multi-shape-small-shapes", _MS),
        ("The ten shapes are cheaper than NewShapes", _MS, "multi-shape-new-shapes"),
        on=_ALL,
    ),
    *_costing(
        ("Single-Shape+ takes the most memory: above Multi-Shape's", _MS, _SS_PLUS),
        ("Depth 0.75 brings Multi-Shape's memory below Single-Branch's", "multi-shape-mn0.75", _SB),
        (
            "Depth 0.75 brings Multi-Shape's memory below Single-Shape+'s",
            *("multi-shape-mn0.75", _SS_PLUS),
        ),
        on=_MEMORY,
    ),
    *_costing(
        ("Multi-Shape takes over twice the memory of Single-Branch", _SB, _MS),
        ("Single-Shape+ takes over twice the memory of Single-Branch", _SB, _SS_PLUS),
        ("FCN-16 takes less than half the memory (Single-Branch)", "single-branch-fcn16", _SB),
        ("FCN-16 takes less than half the memory (Multi-Shape)", "multi-shape-fcn16", _MS),
        ("SmallShapes take less than half the memory", "multi-shape-small-shapes", _MS),
        on=_MEMORY,
        below=0.5,
    ),
    *_costing(
        ("Single-Branch has the fewest parameters: below Multi-Shape's", _SB, _MS),
        ("Multi-Shape has fewer parameters than Single-Shape", _MS, _SS),
        (
            "Depth 0.75 brings Multi-Shape's parameters below Single-Branch's",
            *("multi-shape-mn0.75", _SB),
        ),
        on=_PARAMETERS,
    ),
    *_costing(
        (
            "Depth 0.75 saves about 42 % of the parameters: over two fifths (Single-Branch)",
            *("single-branch-mn0.75", _SB),
        ),
        on=_PARAMETERS,
        below=0.6,
    ),
)
