"""Masks as files, outlines and run lengths: all draw the same area."""

import numpy as np
import pytest
from PIL import Image

from styleaug.datasets import Box, Polygon, RunLengths, Sample

WIDTH, HEIGHT = 20, 10


def area(left, top, right, bottom):
    marked = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    marked[top:bottom, left:right] = True
    return marked


def test_a_polygon_marks_the_pixels_inside():
    marked = Polygon(((3, 2), (8, 2), (8, 6), (3, 6))).draw(WIDTH, HEIGHT)
    # Pillow counts the outline's pixels in
    assert marked[2:6, 3:8].all()
    assert marked.sum() <= area(2, 1, 9, 7).sum()


def test_what_lies_beyond_the_image_is_cut():
    marked = Polygon(((-5, -5), (WIDTH + 5, -5), (WIDTH + 5, 4), (-5, 4))).draw(WIDTH, HEIGHT)
    assert marked[:4].all()
    assert not marked[5:].any()


def test_run_lengths_go_down_columns_or_along_rows():
    wanted = area(3, 2, 5, 6)
    # 3 columns and 2 pixels unmarked, 4 marked, 6 unmarked, 4 marked
    columns = RunLengths((3 * HEIGHT + 2, 4, 6, 4), WIDTH, HEIGHT)
    assert np.array_equal(columns.draw(WIDTH, HEIGHT), wanted)
    rows = RunLengths.of(wanted)
    assert rows.counts[:3] == (2 * WIDTH + 3, 2, WIDTH - 2)
    assert np.array_equal(rows.draw(WIDTH, HEIGHT), wanted)


def test_run_lengths_of_a_part_lie_where_it_begins():
    part = RunLengths.of(np.ones((4, 2), dtype=np.bool_), left=3, top=2)
    assert np.array_equal(part.draw(WIDTH, HEIGHT), area(3, 2, 5, 6))


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (RunLengths((0, WIDTH * HEIGHT + 1), WIDTH, HEIGHT), "201 pixels long"),
        (RunLengths((-1, 5), WIDTH, HEIGHT), "must fill an area"),
        (RunLengths((0, 8), 4, 2, left=WIDTH - 3), r"4 x 2 pixels at \(17, 0\) does not fit"),
    ],
)
def test_run_lengths_that_do_not_fit_are_named(mask, words):
    with pytest.raises(ValueError, match=words):
        mask.draw(WIDTH, HEIGHT)


def test_all_masks_of_a_sample_count_and_boxes_only_without_any(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (WIDTH, HEIGHT)).save(path)
    masks = (RunLengths.of(area(0, 0, 2, 2)), RunLengths.of(area(5, 5, 7, 7)))
    box = Box("spot", 0, 0, 20, 10)
    marked = Sample(path, masks=masks, boxes=(box,)).load_mask()
    assert np.array_equal(marked, area(0, 0, 2, 2) | area(5, 5, 7, 7))
    assert Sample(path, boxes=(box,)).load_mask().all()
    assert Sample(path).load_mask() is None
