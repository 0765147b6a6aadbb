from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from medical_transfer.config.augmentation import SYMMETRIES, Augmentation
from medical_transfer.data import augment
from medical_transfer.data.augment import FLIPPED_AXES, POLICIES, chapter, example_views, flips, gentle, mirrored, none

torch.set_num_threads(1)

SIDE = 48


def smooth(n: int = 3, side: int = SIDE) -> torch.Tensor:
    """Coloured images without sharp edges, so that ways of interpolating hardly differ; no symmetry."""
    y, x = torch.meshgrid(torch.linspace(0, 1, side), torch.linspace(0, 1, side), indexing="ij")
    images = []
    for index in range(n):
        planes = [
            0.5 + 0.3 * torch.sin(2 * x + 3 * y * (channel + 1) / 2 + index) * (1 - 0.4 * y) for channel in range(3)
        ]
        images.append(torch.stack(planes))
    return torch.stack(images).float()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def drawn(monkeypatch):
    """Let the policies draw these numbers instead, one list per image in the order of the calls."""

    def install(*numbers: float):
        remaining = iter(numbers)
        monkeypatch.setattr(
            augment._Draw, "uniform", lambda self, low, high: torch.full((self.n,), float(next(remaining)))
        )
        return remaining

    return install


def inside(images: torch.Tensor, margin: int) -> torch.Tensor:
    return images[..., margin:-margin, margin:-margin]


WHOLE, UPRIGHT, CENTRED, RIGHT_WAY, AS_BRIGHT, AS_STARK = (1.0, 0.0), (0.0,), (0.0, 0.0), (0.9,), (1.0,), (1.0,)
"""What `chapter` draws, in its order: area and log-ratio of the crop, flip, angle, shifts, brightness, contrast."""


def test_the_chapters_policy_at_rest_changes_nothing(drawn):
    rest = drawn(*WHOLE, *RIGHT_WAY, *UPRIGHT, *CENTRED, *AS_BRIGHT, *AS_STARK)
    torch.testing.assert_close(chapter(smooth(), generator()), smooth(), atol=1e-5, rtol=0)
    assert not list(rest)


def test_the_chapters_flip_is_torchvisions(drawn):
    drawn(*WHOLE, 0.1, *UPRIGHT, *CENTRED, *AS_BRIGHT, *AS_STARK)
    torch.testing.assert_close(chapter(smooth(), generator()), tv.horizontal_flip(smooth()), atol=1e-5, rtol=0)


@pytest.mark.parametrize("degrees", [-15, 4, 15])
def test_the_chapters_rotation_is_torchvisions(drawn, degrees):
    drawn(*WHOLE, *RIGHT_WAY, math.radians(degrees), *CENTRED, *AS_BRIGHT, *AS_STARK)
    ours = chapter(smooth(), generator())
    theirs = tv.rotate(smooth(), degrees, interpolation=InterpolationMode.BILINEAR)
    # outside of the image is black in both; only the edge between is blended differently
    torch.testing.assert_close(inside(ours, 7), inside(theirs, 7), atol=2e-3, rtol=0)
    assert ((ours[:, :, 0, 0] == 0) == (theirs[:, :, 0, 0] == 0)).all()


@pytest.mark.parametrize(
    ("area", "ratio", "right", "down"), [(0.25, 1.0, -1, 1), (0.36, 4 / 3, 0.5, 0), (0.5, 0.75, 0, -1)]
)
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("degrees", [0, 10])
def test_the_chapters_crop_flip_and_rotation_are_torchvisions_chain(drawn, area, ratio, right, down, flipped, degrees):
    side = 240
    drawn(
        area,
        math.log(ratio),
        0.1 if flipped else 0.9,
        math.radians(degrees),
        right,
        down,
        *AS_BRIGHT,
        *AS_STARK,
    )
    ours = chapter(smooth(2, side), generator())
    width, height = (side * math.sqrt(area * r) for r in (ratio, 1 / ratio))
    left, top = ((side - part) / 2 * (1 + shift) for part, shift in ((width, right), (height, down)))
    theirs = tv.resized_crop(
        smooth(2, side), round(top), round(left), round(height), round(width), [side, side], antialias=False
    )
    theirs = tv.horizontal_flip(theirs) if flipped else theirs
    theirs = tv.rotate(theirs, degrees, interpolation=InterpolationMode.BILINEAR)
    # torchvision rounds the crop to whole pixels, half a pixel of 240 on a slope of at most 1.3 per side
    torch.testing.assert_close(inside(ours, 40), inside(theirs, 40), atol=6e-3, rtol=0)


@pytest.mark.parametrize("brightness", [0.8, 1.0, 1.2])
@pytest.mark.parametrize("contrast", [0.8, 1.0, 1.2])
def test_brightness_then_contrast_are_torchvisions(brightness, contrast):
    images = torch.rand(4, 3, 9, 9, generator=generator())
    images[:, 2] *= 0.2  # colours, so that the mean over channels is not the mean luminance
    ours = augment._jitter(images, brightness=torch.full((4,), brightness), contrast=torch.full((4,), contrast))
    theirs = tv.adjust_contrast(tv.adjust_brightness(images, brightness), contrast)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("zoom", "degrees", "right", "down"), [(0.9, 0, 0, 0), (1.1, -10, 0.1, 0), (1, 10, -0.1, 0.1)])
def test_gentle_is_one_affine_map_of_torchvision(drawn, zoom, degrees, right, down):
    drawn(zoom, math.radians(degrees), right, down, 1.0, 1.0)
    ours = gentle(smooth(2, 240), generator())
    # sampling at zoom * rotation * p + shift undoes: shift first, then rotation back, then 1 / zoom
    pixels = [-right * 120, -down * 120]
    moved = tv.affine(smooth(2, 240), 0.0, pixels, 1.0, [0.0, 0.0], interpolation=InterpolationMode.BILINEAR)
    theirs = tv.affine(moved, -degrees, [0, 0], 1 / zoom, [0.0, 0.0], interpolation=InterpolationMode.BILINEAR)
    torch.testing.assert_close(inside(ours, 50), inside(theirs, 50), atol=3e-3, rtol=0)


def test_flips_move_no_pixel_to_a_new_place():
    images = torch.rand(8, 3, 7, 7, generator=generator(1))
    assert torch.equal(flips(images, generator()).flatten(2).sort().values, images.flatten(2).sort().values)


@pytest.mark.parametrize(("left_right", "up_down"), [(0.4, 0.6), (0.6, 0.4), (0.4, 0.4), (0.6, 0.6)])
def test_mirrored_flips_either_way(drawn, left_right, up_down):
    drawn(1.0, 0.0, 0.0, 0.0, 1.0, 1.0, left_right, up_down)
    expected = smooth()
    expected = tv.horizontal_flip(expected) if left_right < 0.5 else expected
    expected = tv.vertical_flip(expected) if up_down < 0.5 else expected
    torch.testing.assert_close(mirrored(smooth(), generator()), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("symmetry", sorted(FLIPPED_AXES))
def test_a_mirror_image_is_torchvisions(symmetry):
    expected = smooth()
    expected = tv.horizontal_flip(expected) if symmetry in {"left_right", "half_turn"} else expected
    expected = tv.vertical_flip(expected) if symmetry in {"up_down", "half_turn"} else expected
    assert torch.equal(smooth().flip(FLIPPED_AXES[symmetry]), expected)


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_predictions_are_averaged_over_the_mirror_images_that_a_policy_draws(policy, monkeypatch):
    monkeypatch.setattr(augment, "_affine", lambda images, **_: images)  # what is left are the flips
    monkeypatch.setattr(augment, "_jitter", lambda images, **_: images)
    if policy == "chapter":
        pytest.skip("its flip is part of the affine map: tested beside torchvision's")
    if policy == "textured":
        assert SYMMETRIES[policy] == ()  # a mirrored digit is another one; its grounds are tested by themselves
        return
    drawn = POLICIES[policy](smooth(1).expand(64, -1, -1, -1), generator())
    called_alike = [smooth(1)[0], *(smooth(1).flip(FLIPPED_AXES[each])[0] for each in SYMMETRIES[policy])]
    for picture in drawn:
        assert any(torch.equal(picture, each) for each in called_alike)
    for each in called_alike:
        assert any(torch.equal(picture, each) for picture in drawn)


def test_averaging_can_be_switched_off():
    assert Augmentation(policy="flips", average_mirrored=False).symmetries == ()
    assert Augmentation(policy="chapter").symmetries == ("left_right",)


def test_none_leaves_images_and_stream_alone():
    images, stream = smooth(), generator()
    before = stream.get_state()
    assert none(images, stream) is images
    assert torch.equal(stream.get_state(), before)


@pytest.mark.parametrize("name", sorted(POLICIES))
@pytest.mark.parametrize("format_", [torch.contiguous_format, torch.channels_last])
def test_shape_range_and_stream_of_each_policy(name, format_):
    images = torch.rand(5, 3, 20, 20, generator=generator(1)).contiguous(memory_format=format_)
    before = images.clone()
    torch.manual_seed(0)
    first = POLICIES[name](images, generator(2))
    torch.manual_seed(1)  # the global stream plays no part
    again = POLICIES[name](images, generator(2))
    assert torch.equal(first, again)
    assert torch.equal(images, before)
    assert first.shape == images.shape
    assert first.dtype == images.dtype
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, POLICIES[name](images, generator(3))) == (name == "none")


@pytest.mark.parametrize("name", ["gentle", "mirrored", "chapter"])
def test_images_of_a_batch_move_independently(name):
    one = smooth(1).expand(6, -1, -1, -1)
    moved = POLICIES[name](one, generator())
    assert len({image.numpy().tobytes() for image in moved}) == 6


RANGES = {
    "gentle": {
        "scale_x": (0.9, 1.1),
        "scale_y": (0.9, 1.1),
        "angle": (-math.pi / 18, math.pi / 18),
        "shift_x": (-0.1, 0.1),
        "shift_y": (-0.1, 0.1),
        "brightness": (0.85, 1.15),
        "contrast": (0.85, 1.15),
    },
    "chapter": {"angle": (-math.pi / 12, math.pi / 12), "brightness": (0.8, 1.2), "contrast": (0.8, 1.2)},
}


@pytest.fixture
def moves(monkeypatch):
    """What a policy asks for, for 4,000 images."""

    def of(name):
        found = {}

        def keep(images, **moves):
            found.update(moves)
            return images

        monkeypatch.setattr(augment, "_affine", keep)
        monkeypatch.setattr(augment, "_jitter", keep)
        POLICIES[name](torch.zeros(4000, 3, 2, 2), generator(5))
        return {key: value.numpy().astype(np.float64) for key, value in found.items()}

    return of


@pytest.mark.parametrize("name", RANGES)
def test_draws_fill_their_ranges_evenly(moves, name):
    found = moves(name)
    for key, (low, high) in RANGES[name].items():
        assert low <= found[key].min() < low + 0.01 * (high - low), key
        assert high - 0.01 * (high - low) < found[key].max() <= high * (1 + 1e-6), key
        # mean of 4,000 uniform draws: standard error (high - low) / sqrt(12 * 4000)
        assert found[key].mean() == pytest.approx((low + high) / 2, abs=4 * (high - low) / math.sqrt(48_000)), key


def test_the_chapters_crops(moves):
    found = moves("chapter")
    width, height = np.abs(found["scale_x"]), found["scale_y"]
    area, ratio = width * height, width / height
    whole = (width < 1) & (height < 1)
    assert area.min() == pytest.approx(0.08, abs=0.01)
    assert 0.75 - 1e-5 <= ratio[whole].min() < 0.76
    assert 1.32 < ratio[whole].max() <= 4 / 3 + 1e-5
    assert max(width.max(), height.max()) <= 1
    assert np.log(ratio[whole]).mean() == pytest.approx(0, abs=4 * 0.29 / math.sqrt(12 * 3000) * 2)
    assert (found["scale_x"] < 0).mean() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(4000))
    for shift, extent in ((found["shift_x"], width), (found["shift_y"], height)):
        assert (np.abs(shift) + extent <= 1 + 1e-5).all()  # no crop leaves the image


def test_mirrored_flips_half_of_the_images_each_way():
    image = torch.zeros(1, 3, 8, 8)
    image[:, 0, :4, :4] = 1.0  # red in the upper left quarter
    moved = mirrored(image.expand(2000, -1, -1, -1), generator())
    quarters = moved[:, 0].unflatten(1, (2, 4)).unflatten(3, (2, 4)).sum(dim=(2, 4)).flatten(1)
    where = torch.bincount(quarters.argmax(dim=1), minlength=4) / 2000
    np.testing.assert_allclose(where.numpy(), 0.25, atol=4 * math.sqrt(0.25 * 0.75 / 2000))


def test_example_views_are_pictures_of_the_policy():
    rng = np.random.default_rng(0)
    originals = [rng.integers(0, 256, (12, 12, 3), dtype=np.uint8) for _ in range(2)]
    same = example_views(originals, "none", 3, seed=1)
    assert [len(views) for views in same] == [3, 3]
    for original, views in zip(originals, same, strict=True):
        assert all(view.dtype == np.uint8 and (view == original).all() for view in views)
    moved = example_views(originals, "gentle", 2, seed=1)
    images = torch.from_numpy(np.stack(originals)).permute(0, 3, 1, 2) / 255
    stream = generator(1)
    for view in range(2):
        expected = (gentle(images, stream) * 255).round().permute(0, 2, 3, 1).numpy()
        for index in range(2):
            np.testing.assert_allclose(moved[index][view], expected[index], atol=1)
