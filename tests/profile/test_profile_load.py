"""Which value wins, and where it is said to come from."""

import importlib
from pathlib import Path

import pytest

from workbench.profile import ProfileError, builtin_names, find, load, load_exact, recipe_label
from workbench.profile.find import user_folder
from workbench.profile.schema import SGD, Adam, Augment, Polynomial, WarmupCosine

find_module = importlib.import_module("workbench.profile.find")  # the package's `find` is the function


def write(**files):
    for name, text in files.items():
        path = Path(name.replace("__", "/") + ".toml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_layers_lie_on_one_another_in_order(folder, options):
    write(
        root="[train]\nepochs = 1\nthreads = 1\nflush_seconds = 1\n[data]\nworkers = 1\nmax_corrupt = 1",
        base='extends = "root"\n[train]\nepochs = 2\nthreads = 2\nflush_seconds = 2\n[data]\nworkers = 2',
        my='extends = "base"\n[train]\nepochs = 3\nthreads = 3\nflush_seconds = 3',
    )
    resolved = load(
        "my",
        options=options("--train.epochs", "5"),
        environ={"CNNWB_TRAIN__EPOCHS": "4", "CNNWB_TRAIN__THREADS": "4"},
    )
    train, data = resolved.profile.train, resolved.profile.data
    assert (train.epochs, train.threads, train.flush_seconds) == (5, 4, 3.0)
    assert (data.workers, data.max_corrupt, data.batch_size) == (2, 1, 128)
    assert resolved.profile.extends is None
    assert [path.name for path in resolved.chain] == ["my.toml", "base.toml", "root.toml"]
    origins = {
        "train.epochs": "command line",
        "train.threads": "environment CNNWB_TRAIN__THREADS",
        "train.flush_seconds": "my.toml:5",
        "data.workers": "base.toml:7",
        "data.max_corrupt": "root.toml:7",
        "data.batch_size": "default",
    }
    assert {key: str(resolved.origin(key)) for key in origins} == origins


def test_a_value_that_is_overridden_is_not_complained_about(folder, options):
    write(my="[optim]\nlr = -1")
    assert load("my", options=options("--optim.lr", "1"), environ={}).profile.optim.lr == 1.0


def test_a_wrong_flag_does_not_blame_the_file(faults):
    told = faults("[optim]\nlr = 0.1", "--optim.lr", "-1")
    assert told == ["command line: --optim.lr: must be greater than 0 (got -1.0)"]


def test_another_optimiser_inherits_nothing(folder, options):
    write(
        base='[optim]\nname = "sgd"\nlr = 0.1\nmomentum = 0.5',
        my='extends = "base"\n[optim]\nname = "adam"\nweight_decay = 0.2',
    )
    assert load("my", environ={}).profile.optim == Adam(weight_decay=0.2)
    resolved = load("base", options=options("--optim.name", "adam"), environ={})
    assert resolved.profile.optim == Adam()
    assert str(resolved.origin("optim.lr")) == "default"
    back = load("my", environ={"CNNWB_OPTIM__NAME": "sgd"})
    assert back.profile.optim == SGD()


def test_the_same_optimiser_keeps_what_lower_layers_set(folder, options):
    write(base="[optim]\nlr = 0.5", my='extends = "base"\n[optim]\nname = "adam"\nbeta1 = 0.8')
    assert load("my", environ={}).profile.optim == Adam(lr=0.5, beta1=0.8)


def test_the_default_optimiser_counts_as_chosen(folder):
    write(base="[optim]\nlr = 0.5", my='extends = "base"\n[optim]\nname = "sgd"')
    assert load("my", environ={}).profile.optim == SGD()


def test_another_network_does_not_inherit_options(folder, options):
    write(
        base='[model]\narch = "wide"\noptions = { width = 2 }',
        my='extends = "base"\n[model.options]\ndepth = 3',
    )
    assert load("my", environ={}).profile.model.options == {"width": 2, "depth": 3}
    other = load("my", options=options("--model.arch", "vgg"), environ={})
    assert other.profile.model.options == {}


def test_another_preset_does_not_inherit_what_was_changed_about_the_first(folder, options):
    write(
        base='[data]\naugment = "strong"\n[augment]\njitter = 0.1\nflip = false',
        same='extends = "base"\n[data]\naugment = "strong"\n[augment]\njitter = 0.2',
        other='extends = "base"\n[data]\naugment = "contrastive"\n[augment]\nblur = 0.5',
        silent='extends = "base"\n[data]\nworkers = 1',
    )
    assert load("same", environ={}).profile.augment == Augment(jitter=0.2, flip=False)
    assert load("silent", environ={}).profile.augment == Augment(jitter=0.1, flip=False)
    assert load("other", environ={}).profile.augment == Augment(blur=0.5)
    resolved = load("base", options=options("--data.augment", "none"), environ={"CNNWB_AUGMENT__HUE": "0.1"})
    assert resolved.profile.augment == Augment()
    assert str(resolved.origin("augment.jitter")) == "default"
    kept = load("base", options=options("--data.augment", "none", "--augment.hue", "0.2"), environ={})
    assert kept.profile.augment == Augment(hue=0.2)


def test_the_default_preset_counts_as_chosen(folder):
    write(base="[augment]\njitter = 0.1", my='extends = "base"\n[data]\naugment = "strong"')
    assert load("my", environ={}).profile.augment == Augment()
    write(again='extends = "base"\n[data]\naugment = "standard"')
    assert load("again", environ={}).profile.augment == Augment(jitter=0.1)


def test_another_schedule_inherits_nothing(folder, options):
    write(base='[schedule]\nname = "warmup_cosine"\nwarmup = "2ep"\nend = 0.1')
    resolved = load("base", options=options("--schedule.name", "polynomial", "--schedule.power", "2"), environ={})
    assert resolved.profile.schedule == Polynomial(power=2.0)
    assert load("base", environ={"CNNWB_SCHEDULE__END": "0.2"}).profile.schedule == WarmupCosine(warmup="2ep", end=0.2)


def test_a_setting_of_the_optimiser_that_was_replaced(faults):
    told = faults('[optim]\nname = "sgd"', "--optim.name", "adam", "--optim.momentum", "0.5")
    assert told == ["command line: --optim.momentum: not a setting of adam (sgd, rmsprop and muon have it)"]


def test_a_clash_is_laid_at_the_layer_that_made_it(faults):
    nesterov = '[optim]\nname = "sgd"\nnesterov = true'
    still = '[optim]\nname = "sgd"\nmomentum = 0'
    says = "nesterov needs a momentum above 0"
    assert faults(nesterov, "--optim.momentum", "0") == [f"command line: --optim.momentum: {says}"]
    assert faults(still, CNNWB_OPTIM__NESTEROV="true") == [f"environment: CNNWB_OPTIM__NESTEROV: {says}"]


def test_later_checks_can_point_at_the_line(folder, options):
    write(my='[model]\narch = "resnet19"')
    resolved = load("my", options=options("--data.image_size", "8"), environ={"CNNWB_DATA__WORKERS": "3"})
    told = {
        key: str(resolved.error(key, "no good")) for key in ("model.arch", "data.image_size", "data.workers", "seed")
    }
    assert told == {
        "model.arch": "my.toml:2: model.arch: no good",
        "data.image_size": "command line: --data.image_size: no good",
        "data.workers": "environment: CNNWB_DATA__WORKERS: no good",
        "seed": "my.toml: seed (default): no good",
    }


def test_a_cycle_is_named(folder):
    write(a='extends = "b"', b='seed = 1\nextends = "c.toml"', c='extends = "b"', self='extends = "self"')
    with pytest.raises(ProfileError) as error:
        load("a", environ={})
    assert str(error.value) == "c.toml:1: extends forms a cycle: b.toml -> c.toml -> b.toml"
    with pytest.raises(ProfileError, match=r"extends forms a cycle: self\.toml -> self\.toml"):
        load("self", environ={})


def test_a_chain_has_an_end(folder):
    write(**{f"p{i}": f'extends = "p{i + 1}"' for i in range(20)}, p20="")
    assert len(load("p5", environ={}).chain) == 16
    with pytest.raises(ProfileError, match=r"^p19\.toml:1: extends: more than 16 profiles extend one another$"):
        load("p4", environ={})


def test_a_missing_parent_points_at_the_line(faults):
    (line,) = faults('seed = 1\nextends = "bsae"')
    places = f"., ./profiles, {user_folder()}, the built-in ones; built-in: base, mnist, quick, papers/..., seed/..."
    assert line == f"my.toml:2: extends: profile not found: bsae (did you mean base?; looked in: {places})"


def test_a_missing_profile(folder):
    write(profiles__mine="")
    with pytest.raises(ProfileError) as error:
        load("mnie", environ={})
    places = f"., ./profiles, {user_folder()}, the built-in ones; built-in: base, mnist, quick, papers/..., seed/..."
    assert str(error.value) == f"profile not found: mnie (did you mean mine?; looked in: {places})"
    with pytest.raises(ProfileError, match=r"^profile not found: /nowhere/x\.toml \(looked in: /nowhere; "):
        find("/nowhere/x.toml")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "~nobody-at-all/x"])
def test_names_that_no_file_can_have(folder, name):
    with pytest.raises(ProfileError, match="profile not found"):
        load(name, environ={})


def test_names_are_looked_up_as_a_path_then_in_profiles_then_in_ones_own_folder_then_built_in(folder):
    assert find("quick").parent == find_module.builtin_folder()
    own = user_folder() / "quick.toml"
    own.parent.mkdir(parents=True)
    own.write_text("seed = 3")
    assert find("quick") == own
    assert recipe_label(own) == "quick"
    write(profiles__quick="")
    assert find("quick") == Path("profiles/quick.toml")
    write(quick="")
    assert find("quick") == Path("quick.toml") == find("quick.toml")
    assert find(str(folder / "quick")) == folder / "quick.toml"


def test_extends_looks_beside_the_file_first(folder):
    write(base="seed = 1", sub__base="seed = 2", sub__my='extends = "base.toml"')
    assert load("sub/my", environ={}).profile.seed == 2
    (user_folder() / "far").mkdir(parents=True)
    (user_folder() / "far" / "off.toml").write_text("seed = 3")
    write(sub__off='extends = "far/off"')
    assert load("sub/off", environ={}).profile.seed == 3
    write(sub__far='extends = "mnist"')
    assert load("sub/far", environ={}).profile.data.dataset == "mnist"


def test_a_data_folder_may_share_a_profiles_name(folder):
    Path("mnist").mkdir()
    assert find("mnist").name == "mnist.toml"
    Path("only").mkdir()
    with pytest.raises(ProfileError, match=r"^profile only: only is a folder, not a file$"):
        load("only", environ={})


def test_an_installed_package_has_its_profiles_inside(folder, monkeypatch):
    package = folder / "site" / "workbench" / "profile"
    (package / "builtin").mkdir(parents=True)
    (package / "builtin" / "shipped.toml").write_text("seed = 9")
    monkeypatch.setattr(find_module, "__file__", str(package / "find.py"))
    assert builtin_names() == ["shipped"]
    assert load("shipped", environ={}).profile.seed == 9


def test_files_elsewhere_are_named_in_full_and_built_in_ones_as_such(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "far.toml"
    elsewhere.write_text('extends = "base"\nseed = 1')
    resolved = load(elsewhere, environ={})
    assert str(resolved.origin("seed")) == f"{elsewhere}:2"
    assert str(resolved.origin("model.arch")).startswith("built-in base.toml:")


def test_a_run_profile_is_read_alone(folder, options, monkeypatch):
    monkeypatch.setenv("CNNWB_SEED", "7")
    write(my="seed = 3", child='extends = "my"')
    assert load_exact("my.toml").profile.seed == 3
    assert load("my").profile.seed == 7
    longer = load_exact("my.toml", options=options("--train.epochs", "20"))
    assert (longer.profile.seed, longer.profile.train.epochs) == (3, 20)
    assert str(longer.origin("train.epochs")) == "command line"
    with pytest.raises(ProfileError, match=r"^child\.toml:1: extends: a resolved profile extends nothing$"):
        load_exact("child.toml")


@pytest.mark.parametrize("name", ["base", "mnist", "quick"])
def test_built_in_profiles_are_good(folder, name):
    resolved = load(name, environ={})
    assert resolved.profile.model.arch == "resnet18"
    assert resolved.chain[-1].name == "base.toml"


def test_quick_needs_no_download():
    profile = load("quick", environ={}).profile
    assert (profile.data.dataset, profile.data.image_size, profile.name) == ("digits", 32, "quick")
