"""A wrong profile is refused in plain sentences, each with the place to mend."""

import sys
from pathlib import Path

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.profile import Problem, ProfileError, check, load, load_exact
from workbench.profile.schema import DISCRIMINATED, Profile
from workbench.profile.validate import PATTERNS

DATASETS = "digits, mnist, fashion_mnist, kmnist, cifar10, cifar100, svhn, folder"
AUGMENTS = "none, standard, contrastive, strong"
OPTIMISERS = "adam, adamw, sgd, rmsprop, lamb, nadam, adagrad, muon"
SCHEDULES = (
    "constant, warmup_constant, warmup_linear, warmup_cosine, cyclic, cosine, step, multistep, polynomial, one_cycle, "
    "plateau"
)

IN_A_FILE = [
    # a value out of bounds
    ("[optim]\nlr = -0.1", "2: optim.lr: must be greater than 0 (got -0.1)"),
    ("seed = -1", "1: seed: must be at least 0 (got -1)"),
    ("seed = 9223372036854775808", "1: seed: must be less than 2**63 (got 9223372036854775808)"),
    ("[data]\nval_fraction = 0.6", "2: data.val_fraction: must be at most 0.5 (got 0.6)"),
    ("[optim]\nbeta1 = 1", "2: optim.beta1: must be less than 1 (got 1)"),
    # a value of another type
    ('[train]\nepochs = "10"', '2: train.epochs: must be a whole number (got "10")'),
    ("[train]\nepochs = true", "2: train.epochs: must be a whole number (got true)"),
    ("[train]\nepochs = 1.0", "2: train.epochs: must be a whole number (got 1.0)"),
    ("[train]\nepochs = 2026-11-22", "2: train.epochs: must be a whole number (got 2026-11-22)"),
    ("[train]\nepochs = [1]", "2: train.epochs: must be a whole number (got [1])"),
    ('[optim]\nlr = "0.1"', '2: optim.lr: must be a number (got "0.1")'),
    ("[optim]\nlr = true", "2: optim.lr: must be a number (got true)"),
    ("[optim]\nlr = nan", "2: optim.lr: must be a finite number (got nan)"),
    ("[optim]\nlr = inf", "2: optim.lr: must be a finite number (got inf)"),
    ("[checkpoint]\nbest = 1", "2: checkpoint.best: must be true or false (got 1)"),
    ("[model]\narch = 18", "2: model.arch: must be a string (got 18)"),
    ('[model]\narch = ""', "2: model.arch: must not be empty"),
    (f'name = "{"x" * 41}"', "1: name: must be at most 40 characters long (has 41)"),
    ("optim = 3", "1: optim: must be a table (got 3)"),
    ("model = [1]", "1: model: must be a table (got [1])"),
    ("[[data]]\nworkers = 1", '1: data: must be a table (got [{"workers": 1}])'),
    ("[model]\noptions = 1", "2: model.options: must be a table (got 1)"),
    (
        "[model.options]\nwidths = [1, 2]",
        "2: model.options.widths: must be a number, true or false, or a string (got [1, 2])",
    ),
    ("[model.options]\nwidth = nan", "2: model.options.width: must be a finite number (got nan)"),
    # a word that is none of those allowed
    (
        '[data]\ndataset = "cifr10"',
        f'2: data.dataset: unknown dataset "cifr10" (did you mean "cifar10"?; one of: {DATASETS})',
    ),
    (
        '[data]\ndataset = "CIFAR10"',
        f'2: data.dataset: unknown dataset "CIFAR10" (did you mean "cifar10"?; one of: {DATASETS})',
    ),
    ('[data]\naugment = "zzz"', f'2: data.augment: unknown augment "zzz" (one of: {AUGMENTS})'),
    ("[data]\naugment = 1", f"2: data.augment: must be one of: {AUGMENTS} (got 1)"),
    (
        '[augment]\ncrop = "pda"',
        '2: augment.crop: unknown crop "pda" (did you mean "pad"?; one of: none, pad, resized)',
    ),
    ("[augment]\ncrop = 3", "2: augment.crop: must be one of: none, pad, resized (got 3)"),
    ('[optim]\nname = "sdg"', f'2: optim.name: unknown optimiser "sdg" (did you mean "sgd"?; one of: {OPTIMISERS})'),
    ("[optim]\nname = 3", f"2: optim.name: must be one of: {OPTIMISERS} (got 3)"),
    (
        '[schedule]\nname = "cosin"',
        f'2: schedule.name: unknown learning-rate schedule "cosin" (did you mean "cosine"?; one of: {SCHEDULES})',
    ),
    ('[train]\ndevice = "gpu"', '2: train.device: must be auto, cpu, cuda, cuda:N or mps (got "gpu")'),
    ('[train]\ndevice = "cuda:x"', '2: train.device: must be auto, cpu, cuda, cuda:N or mps (got "cuda:x")'),
    ("[train]\nmicro_batch = 0", "2: train.micro_batch: must be auto or a whole number of at least 1 (got 0)"),
    ('[train]\nmicro_batch = "big"', '2: train.micro_batch: must be auto or a whole number of at least 1 (got "big")'),
    ("[train]\nmicro_batch = true", "2: train.micro_batch: must be auto or a whole number of at least 1 (got true)"),
    ("[train]\nmicro_batch = 1.5", "2: train.micro_batch: must be auto or a whole number of at least 1 (got 1.5)"),
    ("[train]\nmicro_batch = [8]", "2: train.micro_batch: must be auto or a whole number of at least 1 (got [8])"),
    # a value that may be left out
    ('[augment]\njitter = "x"', '2: augment.jitter: must be a number (got "x")'),
    ("[augment]\njitter = 2", "2: augment.jitter: must be at most 1 (got 2)"),
    ("[augment]\njitter = nan", "2: augment.jitter: must be a finite number (got nan)"),
    ("[augment]\ncrop_scale = 0", "2: augment.crop_scale: must be greater than 0 (got 0)"),
    ("[augment]\nflip = 1", "2: augment.flip: must be true or false (got 1)"),
    ("[augment]\noperations = 2.5", "2: augment.operations: must be a whole number (got 2.5)"),
    # a length, or several
    (
        '[schedule]\nname = "warmup_cosine"\nwarmup = "5 epochs"',
        '3: schedule.warmup: must be a length such as "5ep", "500step" or "10%" (got "5 epochs")',
    ),
    (
        '[schedule]\nname = "cyclic"\ndown = "-1ep"',
        '3: schedule.down: must be a length such as "5ep", "500step" or "10%" (got "-1ep")',
    ),
    ('[schedule]\nname = "step"\nevery = 30', "3: schedule.every: must be a string (got 30)"),
    (
        '[schedule]\nname = "multistep"\nat = "5ep,,6ep"',
        '3: schedule.at: must be lengths such as "5ep, 8ep" or "50%, 75%" (got "5ep,,6ep")',
    ),
    (
        '[checkpoint]\nmonitor = "top1"',
        '2: checkpoint.monitor: must be auto, or a figure such as val_top1, test_loss or test_ema_top1 (got "top1")',
    ),
    # a key that does not exist, or not here
    ("epocs = 3", '1: epocs: unknown key (did you mean "train.epochs"?)'),
    ("lr = 3", '1: lr: unknown key (did you mean "optim.lr"?)'),
    ("[trian]\nepochs = 3", '1: trian: unknown key (did you mean "train"?)'),
    ("[train]\nepocs = 3", '2: train.epocs: unknown key (did you mean "epochs"?)'),
    ("[train]\nbatch_size = 3", '2: train.batch_size: unknown key (did you mean "data.batch_size"?)'),
    ("[train]\nqqq = 3", "2: train.qqq: unknown key"),
    ("[optim]\nmomntum = 3", '2: optim.momntum: unknown key (did you mean "momentum"?)'),
    ("[optim]\nmomentum = 0.5", "2: optim.momentum: not a setting of adam (sgd, rmsprop and muon have it)"),
    ("[optim]\nmomentum_decay = 0.5", "2: optim.momentum_decay: not a setting of adam (nadam has it)"),
    ("[optim]\nnesterov = true", "2: optim.nesterov: not a setting of adam (sgd and muon have it)"),
    (
        '[optim]\nname = "sgd"\nbeta1 = 0.5',
        "3: optim.beta1: not a setting of sgd (adam, adamw, lamb, nadam and muon have it)",
    ),
    ('[schedule]\nname = "cosine"\nlow = 0.1', "3: schedule.low: not a setting of cosine (cyclic has it)"),
    ("[augment]\njiter = 0.1", '2: augment.jiter: unknown key (did you mean "jitter"?)'),
    ('augment = "none"', '1: augment: must be a table (got "none")'),
    # right alone, wrong together
    ('[optim]\nname = "sgd"\nmomentum = 0\nnesterov = true', "4: optim.nesterov: nesterov needs a momentum above 0"),
    ('[optim]\nname = "muon"\nmomentum = 0', "3: optim.momentum: nesterov needs a momentum above 0"),
    ("[sam]\nadaptive = true", "2: sam.adaptive: adaptive needs a rho above 0"),
    (
        '[train]\ncompile = "max-autotune"\ncuda_graph = "on"',
        "3: train.cuda_graph: compile captures its own graphs; leave one of the two",
    ),
    ('[checkpoint]\nmonitor = "test_ema_loss"', "2: checkpoint.monitor: test_ema_loss needs train.ema above 0"),
    ('[checkpoint]\nmonitor = "val_top5"', "2: checkpoint.monitor: val_top5 needs data.val_fraction above 0"),
    # lengths that no run of 10 epochs can hold
    *(
        (
            f'[schedule]\nname = "{name}"\nwarmup = "10ep"',
            "3: schedule.warmup: 10ep must be shorter than the run of 10 epochs",
        )
        for name in ("warmup_constant", "warmup_linear", "warmup_cosine", "step", "polynomial", "one_cycle", "plateau")
    ),
    (
        '[train]\nepochs = 1\n[schedule]\nname = "one_cycle"\nwarmup = "1ep"',
        "5: schedule.warmup: 1ep must be shorter than the run of 1 epoch",
    ),
    (
        '[schedule]\nname = "warmup_linear"\nwarmup = "100%"',
        "3: schedule.warmup: 100% must be shorter than the run of 10 epochs",
    ),
    (
        '[schedule]\nname = "multistep"\nat = "5ep, 10.5ep"',
        "3: schedule.at: 10.5ep must be shorter than the run of 10 epochs",
    ),
    # extends
    ("extends = 3", "1: extends: must be a string (got 3)"),
    ('\nextends = ""', "2: extends: the name of a profile is empty"),
    # not TOML
    ("a b = 1", "1:3: expected '=' after a key in a key/value pair"),
    ('seed = 1\nname = "x', "2:10: unterminated string at the end of the file"),
    ("seed = 1\nseed = 2\n\n[data]", "2:9: cannot overwrite a value"),
    ("seed = 0\n[data]\n[data]\n", "3:6: cannot declare ('data',) twice"),
]


@pytest.mark.parametrize(("text", "line"), IN_A_FILE)
def test_each_fault_is_one_line_with_its_place(faults, text, line):
    assert faults(text) == [f"my.toml:{line}"]


def test_of_an_unknown_choice_only_the_name_is_told(faults):
    # Which keys would be right depends on the name.
    assert faults('[schedule]\nname = "zzz"\nwarm = 3') == [
        f'my.toml:2: schedule.name: unknown learning-rate schedule "zzz" (one of: {SCHEDULES})',
    ]


ACROSS_LAYERS = [
    ("[sam]\nadaptive = true", "--sam.rho 0", "adaptive needs a rho above 0"),
    ("[sam]\nrho = 0", "--sam.adaptive true", "adaptive needs a rho above 0"),
    ('[train]\ncompile = "default"', "--train.cuda_graph on", "compile captures its own graphs; leave one of the two"),
    ('[train]\ncuda_graph = "on"', "--train.compile default", "compile captures its own graphs; leave one of the two"),
    ('[checkpoint]\nmonitor = "test_ema_top1"', "--train.ema 0", "test_ema_top1 needs train.ema above 0"),
    ("[train]\nema = 0", "--checkpoint.monitor test_ema_top1", "test_ema_top1 needs train.ema above 0"),
    ('[checkpoint]\nmonitor = "val_loss"', "--data.val_fraction 0", "val_loss needs data.val_fraction above 0"),
    ("[data]\nval_fraction = 0", "--checkpoint.monitor val_loss", "val_loss needs data.val_fraction above 0"),
    (
        '[schedule]\nname = "plateau"\nwarmup = "2ep"',
        "--train.epochs 2",
        "2ep must be shorter than the run of 2 epochs",
    ),
    (
        '[train]\nepochs = 2\n[schedule]\nname = "plateau"',
        "--schedule.warmup 2ep",
        "2ep must be shorter than the run of 2 epochs",
    ),
]


@pytest.mark.parametrize(("text", "flag", "says"), ACROSS_LAYERS)
def test_of_two_keys_that_clash_the_one_laid_on_last_is_to_blame(faults, text, flag, says):
    assert faults(text, *flag.split()) == [f"command line: {flag.split()[0]}: {says}"]


def test_every_length_that_is_too_long_is_told(faults):
    assert faults('[schedule]\nname = "multistep"\nwarmup = "11ep"\nat = "5ep, 100%,12ep, 9step"') == [
        f"my.toml:{line} must be shorter than the run of 10 epochs"
        for line in ("3: schedule.warmup: 11ep", "4: schedule.at: 100%", "4: schedule.at: 12ep")
    ]


GOOD = [
    "[train]\nmicro_batch = 16",
    '[train]\nmicro_batch = "auto"',
    "[augment]\njitter = 1\nflip = false\noperations = 3",
    '[augment]\ncrop = "none"\npolicy = "trivialaugment"',
    '[schedule]\nname = "warmup_cosine"\nwarmup = "9.99ep"',
    '[schedule]\nname = "warmup_cosine"\nwarmup = "0ep"',
    '[schedule]\nname = "multistep"\nat = "5ep,50%  ,  700step"',
    '[schedule]\nname = "cyclic"\nup = "100%"',
    '[checkpoint]\nmonitor = "train_loss"',
    '[checkpoint]\nmonitor = "val_ema_top5"\n[train]\nema = 0.99\n[data]\nval_fraction = 0.1',
    "[sam]\nadaptive = true\nrho = 0.5",
    '[train]\ncompile = "default"',
]


@pytest.mark.parametrize("text", GOOD)
def test_what_is_right_is_not_complained_about(faults, text):
    assert faults(text) == []


def test_whole_numbers_are_fine_where_a_fraction_may_stand(faults):
    assert faults("[optim]\nlr = 1\n[checkpoint]\nevery_minutes = 5") == []


def test_an_empty_profile_is_the_defaults(folder):
    Path("empty.toml").write_text("")
    assert load("empty", environ={}).profile == Profile()


def test_all_faults_are_told_together_in_the_order_of_the_file(faults):
    text = 'seed = -1\n[optim]\nlr = 0\nmomntum = 1\n[data]\nworkers = "2"\ndataset = "mnits"\n'
    told = faults(text, "--train.epochs", "0", CNNWB_TRAIN__THREADS="-1", CNNWB_EPOCS="1")
    assert [line.split(": ")[0] + " " + line.split(": ")[1] for line in told] == [
        "my.toml:1 seed",
        "my.toml:3 optim.lr",
        "my.toml:4 optim.momntum",
        "my.toml:6 data.workers",
        "my.toml:7 data.dataset",
        "environment CNNWB_TRAIN__THREADS",
        "environment unknown variable CNNWB_EPOCS (did you mean CNNWB_TRAIN__EPOCHS?)",
        "command line --train.epochs",
    ]


def test_values_cannot_steer_the_terminal(faults):
    (line,) = faults('[train]\ndevice = "\\u001b[31m\\u202e\\u009b"')
    assert line == 'my.toml:2: train.device: must be auto, cpu, cuda, cuda:N or mps (got "\\u001b[31m\\u202e\\x9b")'


def test_long_values_are_cut(faults):
    (line,) = faults(f'[train]\ndevice = "{"x" * 5000}"')
    assert len(line) < 150


def test_numbers_of_thousands_of_digits(faults):
    assert faults(f"seed = {'9' * 5000}") == ["my.toml: a number in it has too many digits"]


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5000, f"{'.'.join('a' * 5000)} = 1", "a = " + "[" * 300 + "]" * 300, f"[{'.'.join('a' * 99)}]"],
)
def test_deep_nesting_is_no_crash(faults, text):
    assert faults(text) == ["my.toml: nested too deeply"]


def test_files_that_are_no_text(folder):
    Path("binary.toml").write_bytes(b"seed = 1\nname = '\xff'\n")
    Path("huge.toml").write_bytes(b"#" * (1 << 21))
    for name, line in {
        "binary": "binary.toml:2: is not UTF-8 text (byte 0xff)",
        "huge": "huge.toml: is no profile: larger than 1048576 bytes",
    }.items():
        with pytest.raises(ProfileError) as error:
            load(name, environ={})
        assert str(error.value) == line


def test_a_byte_order_mark_is_tolerated(folder):
    Path("notepad.toml").write_bytes(b"\xef\xbb\xbfseed = 3\r\n[optim]\r\nlr = 0.5\r\n")
    resolved = load("notepad", environ={})
    assert (resolved.profile.seed, str(resolved.origin("optim.lr"))) == (3, "notepad.toml:3")


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX")
def test_an_unreadable_file(folder, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    Path("secret.toml").write_text("")
    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, who may read everything
    with pytest.raises(ProfileError, match=r"^secret\.toml: cannot be read: permission denied$"):
        load("secret", environ={})


def test_a_missing_run_profile(folder):
    with pytest.raises(ProfileError, match=r"^gone\.toml: cannot be read: no such file or directory$"):
        load_exact("gone.toml")


def test_errors_are_data(folder):
    Path("my.toml").write_text("[optim]\nlr = 0")
    with pytest.raises(ProfileError) as error:
        load("my.toml", environ={})
    assert error.value.exit_code == 2
    assert error.value.problems == [Problem("my.toml:2", "optim.lr", "must be greater than 0 (got 0)")]


VALUES = st.recursive(
    st.one_of(
        st.integers(), st.floats(), st.booleans(), st.text('ab"\\\n', max_size=3), st.sampled_from(["sgd", "adam"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["name", "x"]), inner)),
    max_leaves=4,
)
NAMES = st.sampled_from(["name", "lr", "momentum", "options", "arch", "workers", "", "x.y"])
TABLES = st.one_of(VALUES, st.dictionaries(NAMES, VALUES, max_size=3))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([*Profile.model_fields, "other"]), TABLES, max_size=3))
def test_any_document_is_a_profile_or_a_list_of_faults(folder, document):
    document.pop("extends", None)
    Path("my.toml").write_text(tomli_w.dumps(document))
    for problem in check("my.toml", environ={}):
        assert problem.where.startswith("my.toml:")
        assert "\n" not in str(problem)


def test_every_pattern_of_the_schema_has_words():
    patterns = {
        f"{section}.{name}": rule.pattern
        for section, models in SECTIONS.items()
        for model in models
        for name, field in model.model_fields.items()
        for rule in field.metadata
        if getattr(rule, "pattern", None)
    }
    assert {"train.device", "checkpoint.monitor", "schedule.warmup", "schedule.at"} <= set(patterns)
    assert {key if key in PATTERNS else pattern for key, pattern in patterns.items()} == set(PATTERNS)


SECTIONS = {
    name: [*DISCRIMINATED[name].values()] if name in DISCRIMINATED else [field.annotation]
    for name, field in Profile.model_fields.items()
    if name in DISCRIMINATED or hasattr(field.annotation, "model_fields")
}
