"""Penn-Fudan's masks: each value is a person, compared and never converted."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encompass.data.instances import rasterise
from encompass.data.penn_fudan import load_penn_fudan
from encompass.errors import AnnotationError, ImageError

IDS = np.zeros((20, 30), np.uint8)
IDS[2:10, 3:7] = 1
IDS[4:6, 4:5] = 0  # a hole
IDS[5:18, 20:29] = 7


@pytest.fixture
def root(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (30, 20)).save(tmp_path / "images" / "a.jpg")
    Image.fromarray(IDS).save(tmp_path / "masks" / "a.png")
    return tmp_path


def test_each_value_is_a_person_with_its_tight_box_and_exact_mask(root):
    (sample,) = load_penn_fudan(root).samples
    assert (sample.height, sample.width, sample.path) == (20, 30, root / "images" / "a.jpg")
    np.testing.assert_array_equal(sample.boxes_xyxy, [[3, 2, 7, 10], [20, 5, 29, 18]])
    for found, value in zip(sample.objects, (1, 7), strict=True):
        mask = rasterise(found.segmentation, 20, 30)
        np.testing.assert_array_equal(mask.to_full(20, 30), value == IDS)
        assert found.area == np.count_nonzero(value == IDS)


def test_a_palette_and_sixteen_bits_keep_their_values(root):
    expected = load_penn_fudan(root).samples[0].boxes_xyxy
    palette = Image.fromarray(IDS, "L")
    palette.putpalette(list(np.random.default_rng(0).integers(0, 256, 768)))
    for picture in (palette, Image.fromarray(IDS.astype(np.uint16) * 3000)):
        picture.save(root / "masks" / "a.png")
        np.testing.assert_array_equal(load_penn_fudan(root).samples[0].boxes_xyxy, expected)


def test_a_mask_without_people_is_an_empty_sample(root):
    Image.fromarray(IDS * 0).save(root / "masks" / "a.png")
    assert load_penn_fudan(root).samples[0].boxes_xyxy.shape == (0, 4)


def test_broken_folders_are_refused_by_name(root):
    mask = root / "masks" / "a.png"
    with pytest.raises(AnnotationError, match="has neither images/ and masks/ nor PNGImages/"):
        load_penn_fudan(root / "images")
    Image.fromarray(IDS[:-1]).save(mask)
    with pytest.raises(
        AnnotationError, match=r"a.png: has size \(19, 30\), its picture \(20, 30\)"
    ):
        load_penn_fudan(root)
    Image.new("RGB", (30, 20)).save(mask)
    with pytest.raises(ImageError, match=r"a.png: pixels of kind RGB are not ids"):
        load_penn_fudan(root)
    mask.write_bytes(mask.read_bytes()[:-20])
    with pytest.raises(ImageError, match=r"a.png: is truncated"):
        load_penn_fudan(root)
    mask.unlink()
    with pytest.raises(AnnotationError, match=r"a.png: no such file"):
        load_penn_fudan(root)


def test_the_public_archives_names_are_read_the_same(root):
    ours = load_penn_fudan(root).samples[0]
    (root / "images").rename(root / "PNGImages")
    (root / "masks").rename(root / "PedMasks")
    mask = root / "PedMasks" / "a.png"
    mask.rename(mask.with_name("a_mask.png"))
    (theirs,) = load_penn_fudan(root).samples
    assert theirs.path == root / "PNGImages" / "a.jpg"
    np.testing.assert_array_equal(theirs.boxes_xyxy, ours.boxes_xyxy)
    mask.with_name("a_mask.png").unlink()
    with pytest.raises(AnnotationError, match=r"a_mask.png: no such file"):
        load_penn_fudan(root)


def test_a_folder_without_pictures_is_refused(root):
    (root / "images" / "a.jpg").unlink()
    with pytest.raises(AnnotationError, match="has no pictures in images/"):
        load_penn_fudan(root)


SHARED = Path(__file__).parents[3] / "shared" / "data" / "penn-fudan"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")
def test_the_real_set_is_read_whole():
    dataset = load_penn_fudan(SHARED)
    assert len(dataset) == 120
    assert sum(len(sample.objects) for sample in dataset.samples) == 310
