"""Weights from elsewhere: they mean here what they meant there, and what does not fit is told in one line.

Nothing is fetched: torchvision and timm are given random weights where they would download theirs.
"""

import math
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
import timm
import torch
from agreement import fill
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models
from training_helpers import PROFILE, Noisy, Quiet, StopAfter, fingerprint, load_last, resume, train, write_profile

import architectures
from architectures.vit import VisionTransformer
from workbench.profile import ProfileError
from workbench.profile.schema import Model
from workbench.runs.reading import read_json
from workbench.training import weight_sources
from workbench.training.pretrained import (
    adapt_first_convolution,
    fit_state_dict,
    head_names,
    interpolate_positions,
    load_pretrained,
    normalise_input,
    set_training_mode,
    translate_names,
)
from workbench.training.weight_sources import PEERS, WeightsError, from_timm


def head_of(build: Callable[[int], nn.Module]) -> set[str]:
    return head_names(build(10).state_dict(), build(11).state_dict())


def refuse(*_: object, **__: object) -> None:
    raise URLError("[Errno -2] Name or service not known")


def assert_close(ours: Tensor, peer: Tensor) -> None:
    assert float((ours - peer).abs().max() / peer.abs().max()) < 1e-4
    assert float(peer.std()) > 1e-3  # else nothing is compared


@pytest.fixture
def torchvision_peer(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], nn.Module]:
    """A function: torchvision's network of a name with the random weights that it now "downloads"."""

    def build(name: str) -> nn.Module:
        torch.manual_seed(1)
        options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        source = models.get_model(name, **options)
        fill(source)
        for module in source.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        state = source.state_dict()
        monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: dict(state))
        peer: nn.Module = models.get_model(name, weights="DEFAULT").eval()
        return peer

    return build


# Same weights, same logits


@pytest.mark.parametrize(("name", "size"), [("resnet18", 48), ("squeezenet1_1", 48), ("inception_v3", 80)])
def test_torchvisions_weights_give_torchvisions_logits(
    torchvision_peer: Callable[[str], nn.Module], name: str, size: int
) -> None:
    """Inception v3 changes its input before the first layer when it is torchvision's: ours must have that in it."""
    peer = torchvision_peer(name)
    network = architectures.create(name, image_size=size).eval()
    origin = load_pretrained(network, Model(arch=name, pretrained="torchvision"), set())
    assert origin == f"torchvision {models.get_model_weights(name).DEFAULT}"
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        assert_close(network(x), peer(x))


def test_timms_small_vit_gives_timms_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its names are others than ours, and it was trained on images normalised otherwise."""
    torch.manual_seed(0)
    peer = timm.create_model("vit_tiny_patch16_224").eval()
    fill(peer)
    nn.init.normal_(peer.head.weight)
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: peer)
    network = architectures.create("vit_ti_16").eval()
    origin = load_pretrained(network, Model(arch="vit_ti_16", pretrained="timm"), set())
    assert origin == "timm vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = torch.randn(1, 3, 224, 224)
    pixels = x * std[:, None, None] + mean[:, None, None]
    with torch.no_grad():
        assert_close(network(x), peer((pixels - 0.5) / 0.5))


def test_names_in_old_files_of_torchvision_are_known() -> None:
    expected = ["features.denseblock1.denselayer2.norm1.weight", "encoder.layers.encoder_layer_3.mlp.3.bias"]
    old = ["features.denseblock1.denselayer2.norm.1.weight", "encoder.layers.encoder_layer_3.mlp.linear_2.bias"]
    assert list(translate_names(dict.fromkeys(old, torch.zeros(1)), expected)) == expected


def test_every_peer_exists_and_every_name_is_ours() -> None:
    assert set(PEERS["torchvision"]) | set(PEERS["timm"]) <= set(architectures.names())
    for name in PEERS["torchvision"].values():
        assert models.get_model_weights(name).DEFAULT.url.startswith("https://")
    assert all(timm.is_model(name) for name in PEERS["timm"].values())


# What may differ


def test_another_number_of_classes_replaces_the_head_alone(torchvision_peer: Callable[[str], nn.Module]) -> None:
    given = torchvision_peer("resnet18").state_dict()
    network = architectures.create("resnet18", num_classes=10)
    drawn = {key: value.clone() for key, value in network.state_dict().items()}
    head = head_of(lambda classes: architectures.create("resnet18", num_classes=classes))
    assert head == {"fc.weight", "fc.bias"}
    line = load_pretrained(network, Model(pretrained="torchvision"), head)
    assert line.endswith("; fc replaced")
    for key, value in network.state_dict().items():
        assert torch.equal(value, drawn[key] if key in head else given[key]), key


def test_a_head_may_be_deep_and_have_companions() -> None:
    nin = head_of(lambda classes: architectures.create("nin", num_classes=classes))
    assert nin == {f"classifier.{layer}.{part}" for layer in (0, 2, 4) for part in ("weight", "bias")}
    with torch.device("meta"):
        googlenet = head_of(lambda n: architectures.create("googlenet_bn", num_classes=n, aux_heads=True))
    assert {"fc.weight", "aux1.fc2.bias", "aux2.conv.conv.weight"} <= googlenet
    assert not any(key.startswith("inception") for key in googlenet)


def test_auxiliary_heads_may_be_absent_or_left_over(torchvision_peer: Callable[[str], nn.Module]) -> None:
    given = torchvision_peer("googlenet").state_dict()  # torchvision keeps its auxiliary heads, untrained, to itself
    build = lambda classes: architectures.create("googlenet_bn", num_classes=classes, aux_heads=True)  # noqa: E731
    network, head = build(1000), head_of(build)
    _, changes = fit_state_dict(network, given, head)
    assert changes == ["aux1 replaced", "aux2 replaced"]
    without = architectures.create("googlenet_bn")
    fitted, changes = fit_state_dict(without, network.state_dict(), {"fc.weight", "fc.bias"})
    assert changes == []
    assert set(fitted) == set(without.state_dict())


def test_a_grey_image_gives_what_it_gives_as_rgb(torchvision_peer: Callable[[str], nn.Module]) -> None:
    peer = torchvision_peer("resnet18")
    network = architectures.create("resnet18", in_channels=1).eval()
    line = load_pretrained(network, Model(pretrained="torchvision"), set())
    assert line.endswith("; conv1 adapted from 3 to 1 input channels")
    grey = torch.randn(2, 1, 48, 48)
    with torch.no_grad():
        assert_close(network(grey), peer(grey.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize(("given", "wanted"), [(3, 6), (1, 3), (3, 1), (6, 3), (3, 4), (4, 3)])
def test_channels_that_are_alike_keep_their_response(given: int, wanted: int) -> None:
    filters = torch.randn(8, 1, 3, 3, dtype=torch.float64).expand(-1, given, -1, -1)
    adapted = adapt_first_convolution(filters, wanted)
    assert adapted.shape == (8, wanted, 3, 3)
    torch.testing.assert_close(adapted.sum(1), filters.float().sum(1))


def small_vit(size: int) -> VisionTransformer:
    return VisionTransformer(16, 1, 32, 2, 64, num_classes=10, image_size=size)


def test_a_vit_for_another_size_has_its_positions_interpolated() -> None:
    torch.manual_seed(0)
    given = small_vit(64).state_dict()
    for size in (48, 96):
        network = small_vit(size)
        fitted, changes = fit_state_dict(network, given, set())
        network.load_state_dict(fitted)
        assert changes == [f"encoder.pos_embedding interpolated from 17 to {(size // 16) ** 2 + 1} tokens"]
        assert network(torch.randn(1, 3, size, size)).isfinite().all()
    same, changes = fit_state_dict(small_vit(64), given, set())
    assert changes == []
    assert all(torch.equal(same[key], given[key]) for key in given)


def test_interpolation_keeps_the_class_token_and_the_directions() -> None:
    rows = torch.arange(4.0).repeat_interleave(4)  # embedding 0 is the row of a patch, 1 its column
    grid = torch.stack([rows, torch.arange(4.0).repeat(4)], dim=1)
    positions = torch.cat([torch.tensor([[7.0, 9.0]]), grid])[None]  # (1, 17, 2)
    larger = interpolate_positions(positions, 65)
    assert torch.equal(larger[0, 0], torch.tensor([7.0, 9.0]))
    row, column = larger[0, 1:].unflatten(0, (8, 8)).unbind(-1)
    torch.testing.assert_close(row, column.T)
    torch.testing.assert_close(row[:, 0], row[:, 5])
    assert (row[:, 0].diff() > 0).all()
    torch.testing.assert_close(row[3, 0] + row[4, 0], torch.tensor(3.0))  # the middle stays the middle


def test_weights_for_other_pixels_are_converted() -> None:
    torch.manual_seed(0)
    plain, normed = nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)).eval()
    half, mean, std = (0.5,) * 3, torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = torch.randn(1, 3, 8, 8)
    seen = (x * std[:, None, None] + mean[:, None, None] - 0.5) / 0.5
    for network in (nn.Sequential(plain), normed):
        expected = network(seen)
        network.load_state_dict(dict(normalise_input(network.state_dict(), half, half)))
        torch.testing.assert_close(network(x), expected)


# What may not


@pytest.mark.parametrize("name", ["mixer_s32", "resmlp_12", "gmlp_ti16"])
def test_networks_that_mix_patches_say_which_size_fits(name: str) -> None:
    with torch.device("meta"):
        given = architectures.create(name, image_size=224).state_dict()
        network = architectures.create(name, image_size=96)
    with pytest.raises(WeightsError, match=r"fit images of 224 px alone \(data.image_size is 96\); set .* = 224"):
        fit_state_dict(network, given, set())


def test_weights_of_another_network_are_refused_by_name() -> None:
    with torch.device("meta"):
        small, deep, wide = (architectures.create(name) for name in ("resnet18", "resnet34", "resnet50"))
    with pytest.raises(WeightsError, match=r"not of this network: 80 missing \(layer1.2.conv1.weight, .*, \.\.\.\)$"):
        fit_state_dict(deep, small.state_dict(), set())
    with pytest.raises(WeightsError, match=r": 96 unexpected \(layer1.2.conv1.weight, "):
        fit_state_dict(small, deep.state_dict(), set())
    with pytest.raises(WeightsError, match=r"layer1.0.conv1.weight 64x64x3x3, here 64x64x1x1"):
        fit_state_dict(wide, small.state_dict(), set())


def test_a_source_that_lacks_the_network_names_the_other() -> None:
    for arch, source, rest in (
        ("xception", "torchvision", 'timm may have them: model.pretrained = "timm"'),
        ("resnet18", "timm", 'torchvision may have them: model.pretrained = "torchvision"'),
        ("alexnet", "torchvision", "give a path to a file"),
        ("my:Net", "timm", "give a path to a file"),
    ):
        with pytest.raises(WeightsError) as caught:
            load_pretrained(nn.Linear(1, 1), Model(arch=arch, pretrained=source), set())
        assert str(caught.value) == f"{source} has no weights for {arch}; {rest}"
    with pytest.raises(WeightsError, match="timm has no weights for mixer_s32_224"):
        from_timm("mixer_s32_224")


def test_an_option_that_changes_what_the_weights_mean_is_refused() -> None:
    model = Model(arch="darknet53", pretrained="timm", options={"negative_slope": 0.1})
    with pytest.raises(WeightsError, match=r"trained with negative_slope = 0.01; set model.options.negative_slope"):
        load_pretrained(nn.Linear(1, 1), model, set())


def test_a_missing_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_sources.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"pip install 'cnn-workbench\[timm\]'"):
        from_timm("darknet53")


def test_out_of_reach_says_what_to_fetch_and_where_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    monkeypatch.setattr(timm, "create_model", refuse)
    for arch, source, what in (
        ("resnet18", "torchvision", "https://download.pytorch.org/models/resnet18-f37072fd.pth"),
        ("darknet53", "timm", "timm's darknet53"),
    ):
        with pytest.raises(WeightsError) as caught:
            load_pretrained(nn.Linear(1, 1), Model(arch=arch, pretrained=source), set())
        assert f"could not fetch {what} (<urlopen error [Errno -2] Name or service not known>)" in str(caught.value)
        assert str(caught.value).endswith('give its place: model.pretrained = "path/to/file"')


# Files


def test_safetensors_and_a_bare_state_dict_are_read(tmp_path: Path) -> None:
    state = Noisy(num_classes=10, in_channels=1).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        network = Noisy(num_classes=10, in_channels=1)
        line = load_pretrained(network, Model(pretrained=str(tmp_path / name)), set())
        assert line == str(tmp_path / name)
        assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("unpickled",))


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rubbish.pt").write_bytes(b"rubbish")
    (tmp_path / "rubbish.safetensors").write_bytes(b"rubbish")
    torch.save({"model": Trap()}, tmp_path / "trap.pt")
    torch.save({"model": [1, 2]}, tmp_path / "list.pt")
    torch.save({"schema": 99, "model": {}}, tmp_path / "new.pt")
    for name, message in (
        ("rubbish.pt", "cannot be read: "),
        ("rubbish.safetensors", "cannot be read: "),
        ("trap.pt", "cannot be read: "),
        ("list.pt", "holds no state dict"),
        ("new.pt", "newer version"),
        ("absent.pt", r"no such file: .*absent.pt; it may be torchvision, timm or a path"),
        ("torchvison", r'did you mean "torchvision"\?'),
    ):
        with pytest.raises(WeightsError, match=message) as caught:
            weight_sources.read_file(tmp_path / name)
        assert "\n" not in str(caught.value)


# Whole runs


def profile_with(folder: Path, *, optim: str | None = None, **model: object) -> Path:
    """profile.toml: the helpers' small run, with more in its [model] from line 4 on."""
    folder.mkdir(exist_ok=True)
    lines = "".join(f'{key} = "{value}"\n' for key, value in model.items())
    return write_profile(folder, PROFILE.replace("[data]", f"{lines}[data]"), **({"optim": optim} if optim else {}))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last.pt of a finished run on the digits."""
    folder = tmp_path_factory.mktemp("trained")
    return train(write_profile(folder), folder / "runs").run / "checkpoints" / "last.pt"


def test_a_run_starts_from_a_checkpoint_of_ours(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained.parent)
    observer = Quiet()
    outcome = train(profile_with(tmp_path, pretrained="last.pt"), tmp_path / "runs", observer=observer)
    assert f"weights: {trained}" in observer.notes
    assert f'pretrained = "{trained}"' in (outcome.run / "profile.toml").read_text()
    assert read_json(outcome.run / "run.json")["pretrained"] == str(trained)
    assert outcome.last["train_loss"] < read_json(trained.parent.parent / "status.json")["last"]["train_loss"]


def test_a_damaged_checkpoint_is_refused_at_its_line(trained: Path, tmp_path: Path) -> None:
    content = bytearray(trained.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "last.pt").write_bytes(content)
    (tmp_path / "last.pt.sha256").write_bytes(trained.with_name("last.pt.sha256").read_bytes())
    profile = profile_with(tmp_path, pretrained=tmp_path / "last.pt")
    with pytest.raises(ProfileError, match=r"profile.toml:5: model.pretrained: .*last.pt: its SHA-256 does not agree"):
        train(profile, tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_frozen_backbone_stays_to_the_bit(trained: Path, tmp_path: Path) -> None:
    observer = Quiet()
    outcome = train(profile_with(tmp_path, pretrained=trained, freeze="backbone"), tmp_path / "runs", observer=observer)
    assert outcome.state == "finished"
    before, after = torch.load(trained, weights_only=True)["model"], load_last(outcome.run)["model"]
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"fc.weight", "fc.bias"}
    facts = read_json(outcome.run / "run.json")
    assert facts["parameters"] == 6 * 9 + 2 * 6 + 216 * 10 + 10
    assert facts["trainable_parameters"] == 216 * 10 + 10
    assert any("2,236 parameters (2,170 of them trained)" in note for note in observer.notes)


def test_in_training_mode_only_what_is_frozen_rests() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2), nn.Dropout())
    network[0].requires_grad_(False)
    set_training_mode(network.eval(), "backbone")
    assert [module.training for module in network.modules()] == [True, False, True, True]
    set_training_mode(network.eval(), "none")
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("freeze", ["none", "backbone"])
def test_a_resumed_fine_tuning_equals_one_left_alone(trained: Path, tmp_path: Path, freeze: str) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(trained.read_bytes())
    profile = profile_with(tmp_path, pretrained=weights, freeze=freeze)
    whole = fingerprint(train(profile, tmp_path / "whole").run)
    train(profile, tmp_path / "early", stop=StopAfter(2))
    early = next(path for path in (tmp_path / "early").iterdir() if path.is_dir())
    for path in (early / "checkpoints").iterdir():  # as if killed before the first: the weights are loaded again
        path.unlink()
    assert fingerprint(resume(tmp_path / "early").run) == whole
    for reports in (3, 9):
        weights.write_bytes(trained.read_bytes())
        root = tmp_path / str(reports)
        train(profile, root, stop=StopAfter(reports))
        weights.unlink()  # a checkpoint has all that a resume needs
        assert fingerprint(resume(root).run) == whole


class Headless(nn.Module):
    def __init__(self, *, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 10, 8)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.conv(x).flatten(1)
        return logits


def test_freezing_a_network_without_a_head_is_refused(tmp_path: Path) -> None:
    text = profile_with(tmp_path, freeze="backbone").read_text()
    (tmp_path / "profile.toml").write_text(text.replace("training_helpers:Noisy", "test_pretrained:Headless"))
    with pytest.raises(ProfileError, match=r"profile.toml:5: model.freeze: .* has no head"):
        train(tmp_path / "profile.toml", tmp_path / "runs")


def test_offline_is_one_line_at_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    path = profile_with(tmp_path, pretrained="torchvision")
    path.write_text(
        path.read_text().replace("training_helpers:Noisy", "resnet18").replace("image_size = 8", "image_size = 32")
    )
    with pytest.raises(ProfileError, match=r"profile.toml:5: model.pretrained: could not fetch https://download"):
        train(path, tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []


def test_the_chance_weights_of_a_replaced_head_follow_the_seed(trained: Path, tmp_path: Path) -> None:
    state = torch.load(trained, weights_only=True)["model"]
    other = {**state, "fc.weight": torch.zeros(7, 216), "fc.bias": torch.zeros(7)}
    torch.save(other, tmp_path / "seven.pth")
    observer = Quiet()
    profile = profile_with(tmp_path, pretrained=tmp_path / "seven.pth")
    first = train(profile, tmp_path / "a", observer=observer)
    assert any(note.endswith("seven.pth; fc replaced") for note in observer.notes)
    assert fingerprint(first.run) == fingerprint(train(profile, tmp_path / "b").run)
    assert math.isfinite(first.last["test_loss"])
