"""The thesis's figures that show what is computed: what each needs, and how it is drawn.

Pictures lie in `OUT/figures`, which a checkout ignores: those of COCO, Cityscapes and CamVid may
not be redistributed. Checkpoints are looked for in the folders of weights and in what the studies
made in `OUT`; where they are in neither, the study trains them first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from encompass.data.drawn import draw_people
from encompass.data.person_crops import People, people_of_cityscapes, people_of_instances
from encompass.data.sources import load_dataset, load_labels
from encompass.evaluate.network import load_network, mask_predictor, network_predictor
from encompass.run.draw import write_picture
from encompass.studies import box_figures, label_figures, prediction_figures
from encompass.studies.makers import Run, people_of
from encompass.studies.person_crops import Cell

RATE = 3  # the last layer's, in Figures 4.5 and 4.6

Draw = Callable[[Run], list[Path]]


def _save(run: Run, number: str, image: Image.Image) -> list[Path]:
    path = run.out / "figures" / f"{number}.jpg"
    write_picture(image, path)
    return [path]


def _figure_3_5(run: Run) -> list[Path]:
    drawn = draw_people(run.out / "drawn", num_images=2, seed=0)
    return _save(run, "3.5", box_figures.figure_3_5(drawn))


def _figure_3_6(run: Run) -> list[Path]:
    files = run.inputs.find(["val"], "Figure 3.6")
    return _save(run, "3.6", box_figures.figure_3_6(people_of(files["val"], run.out)))


def _figure_3_7(run: Run) -> list[Path]:
    files = run.inputs.find(["val"], "Figure 3.7")
    network, _ = load_network(run.trained("instance", ["multi-shape"])["multi-shape"])
    dataset = people_of(files["val"], run.out)
    return _save(run, "3.7", box_figures.figure_3_7(dataset, mask_predictor(network)))


def _streets(number: str, rows: tuple[str, ...]) -> Draw:
    def draw(run: Run) -> list[Path]:
        files = run.inputs.find(["streets"], f"Figure {number}")
        networks = run.trained("semantic", rows)
        dataset = load_labels(files["streets"], split="val")
        return _save(run, number, label_figures.draw_streets(dataset, networks))

    return draw


def _people(run: Run, number: str) -> Iterator[People]:
    """Of Cityscapes' val where it is there, as in the thesis; else of the pictures of persons."""
    streets = run.cityscapes
    if streets:
        return people_of_cityscapes(streets, split="val")
    files = run.inputs.find(["val"], f"Figure {number}")
    return people_of_instances(load_dataset(files["val"]))


def _figure_4_4(run: Run) -> list[Path]:
    crops = label_figures.crops_of_one(*label_figures.find_person(_people(run, "4.4")))
    return _save(run, "4.4", label_figures.draw_crops(crops))


def _figure_4_5(run: Run) -> list[Path]:
    crops = label_figures.crops_of_one(*label_figures.find_person(_people(run, "4.5")))
    cells = {b: Cell("mobilenet0.5", RATE, b, label_figures.SIZE).name for b in crops}
    weights = run.trained("person-crops", list(cells.values()))
    shown = [(f"{b:.0%} more", crop, weights[cells[b]]) for b, crop in crops.items()]
    return _save(run, "4.5", label_figures.draw_masks(shown))


def _figure_4_6(run: Run) -> list[Path]:
    (crop, *_) = label_figures.crops_of_one(
        *label_figures.find_person(_people(run, "4.6"))
    ).values()
    methods = {"output stride 8": "stride8", "FCN-16": "fcn16", "FCN-8": "fcn8"}
    cells = {
        name: Cell(f"{method}-mobilenet0.5", RATE, 0.0, label_figures.SIZE).name
        for name, method in methods.items()
    }
    weights = run.trained("person-crops", list(cells.values()))
    shown = [(name, crop, weights[cell]) for name, cell in cells.items()]
    return _save(run, "4.6", label_figures.draw_masks(shown))


def _predictions(number: str, row: str) -> Draw:
    figure = {"5.2": prediction_figures.figure_5_2, "5.3": prediction_figures.figure_5_3}[number]

    def draw(run: Run) -> list[Path]:
        files = run.inputs.find(["val"], f"Figure {number}")
        network, record = load_network(run.trained("instance", [row])[row])
        names = tuple(record["names"])
        predict = network_predictor(network, names=names, score=prediction_figures.SCORE)
        return _save(run, number, figure(people_of(files["val"], run.out), predict))

    return draw


# Number -> title, needs (keys of `inputs.NEEDS`), and what draws it.
FIGURES: dict[str, tuple[str, tuple[str, ...], Draw]] = {
    "3.5": ("An encompassing box on the cells of the coarse map", (), _figure_3_5),
    "3.6": ("Encompassing boxes of annotated people", ("val",), _figure_3_6),
    "3.7": ("Two people in one encompassing box", ("val",), _figure_3_7),
    "4.2": (
        "MobileNet and SqueezeNet, with FCN-8 and without",
        ("streets",),
        _streets("4.2", ("fcn8-mobilenet0.5", "mobilenet0.5", "fcn8-squeezenet", "squeezenet")),
    ),
    "4.3": (
        "FCN-8 and output stride 8",
        ("streets",),
        _streets("4.3", ("fcn8-mobilenet0.5", "stride8-mobilenet0.5")),
    ),
    "4.4": ("A person with more and more background", (), _figure_4_4),
    "4.5": ("The baseline with more and more background", (), _figure_4_5),
    "4.6": ("The methods on one person", (), _figure_4_6),
    "5.2": ("What Single-Shape misses", ("val",), _predictions("5.2", "single-shape")),
    "5.3": ("What Multi-Shape finds and misses", ("val",), _predictions("5.3", "multi-shape")),
}
