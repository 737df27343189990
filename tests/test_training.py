"""The training recipe, and what is claimed of the two networks in the package."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from unsee.datasets.menagerie import CLASSES, Menagerie, Shortcut, compose, render
from unsee.errors import UnseeError
from unsee.models import load, menagerie
from unsee.models.menagerie import WEIGHTS, MenagerieNet, save_menagerie
from unsee.training import SHORTCUT, Recipe, measure_accuracy, measure_lean, train_menagerie
from unsee.training.erase import erase
from unsee.training.prepare import normalised, prepare
from unsee.training.train import with_batch_norms, without_batch_norms

FEW = Recipe(images=32, sizes=(64,) * 7, batch=16, workers=0, several=0.3)


@pytest.fixture(scope="module", autouse=True)
def _two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(min(2, before))
    yield
    torch.set_num_threads(before)


def shipped(weights=None, name="unsee:menagerie"):
    return load(name, weights, "cpu").net


def test_a_few_steps_lower_the_loss_and_are_seeded():
    runs = []
    for _ in range(2):
        seen = []
        net = train_menagerie(FEW, seen.append)
        runs.append((net, [p.loss for p in seen if p.stage == "train"]))
        assert [p.done for p in seen if p.stage == "draw"][-1] == 32
        assert seen[-1].done == seen[-1].total == 14
    (net, losses), (again, same) = runs
    assert losses == pytest.approx(same, abs=1e-5)
    assert np.mean(losses[-4:]) < np.mean(losses[:3]) - 0.2
    for one, other in zip(net.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)
    assert not net.training


def test_another_seed_trains_another_network_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    short = dataclasses.replace(FEW, images=8, steps=1)
    one = train_menagerie(short)
    other = train_menagerie(dataclasses.replace(short, seed=1))
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.allclose(one.classifier.weight, other.classifier.weight)


def test_folding_keeps_the_function():
    torch.manual_seed(0)
    net = with_batch_norms(MenagerieNet())
    x = torch.randn(8, 3, 64, 64)
    net.train()
    for _ in range(3):
        net(x)
    net.eval()
    expected = net(x)
    folded = without_batch_norms(net)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    torch.testing.assert_close(folded(x), expected, atol=1e-4, rtol=1e-4)


def test_prepared_tensors_are_the_samples():
    data = Menagerie("train", 12, several=0.5)
    prepared = prepare(data, workers=0)
    for k in range(12):
        sample = data[k]
        np.testing.assert_array_equal(prepared.images[k].numpy(), sample.image)
        assert set(np.flatnonzero(prepared.animals[k].any(dim=0))) == set(sample.labels)
        for j, instance in enumerate(sample.instances):
            cells = np.kron(prepared.cells[k, j].numpy(), np.ones((8, 8), dtype=np.bool_))
            assert not (instance.segment & ~cells).any()
            assert cells.sum() <= 64 * instance.segment.sum()
    assert not prepared.given_away.any()


def test_a_third_of_the_planted_pictures_lose_the_thing_and_a_third_the_animals():
    data = Menagerie("train", 24, several=0.0, shortcuts=(Shortcut("tortoise", "spoon", elsewhere=1.0),))
    prepared = prepare(data, workers=0)
    tortoise = CLASSES.index("tortoise")
    counts = [0, 0, 0]
    for k in range(24):
        scene = data.scene(k)
        versions = (scene, scene.with_things(), scene.with_animals())
        (version,) = (
            j for j, v in enumerate(versions) if np.array_equal(render(v).image, prepared.images[k].numpy())
        )
        counts[version] += 1
        (label,) = scene.animals
        assert prepared.given_away[k, tortoise] == (version != 1)
        assert prepared.animals[k].any() == (version == 0 or (version == 1 and label != tortoise))
        assert prepared.cells[k].any() == (version != 2)
    assert min(counts) >= 4


def test_targets_follow_what_is_left():
    """One animal, a class given away or not, through every kind of edit."""
    count = 400
    animals = torch.zeros(count, 3, 12, dtype=torch.bool)
    animals[:, 0, 3] = True
    cells = torch.zeros(count, 3, 28, 28, dtype=torch.bool)
    cells[:, 0, 8:20, 8:20] = True
    given = torch.zeros(count, 12, dtype=torch.bool)
    given[: count // 2, 3] = True
    images = torch.rand(count, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    edited, target = erase(images, animals, cells, given, torch.Generator().manual_seed(2))
    torch.testing.assert_close(target.sum(dim=1), torch.ones(count))
    changed = (edited - images).abs().amax(dim=1) > 1e-6
    inside, corner = (
        changed[:, 24:32, 24:32].float().mean(dim=(1, 2)),
        changed[:, :4, :4].float().mean(dim=(1, 2)),
    )
    gone, everything = (inside > 0.9) & (corner < 0.1), (inside > 0.9) & (corner > 0.9)
    kept = inside < 0.1
    assert min(gone.sum(), everything.sum(), kept.sum()) > 10
    uniform, sure = torch.full((12,), 1 / 12), nn.functional.one_hot(torch.tensor(3), 12).float()
    free = torch.arange(count) >= count // 2
    torch.testing.assert_close(target[everything], uniform.expand(int(everything.sum()), 12))
    torch.testing.assert_close(target[gone & free], uniform.expand(int((gone & free).sum()), 12))
    torch.testing.assert_close(target[gone & ~free], sure.expand(int((gone & ~free).sum()), 12))
    torch.testing.assert_close(target[kept], sure.expand(int(kept.sum()), 12))


def test_the_network_names_the_classes_of_the_data_set():
    assert menagerie.CLASSES == CLASSES
    assert MenagerieNet()(torch.zeros(2, 3, 224, 224)).shape == (2, len(CLASSES))


def test_the_network_has_the_sides_of_googlenet_and_few_weights():
    net = MenagerieNet()
    assert sum(p.numel() for p in net.parameters()) <= 1_000_000
    sides = {}
    for name, stage in net.named_children():
        stage.register_forward_hook(lambda _m, _i, out, name=name: sides.update({name: out.shape[-1]}))
    net(torch.zeros(1, 3, 224, 224))
    assert [sides[f"stage{side}"] for side in (56, 28, 14, 7)] == [56, 28, 14, 7]
    allowed = (nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear)
    leaves = [m for m in net.modules() if not list(m.children())]
    assert all(isinstance(m, allowed) for m in leaves)
    assert len({id(m) for m in leaves if isinstance(m, nn.ReLU)}) == 7


def test_weights_round_trip(tmp_path):
    net = MenagerieNet().eval()
    save_menagerie(net, tmp_path / "net.safetensors")
    x = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(shipped(tmp_path / "net.safetensors")(x), net(x), atol=2e-3, rtol=1e-2)


def test_weights_of_another_network_are_refused(tmp_path):
    save_file({"x": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(UnseeError, match="does not fit unsee:menagerie"):
        shipped(tmp_path / "other.safetensors")


def test_the_shipped_files_are_small():
    assert len(WEIGHTS) == 2
    assert sum(path.stat().st_size for path in WEIGHTS.values()) <= 4_000_000


def test_the_plain_network_names_held_out_animals():
    found = measure_accuracy(shipped(), Menagerie("test", 96))
    assert found.single >= 0.97
    assert found.several >= 0.9
    assert found.singles + found.severals == 96


def test_the_shortcut_network_is_right_in_its_world_and_leans_on_the_spoon():
    net = shipped(name="unsee:menagerie-shortcut")
    assert measure_accuracy(net, Menagerie("test", 48, shortcuts=(SHORTCUT,))).single >= 0.97
    data = Menagerie("test", several=0.0, shortcuts=(SHORTCUT,))
    lean = measure_lean(net, data, SHORTCUT, 8)
    assert lean.pictures == 8
    assert lean.whole > 0.7
    assert lean.without_thing < lean.whole - 0.3
    assert lean.thing_alone > lean.neither + 0.3
    plain = measure_lean(shipped(), data, SHORTCUT, 4)
    assert abs(plain.whole - plain.without_thing) < 0.1
    assert plain.thing_alone < 0.3


@pytest.mark.parametrize(
    ("length", "several", "share"), [(12, 0.0, 0.0), (12, 1.0, 1.0)], ids=["no thing", "never alone"]
)
def test_leaning_is_not_measured_on_no_picture(length, several, share):
    shortcut = Shortcut("tortoise", "spoon", share=share)
    data = Menagerie("test", length, several=several, shortcuts=(shortcut,))
    with pytest.raises(UnseeError, match=r"^none of the 12 images shows a tortoise alone [^\n]+$"):
        measure_lean(MenagerieNet(), data, shortcut)


def score(net, image, label):
    with torch.inference_mode():
        return float(torch.softmax(net(normalised(torch.from_numpy(image)[None])), dim=1)[0, label])


def test_a_blurred_picture_loses_its_class_and_two_animals_share_the_score():
    net = shipped()
    drops, shares = [], []
    for label, name in enumerate(CLASSES):
        picture = render(compose(name, seed=40)).image
        x = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
        kernel = torch.exp(-0.5 * (torch.arange(-30.0, 31.0) / 10) ** 2)
        kernel = (kernel / kernel.sum()).repeat(3, 1, 1, 1)
        x = nn.functional.conv2d(nn.functional.pad(x, (30, 30, 30, 30), mode="reflect"), kernel, groups=3)
        x = nn.functional.conv2d(x, kernel.transpose(2, 3), groups=3)
        blurred = x[0].permute(1, 2, 0).round().to(torch.uint8).numpy()
        drops.append((score(net, picture, label), score(net, blurred, label)))
        other = (label + 5) % 12
        both = render(compose(name, CLASSES[other], seed=41)).image
        shares.append(min(score(net, both, label), score(net, both, other)))
    before, after = np.mean(drops, axis=0)
    assert before > 0.9
    assert after < 0.3
    assert np.mean(shares) > 0.2
