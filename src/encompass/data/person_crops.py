"""One picture for each person, with that person alone labelled (thesis 4.3).

The box of a person is made as wide or as high as its aspect ratio of 5:3 needs, the person in the
middle; then background is added on every side, as a share of that box, and the result is stretched
to one size, which keeps the aspect ratio. Every other person in the crop is background.

What the thesis leaves open, and how it is here:

- The box is the extent of the person's pixels, so that a record's own box, which may be anything,
  decides nothing.
- A crop may reach beyond the picture. It stays centred; what the picture does not show has the mean
  colour and is ignored.
- Crowd regions and groups, which are no single persons, are left out. So are Cityscapes' riders:
  the thesis speaks of the person class and has 16,949 crops for training, and the fine training
  pictures have 17.9 thousand persons without the riders (He et al. 2017, Mask R-CNN). Which of them
  the thesis dropped it does not say; here all stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from encompass.data.cityscapes import find_streets, read_instances
from encompass.data.instances import Dataset, rasterise
from encompass.data.label_augment import LabelExample, cut
from encompass.errors import AnnotationError, UsageError, did_you_mean
from encompass.files import new_folder
from encompass.geometry.masks import crop_mask
from encompass.pictures import MAX_PIXELS, read_picture
from encompass.schema import BoxMask

PERSON = "person"
SIZES = ((320, 192), (160, 96))  # the thesis's (height, width)
BACKGROUNDS = (0.0, 0.05, 0.10)  # the thesis's shares of the box, on every side
CLASSES = "background #000000\nperson #dc143c\n"
# The same, so that masks can be looked at, up to what is ignored: a shorter palette would cut it.
PALETTE = bytes.fromhex("000000dc143c") + bytes(3 * 253) + bytes.fromhex("ebebeb")


@dataclass(frozen=True, slots=True, eq=False)
class PersonMask:
    """One person of a picture."""

    name: str  # of the crop's files, without ending; the same in every run
    mask: BoxMask  # src pixels; a crop of size (0, 0) where nothing of the person is marked


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """One picture's file and its persons with masks."""

    path: Path
    size: tuple[int, int]  # (height, width), pixels, as the annotations have it
    persons: tuple[PersonMask, ...]


@dataclass(frozen=True, slots=True)
class CropCounts:
    """What became of the persons of a source."""

    written: int
    left_out: int  # nothing of the person is marked, or the crop is larger than pictures may be


def people_of_instances(dataset: Dataset) -> Iterator[People]:
    """The persons of each picture that has some, from instances with masks.

    Crops are called IMAGE-ID_NUMBER, by the place among the picture's objects. Objects of which
    only the box is known are not persons here.

    Raises UsageError when the dataset has no class "person".
    """
    names = dataset.classes.names
    if PERSON not in names:
        raise UsageError(
            f"{dataset.sources[0]} has no category {PERSON!r}.{did_you_mean(PERSON, names)} "
            f"Known: {', '.join(names)}."
        )
    label = names.index(PERSON)
    return _people_of_instances(dataset, label)


def _people_of_instances(dataset: Dataset, label: int) -> Iterator[People]:
    for sample in dataset.samples:
        size = sample.height, sample.width
        persons = tuple(
            PersonMask(f"{sample.image_id:012d}_{number:03d}", rasterise(found.segmentation, *size))
            for number, found in enumerate(sample.objects)
            if found.label == label and found.segmentation is not None
        )
        if persons:
            yield People(sample.path, size, persons)


def people_of_cityscapes(root: str | PathLike[str], *, split: str) -> Iterator[People]:
    """The persons of each picture of a split that has some, from *_instanceIds.png.

    Crops are called CITY_SEQUENCE_FRAME_INSTANCE. Raises as `load_cityscapes` does.
    """
    streets, _ = find_streets(Path(root), split=split)
    for street in streets:
        ids, instances = read_instances(street, PERSON)
        if instances:
            persons = tuple(
                PersonMask(f"{street.name}_{identity}", crop_mask(ids == identity))
                for identity in instances
            )
            yield People(street.picture, ids.shape, persons)


def crop_window(
    mask: BoxMask, *, aspect: float, background: float
) -> tuple[float, float, float, float]:
    """What is cropped for a mask that has pixels, xyxy in src pixels, around its extent's centre.

    Args:
        mask: cropped to its extent.
        aspect: height / width of the window; the shorter side of the extent grows to it.
        background: added on each side, as a share of the window's height and width.
    """
    h, w = mask.pixels.shape
    height = max(h, w * aspect) * (1 + 2 * background)
    width = max(w, h / aspect) * (1 + 2 * background)
    x, y = mask.x + w / 2, mask.y + h / 2
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def write_person_crops(
    pictures: Iterable[People],
    out: str | PathLike[str],
    *,
    size: tuple[int, int],
    background: float,
) -> CropCounts:
    """Write images/, masks/ (0 background, 1 person) and classes.txt, whole or not at all.

    The folder loads as any folder of labels. Crops are PNG, so that no picture is compressed twice.

    Args:
        pictures: persons of a source, read one picture at a time.
        out: a folder that is not there yet.
        size: (height, width) of the crops, pixels.
        background: share of the box added on every side.

    Raises:
        UsageError: `out` is there already, or no person could be cropped.
        BadData: a picture or its annotation is broken.
        EncompassError: the disk refuses.
    """
    written = left_out = 0
    with new_folder(out) as folder:
        for name in ("images", "masks"):
            (folder / name).mkdir()
        for people in pictures:
            picture = read_picture(people.path)
            if picture.shape[:2] != people.size:
                raise AnnotationError(
                    people.path,
                    f"is {picture.shape[1]} x {picture.shape[0]} pixels, its annotation says "
                    f"{people.size[1]} x {people.size[0]}; correct one of them.",
                )
            for person in people.persons:
                crop = crop_person(picture, person, size=size, background=background)
                if crop is None:
                    left_out += 1
                    continue
                mask = Image.fromarray(crop.labels)
                mask.putpalette(PALETTE)
                for part, image in (("images", Image.fromarray(crop.picture)), ("masks", mask)):
                    image.save(folder / part / f"{person.name}.png")
                written += 1
        if not written:
            raise UsageError(f"No person with a mask was found for {out}; give another source.")
        (folder / "classes.txt").write_text(CLASSES)
    return CropCounts(written, left_out)


def crop_person(
    picture: np.ndarray, person: PersonMask, *, size: tuple[int, int], background: float
) -> LabelExample | None:
    """The crop of one person; None where nothing is marked or the crop would be too large.

    Too large is a window over `MAX_PIXELS`: the aspect ratio makes one of a thin line that
    crosses a huge picture.
    """
    if not person.mask.pixels.size:
        return None
    window = crop_window(person.mask, aspect=size[0] / size[1], background=background)
    if (window[2] - window[0]) * (window[3] - window[1]) > MAX_PIXELS:
        return None
    labels = person.mask.to_full(*picture.shape[:2]).astype(np.uint8)
    return cut(LabelExample(picture=picture, labels=labels, name=person.name), window, size)
