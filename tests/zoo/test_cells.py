"""The drawn cells: always the same bytes, membranes that close, which no threshold finds."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from landscape.errors import InputError
from landscape.zoo.data import Splits, cells
from landscape.zoo.outcome import find_failure
from landscape.zoo.problems import problem

# golden: whoever compares intersections over unions between versions and machines compares the same pixels
GOLDEN = "e6f21869f8f3c0b9e733c61e3b1c1dcd96d52a5a3ad1c74b0e9f01dcc660eba5"


@pytest.fixture(scope="module")
def splits() -> Splits:
    return cells()


def test_always_the_same_bytes(splits: Splits) -> None:
    digest = hashlib.sha256()
    for split in ("train", "test"):
        for tensor in splits[split]:
            digest.update(tensor.numpy().tobytes())
    assert digest.hexdigest() == GOLDEN


def test_shapes_and_sizes(splits: Splits) -> None:
    for (images, masks), n in ((splits["train"], 64), (splits["test"], 16)):
        assert (images.shape, masks.shape) == ((n, 1, 64, 64), (n, 64, 64))
        assert images.dtype == masks.dtype == torch.uint8
        assert masks.unique().tolist() == [0, 1]
    images, masks = cells(side=50, examples=3)["train"]
    assert (images.shape, masks.shape) == ((3, 1, 50, 50), (3, 50, 50))


def test_no_image_is_there_twice(splits: Splits) -> None:
    masks = torch.cat([splits["train"][1], splits["test"][1]]).flatten(1)
    assert len(masks.unique(dim=0)) == 80


def test_the_first_of_many_are_the_few(splits: Splits) -> None:
    few = cells(examples=5)
    assert torch.equal(few["train"][0], splits["train"][0][:5])
    assert torch.equal(few["test"][0], splits["test"][0])


def test_a_quarter_is_membrane_at_any_side(splits: Splits) -> None:
    # cells keep their width, so that the share is that of another sample: it varies by 0.02 from image to image of 64 x 64
    assert [float(splits[split][1].float().mean()) for split in ("train", "test")] == pytest.approx([0.27, 0.27], abs=0.02)
    assert float(cells(side=128, examples=8)["train"][1].float().mean()) == pytest.approx(0.27, abs=0.02)


def test_the_loss_normalizes_them(splits: Splits) -> None:
    loss = problem("cells-fcn").loss.function
    pixels = splits["train"][0].double()
    # whole numbers near enough: within a tenth of a deviation
    assert float(pixels.mean()) == pytest.approx(loss.mean[0], abs=5)
    assert float(pixels.std()) == pytest.approx(loss.standard_deviation[0], abs=5)


def test_no_threshold_finds_the_membranes(splits: Splits) -> None:
    images, meant = splits["train"][0][:, 0], splits["train"][1] == 1
    named = (images < threshold for threshold in range(256))
    best = max(float((one & meant).sum() / (one | meant).sum()) for one in named)
    assert 0.4 < best < 0.6  # dark pixels tell something, but a network reaches 0.8


def test_membranes_lie_where_two_sites_are_equally_near() -> None:
    """By brute force over all sites, without the squares that `_tessellation` looks into."""
    from landscape.zoo.data.cells import _sites, _tessellation

    sites = _sites(np.random.default_rng(0), 9)
    columns, rows = np.meshgrid(np.arange(40.0), np.arange(40.0))
    nearest, to_membrane = _tessellation(sites, rows, columns)
    squares = (rows[..., None] - sites[:, 0]) ** 2 + (columns[..., None] - sites[:, 1]) ** 2
    order = np.argsort(squares, axis=-1)
    first, second = order[..., 0], order[..., 1]
    assert np.array_equal(nearest, first)
    apart = np.linalg.norm(sites[first] - sites[second], axis=-1)
    gap = np.take_along_axis(squares, order[..., :2], -1) @ [-1, 1]
    # the squared distances, up to 2,000, are rounded to 2e-13
    np.testing.assert_allclose(to_membrane, gap / (2 * apart), atol=1e-11)


def test_settings_in_range() -> None:
    for settings in ({"side": 8}, {"side": 1000}, {"examples": 0}):
        with pytest.raises(InputError, match="is not a whole number"):
            problem("cells-unet", **settings)


def test_chance_is_the_commonest_class_of_pixels(splits: Splits) -> None:
    """Naming no membrane at all is right for nearly three quarters of the pixels: that is no training."""
    masks = splits["train"][1].flatten()
    share = 1 - float(masks.float().mean())
    # three standard errors of 262,144 pixels: 0.0026
    assert "is chance (73" in str(find_failure(0.5, share + 0.002, masks))
    assert find_failure(0.5, share + 0.004, masks) is None
