"""From axes to jobs: what each job would train is what a person who reads the command expects."""

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest

import architectures
from workbench.base.errors import UserError
from workbench.profile import (
    Layer,
    Profile,
    ProfileError,
    add_options,
    builtin_names,
    dump,
    load,
    load_exact,
    read_options,
)
from workbench.sweep import plan
from workbench.sweep.plan import Axes, Job, Network


def options(*words: str) -> Layer:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_options(parser)
    return read_options(parser.parse_args(words))


def planned(
    base: str = "quick", *words: str, arch: str = "", recipe: str = "base", seed: str = "", **keys: str
) -> list[Job]:
    axes = Axes(
        networks=plan.networks(arch) if arch else (),
        recipes=plan.recipes(recipe),
        seeds=plan.seeds(seed) if seed else (),
        settings=plan.settings([f"{key.replace('__', '.')}={values}" for key, values in keys.items()]),
    )
    return plan.plan(base, options(*words), axes, {})


def profile_of(*arguments: str, **axes: str) -> Profile:
    [job] = planned(*arguments, **axes)
    return job.profile


def test_seeds_are_lists_and_ranges_with_both_ends() -> None:
    assert plan.seeds("0..4") == (0, 1, 2, 3, 4)
    assert plan.seeds("7, 1..2,7") == (7, 1, 2)


@pytest.mark.parametrize("text", ["", "a", "4..0", "1,,2", "-1", "0..99999999", "1.5", "²"])
def test_other_seeds_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match="^--seed: [^\n]+$"):
        plan.seeds(text)


def test_all_rows_are_the_seeds_23_and_all_is_every_network() -> None:
    rows = plan.networks("all-rows")
    assert len(rows) == 23
    assert [row.name for row in rows[:-1]] == [card.name for card in architectures.cards() if card.seed]
    assert rows[-1] == Network("resnet18 + SAM", "resnet18", sam=True)
    assert [row.name for row in plan.networks("all")] == architectures.names()
    assert plan.networks("vit, resnet18+SAM,vit") == (Network("vit", "vit"), rows[-1])


def test_an_unknown_network_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError, match='--arch: unknown architecture "resnt18" .did you mean "resnet18"'):
        plan.networks("vit,resnt18")


def test_every_paper_has_its_recipe_under_its_modules_name() -> None:
    """What `--recipe paper` relies on."""
    for card in architectures.cards():
        paper = load(f"papers/{card.module}", environ={}).profile
        assert architectures.card(paper.model.arch).module == card.module
    recipes = {name.partition("/")[2] for name in builtin_names() if name.startswith("papers/")}
    assert recipes == {card.module for card in architectures.cards()} | {"resnet_sam"}


def test_a_papers_recipe_comes_with_the_bases_data_length_and_device() -> None:
    quick, paper = load("quick", environ={}).profile, load("papers/vit", environ={}).profile
    profile = profile_of("quick", "--train.threads", "3", arch="vit", recipe="paper")
    assert (profile.optim, profile.schedule, profile.augment, profile.sam) == (
        paper.optim, paper.schedule, paper.augment, paper.sam,
    )  # fmt: skip
    assert profile.data == quick.data.model_copy(update={"augment": paper.data.augment})
    assert profile.train == quick.train.model_copy(update={"clip_norm": paper.train.clip_norm, "threads": 3})
    assert paper.train.clip_norm == 1.0 != quick.train.clip_norm
    assert (profile.checkpoint, profile.seed, profile.recipe) == (quick.checkpoint, quick.seed, "paper")


def test_base_is_the_profile_with_another_network() -> None:
    quick = load("quick", environ={}).profile
    profile = profile_of("quick", arch="mobilenet_v2")
    expected = quick.model_copy(update={"model": profile.model, "recipe": "base", "name": "mobilenet_v2-base-s0"})
    assert profile == expected
    assert profile.model.arch == "mobilenet_v2"


def test_the_command_line_lies_over_every_recipe() -> None:
    for job in planned("quick", "--optim.lr", "0.5", "--data.augment", "none", arch="gmlp", recipe="base,paper"):
        assert job.profile.optim.lr == 0.5
        assert job.profile.data.augment == "none"
        assert job.profile.augment.mixup is None  # another preset: what the paper changed about its own falls
    assert [job.profile.optim.name for job in planned("quick", arch="gmlp", recipe="base,paper")] == ["sgd", "adamw"]


def test_the_environment_lies_under_the_command_line() -> None:
    environ = {"CNNWB_TRAIN__EPOCHS": "3", "CNNWB_OPTIM__LR": "0.2"}
    axes = Axes(networks=plan.networks("vit"), recipes=("paper", "base"))
    for job in plan.plan("quick", options("--optim.lr", "0.3"), axes, environ):
        assert (job.profile.train.epochs, job.profile.optim.lr) == (3, 0.3)


def test_options_of_a_paper_hold_for_its_other_sizes_and_for_no_other_paper() -> None:
    assert profile_of("quick", arch="squeezenet1_0", recipe="paper").model.options == {"final_relu": False}
    assert profile_of("quick", arch="resnet18", recipe="papers/squeezenet").model.options == {}
    given = profile_of("quick", "--model.options", "dropout=0.1", arch="densenet121", recipe="paper")
    assert given.model.options == {"dropout": 0.1}


def test_any_profile_is_a_recipe() -> None:
    [job] = planned("quick", arch="resnet18", recipe="seed/alexnet")
    assert (job.recipe, job.profile.recipe) == ("seed/alexnet", "seed/alexnet")
    assert job.profile.schedule.name == "cyclic"
    assert job.profile.train.epochs == 5
    with pytest.raises(UserError, match="job resnet18-nothing-s0: profile not found: nothing"):
        planned("quick", arch="resnet18", recipe="nothing")


def test_the_sam_row_is_a_group_of_its_own_in_each_recipe() -> None:
    both = planned("quick", arch="resnet18,resnet18+sam", recipe="base,paper")
    assert [(job.network, job.recipe) for job in both] == [
        ("resnet18", "base"), ("resnet18", "paper"), ("resnet18 + SAM", "sam"), ("resnet18 + SAM", "paper-sam"),
    ]  # fmt: skip
    assert [job.profile.sam.rho for job in both] == [0.0, 0.0, 0.05, 0.05]
    assert both[3].profile.optim == load("papers/resnet_sam", environ={}).profile.optim
    [paper] = planned("quick", arch="resnet18+sam", recipe="paper")
    assert paper.recipe == "sam"


def test_a_network_that_needs_larger_images_gets_its_smallest_and_says_so() -> None:
    [alexnet, vgg] = planned("quick", arch="alexnet,vgg11")
    assert alexnet.profile.data.image_size == architectures.card("alexnet").min_image_size == 63
    assert alexnet.notes == ("63 px instead of 32: alexnet takes no smaller images",)
    assert (vgg.profile.data.image_size, vgg.notes) == (32, ())


def test_other_keys_are_axes_with_their_own_types() -> None:
    jobs = planned("quick", arch="resnet18", optim__lr="0.1,0.01", optim__nesterov="true,false")
    assert [(job.profile.optim.lr, getattr(job.profile.optim, "nesterov", None)) for job in jobs] == [
        (0.1, True), (0.1, False), (0.01, True), (0.01, False),
    ]  # fmt: skip
    assert jobs[0].settings == {"optim.lr": "0.1", "optim.nesterov": "true"}
    assert len({job.id for job in jobs}) == 4
    drops = planned("quick", schedule__name="multistep", schedule__at='["50%, 75%", "90%"]')
    assert [getattr(job.profile.schedule, "at", "") for job in drops] == ["50%, 75%", "90%"]
    knob = planned("quick", arch="vit", model__options__dropout="0.1,0.2")
    assert [job.profile.model.options for job in knob] == [{"dropout": 0.1}, {"dropout": 0.2}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optim.lr", "must be KEY=VALUE"),
        ("optim.momntum=1", r"unknown key optim.momntum \(did you mean optim.momentum\?\)"),
        ("seed=1,2", "seed is what --seed is for"),
        ("model.arch=vit", "model.arch is what --arch is for"),
        ("name=x", "name is given by the sweep"),
        ("optim.lr=", 'a name is missing in ""'),
        ("schedule.at=[1,", "is no TOML list"),
        ("schedule.at=[]", "must be a list"),
    ],
)
def test_a_wrong_axis_is_told_in_one_line(text: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected) as refused:
        plan.settings([text])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda: planned("quick", arch="vit", optim__lr="0.1,-1"),
            "job vit-base-s0-lr-1: command line: --optim.lr: must",
        ),
        (lambda: planned("quick", arch="vit", recipe="base", model__options__x="1"), 'vit has no option "x"'),
        (lambda: planned("quick", "--train.device", "cuda:1"), "each job of a sweep gets a GPU of its own; say cuda"),
        (lambda: planned("quick", arch="my:Net", recipe="paper"), "my:Net has no paper"),
        (lambda: planned("quick", seed="0..999", arch="all"), "at most 10,000 jobs"),
    ],
)
def test_a_job_that_cannot_work_is_refused_in_one_line(make: Callable[[], object], expected: str) -> None:
    with pytest.raises(UserError, match=expected) as refused:
        make()
    assert "\n" not in str(refused.value)


def test_a_base_that_is_wrong_by_itself_is_refused_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("[train]\nepochs = 0\n")
    with pytest.raises(ProfileError, match=r"my.toml:2: train.epochs: must be at least 1"):
        planned(str(tmp_path / "my.toml"), arch="vit")


def test_seeds_vary_slowest_and_ids_sort_as_planned() -> None:
    jobs = planned("quick", arch="vit,resnet18", seed="0..5")
    assert [job.seed for job in jobs] == [seed for seed in range(6) for _ in range(2)]
    assert [job.profile.seed for job in jobs] == [job.seed for job in jobs]
    assert [job.id for job in jobs] == sorted(job.id for job in jobs)
    assert jobs[0].id == "001-vit-base-s0"
    assert jobs[3].profile.name == "resnet18-base-s1"


def test_names_are_safe_and_short_whatever_the_axes_are(tmp_path: Path) -> None:
    (tmp_path / "a recipe; with $(odd) 'letters'.toml").write_text("[optim]\nlr = 0.1\n")
    [job] = planned("quick", arch="resnet18", recipe=str(tmp_path / "a recipe; with $(odd) 'letters'"))[:1] or [None]
    assert job is not None
    assert len(job.profile.name) <= 40
    assert set(job.id) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")


def test_the_same_command_has_the_same_name_and_any_other_another() -> None:
    def name(**axes: str) -> str:
        return plan.default_name("quick.toml", planned("quick", **axes))

    assert name(arch="vit", seed="0,1") == name(arch="vit", seed="0..1")
    names = [name(arch="vit"), name(arch="vit", seed="1"), name(arch="vit", optim__lr="0.5"), name(arch="gmlp")]
    assert len(set(names)) == 4
    assert all(text.startswith("quick-") for text in names)


def test_a_jobs_profile_survives_the_file(tmp_path: Path) -> None:
    for job in planned("base", arch="all-rows", recipe="paper"):
        (tmp_path / "job.toml").write_text(dump(job.profile))
        assert load_exact(tmp_path / "job.toml").profile == job.profile


def test_paths_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    profile = profile_of("quick", "--data.root", "images", "--model.pretrained", "w.safetensors")
    assert (profile.data.root, profile.model.pretrained) == (str(tmp_path / "images"), str(tmp_path / "w.safetensors"))
    assert profile_of("quick", "--model.pretrained", "timm").model.pretrained == "timm"


def test_two_sizes_that_are_both_too_small_are_one_job() -> None:
    jobs = planned("quick", arch="alexnet", data__image_size="16,32,64")
    assert [job.profile.data.image_size for job in jobs] == [63, 64]
