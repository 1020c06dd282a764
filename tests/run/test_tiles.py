"""Looks at tiles, joined: made-up models that see what lies in their window."""

import dataclasses

import numpy as np
import pytest

import encompass
from encompass.errors import UsageError
from encompass.run.tiles import predict_tiled, tile_windows
from encompass.schema import BoxMask

HEIGHT, WIDTH = 100, 200


def scene(*people):
    """A picture whose red channel has the number of the person at each pixel, later ones in front.

    People are boxes x0, y0, x1, y1.
    """
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for number, (x0, y0, x1, y1) in enumerate(people, start=1):
        picture[y0:y1, x0:x1, 0] = number
    return picture


def looker(*, least=0, most=10**9, label=lambda number: 0):
    """A model that finds each person of whom it sees from `least` to `most` pixels.

    Its score is the part of its picture's area, so that it differs from look to look.
    """

    def model(picture):
        height, width = picture.shape[:2]
        found = []
        for number in np.unique(picture[..., 0])[1:].tolist():
            rows, columns = np.nonzero(picture[..., 0] == number)
            if least <= len(rows) <= most:
                x0, y0, x1, y1 = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
                pixels = picture[y0:y1, x0:x1, 0] == number
                score = len(rows) / (height * width)
                found.append(((x0, y0, x1, y1), score, label(number), BoxMask(x0, y0, pixels)))
        found.sort(key=lambda one: -one[1])
        boxes, scores, labels, masks = zip(*found, strict=True) if found else ((), (), (), ())
        return encompass.Result(
            height=height,
            width=width,
            boxes=np.asarray(boxes, np.float32).reshape(-1, 4),
            scores=np.asarray(scores, np.float32),
            labels=np.asarray(labels, np.int64),
            masks=masks,
            names=("person", "dog"),
            category_ids=(1, 18),
            picture=picture,
            path=None,
            speed={"network": 1.0, "mask decode": 0.0},
        )

    return model


def full(result):
    return [mask.to_full(HEIGHT, WIDTH) for mask in result.masks]


@pytest.mark.parametrize(
    ("length", "tiles", "expected"),
    [
        (100, (1, 1), [(0, 100)]),
        (90, (1, 2), [(0, 50), (40, 90)]),  # 50 / (2 - 0.2) a side, a fifth of it shared
        (130, (1, 3), [(0, 50), (40, 90), (80, 130)]),
    ],
)
def test_tiles_are_equal_share_a_fifth_and_cover_all(length, tiles, expected):
    assert tile_windows(10, length, tiles) == [(a, 0, b, 10) for a, b in expected]
    assert tile_windows(length, 10, tiles[::-1]) == [(0, a, 10, b) for a, b in expected]


@pytest.mark.parametrize("tiles", [(0, 1), (1, 0), (11, 1), (1, 21), (-1, 2)])
def test_tiles_must_be_some_and_no_more_than_pixels(tiles):
    with pytest.raises(UsageError, match="1 to 10 rows and 1 to 20 columns"):
        tile_windows(10, 20, tiles)


@pytest.mark.parametrize("tiles", [2, "2x2", (2,), (1, 2, 3)])
def test_tiles_are_rows_and_columns(tiles):
    with pytest.raises(UsageError, match=r"give \(rows, columns\), such as \(2, 3\)"):
        tile_windows(10, 20, tiles)


def test_tiles_are_not_without_number():
    assert len(tile_windows(100, 200, (10, 10))) == 100
    with pytest.raises(UsageError, match="tiles=6x17: are more than 100"):
        tile_windows(100, 200, (6, 17))


def test_who_is_seen_by_several_looks_is_found_once():
    # The middle of the picture is in both tiles, [0, 112) and [88, 200).
    people = (95, 20, 105, 60), (10, 10, 30, 50), (150, 10, 190, 90)
    result = predict_tiled(looker(), scene(*people), (1, 2))
    assert sorted(map(tuple, result.boxes.tolist())) == sorted(people)
    assert (result.scores[:-1] >= result.scores[1:]).all()
    # The score is the best, which is that of the smaller look.
    assert sorted(result.scores.tolist()) == pytest.approx(
        sorted((x1 - x0) * (y1 - y0) / (112 * HEIGHT) for x0, y0, x1, y1 in people)
    )
    assert result.picture.shape == (HEIGHT, WIDTH, 3)


def test_whom_a_tile_cuts_is_as_the_whole_picture_has_it():
    person = (40, 20, 160, 80)
    result = predict_tiled(looker(), scene(person), (1, 2))
    assert result.boxes.tolist() == [list(person)]
    assert (full(result)[0] == (scene(person)[..., 0] == 1)).all()


def test_parts_are_joined_where_no_look_shows_the_whole():
    person = (40, 20, 160, 80)
    result = predict_tiled(looker(most=5000), scene(person), (1, 2))  # 7200 pixels are too many
    assert result.boxes.tolist() == [list(person)]
    assert (full(result)[0] == (scene(person)[..., 0] == 1)).all()


@pytest.mark.parametrize("scores", [(0.9, 0.5, 0.8, 0.4), (0.9, 0.0, 0.8, 0.4), (0.4, 0.9, 0.8, 0)])
def test_one_in_three_tiles_is_found_once(scores):
    """What the outer tiles see has nothing in common; a look that is less sure sees both."""
    person = (5, 20, 195, 80)
    looks = iter((scores[3], *scores[:3]))  # the whole picture is first

    def model(picture):
        found, score = looker()(picture), next(looks)
        kept = np.full(len(found), score > 0)
        return dataclasses.replace(
            found,
            boxes=found.boxes[kept],
            scores=np.full(kept.sum(), score, np.float32),
            labels=found.labels[kept],
            masks=found.masks if score else (),
        )

    result = predict_tiled(model, scene(person), (1, 3))
    assert result.boxes.tolist() == [list(person)]
    assert result.scores.tolist() == pytest.approx([0.9])


def test_small_people_are_found_in_tiles_alone():
    person = (10, 10, 20, 20)

    def model(picture):
        return looker()(picture if picture.shape[1] < WIDTH else np.zeros_like(picture))

    assert len(model(scene(person))) == 0
    assert predict_tiled(model, scene(person), (2, 3)).boxes.tolist() == [list(person)]


def test_one_in_front_of_another_stays_apart_and_so_do_classes():
    behind, front = (10, 10, 80, 90), (30, 30, 50, 80)
    result = predict_tiled(looker(), scene(behind, front), (1, 2))
    assert len(result) == 2
    picture = scene(behind, front)[..., 0]
    expected = {(picture == number).tobytes() for number in (1, 2)}
    assert {mask.tobytes() for mask in full(result)} == expected

    # Two looks that disagree about the class are two objects.
    fickle = looker()

    def model(picture):
        return looker(label=lambda _: int(picture.shape[1] < WIDTH))(picture)

    assert len(predict_tiled(fickle, scene(front), (1, 1))) == 1
    assert sorted(predict_tiled(model, scene(front), (1, 2)).labels.tolist()) == [0, 1]


def test_nobody_is_nobody_and_times_are_added():
    result = predict_tiled(looker(), scene(), (2, 2))
    assert len(result) == 0
    assert result.boxes.shape == (0, 4)
    assert result.speed["network"] == 5.0
    assert result.speed["mask decode"] > 0


def test_a_model_takes_tiles(tmp_path):
    model = encompass.load("encompass-s", threads=1)
    from PIL import Image

    from encompass.run.benchmark import scene as people
    from encompass.run.draw import write_picture

    picture = people(2)
    path = tmp_path / "two.png"
    write_picture(Image.fromarray(picture), path)
    plain, tiled = model(path), model(path, tiles=(1, 1))
    assert tiled.path == path
    assert tiled.speed.keys() == plain.speed.keys()
    assert len(tiled) == len(plain)  # one tile is the picture
    np.testing.assert_array_equal(tiled.boxes, plain.boxes)
