"""From a base profile and axes to jobs: every combination of networks, recipes, seeds and other values.

A recipe is `base` (the profile as it is), `paper` (the recipe of each network's own paper) or the name of a profile.
Of another profile than the base a job takes what `RECIPE` lists: optimiser, schedule, SAM, augmentation, and how the
loop regularises. Data, length, device and everything else are the base's, so that rows of a table can be compared.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import itertools
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import architectures
from workbench.base.errors import UserError
from workbench.preflight import check_network
from workbench.profile import (
    Layer,
    Origin,
    ProfileError,
    Resolved,
    add_options,
    dump,
    find,
    keys,
    load,
    read_options,
    recipe_label,
)
from workbench.profile.errors import closest_key
from workbench.profile.layers import merge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from architectures import Card
    from workbench.profile import Profile

SAM_ROW = "resnet18 + SAM"
"""The row of the seed's table that is a way of training and not a network; also written `resnet18+sam`."""
SAM_PROFILE = "papers/resnet_sam"

RECIPE_TRAIN = ("label_smoothing", "clip_norm", "ema", "progressive_stages", "progressive_from")
"""Keys of [train] that belong to a recipe; the others say how long and on what."""
RECIPE = ("optim", "schedule", "sam", "augment", "data.augment", *(f"train.{key}" for key in RECIPE_TRAIN))
"""What a job takes of a recipe's profile, beside the network's options where the profile is of the same paper."""

PEER_WEIGHTS = ("torchvision", "timm")
"""Words of model.pretrained that are no paths."""

AXES_OF_THEIR_OWN = {"model.arch": "--arch", "seed": "--seed", "recipe": "--recipe"}
MOST_JOBS = 10_000
LONGEST_NAME = 40
"""Characters of a profile's `name`."""
LONGEST_LABEL = 50
"""And of its `recipe`, with room for `-sam`."""


@dataclass(frozen=True)
class Network:
    """A row: a network, or one with SAM switched on."""

    name: str
    """As the table shows it."""
    arch: str
    """The profile's model.arch."""
    sam: bool = False


@dataclass(frozen=True)
class Axes:
    """What varies. An empty tuple: what the base profile says."""

    networks: tuple[Network, ...] = ()
    recipes: tuple[str, ...] = ("base",)
    seeds: tuple[int, ...] = ()
    settings: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Other keys, each with its values as text: (("optim.lr", ("0.1", "0.01")),)."""


@dataclass(frozen=True)
class Job:
    """One run of a sweep."""

    id: str
    """Safe as a file's name: `001-resnet18-paper-s0`."""
    network: str
    recipe: str
    """Label of its group of runs: the recipe's word, `sam` for the SAM row."""
    seed: int
    settings: dict[str, str]
    profile: Profile
    """Resolved, with absolute paths."""
    notes: tuple[str, ...]
    """Where it is not what was asked for."""

    @property
    def facts(self) -> dict[str, Any]:
        """What programs are told of it, besides its id."""
        return {
            "network": self.network,
            "arch": self.profile.model.arch,
            "recipe": self.recipe,
            "seed": self.seed,
            "settings": self.settings,
            "epochs": self.profile.train.epochs,
            "image_size": self.profile.data.image_size,
            "notes": list(self.notes),
        }


def networks(text: str) -> tuple[Network, ...]:
    """The rows that `--arch` names: names by comma, `module:callable`, `all`, or `all-rows` for the seed's table.

    UserError with the nearest name for an unknown one.
    """
    found: list[Network] = []
    for word in _words(text, "--arch"):
        if word == "all":
            found += [Network(name, name) for name in architectures.names()]
        elif word == "all-rows":
            found += [Network(card.name, card.name) for card in architectures.cards() if card.seed]
            found.append(Network(SAM_ROW, "resnet18", sam=True))
        elif word.replace(" ", "").lower() == SAM_ROW.replace(" ", "").lower():
            found.append(Network(SAM_ROW, "resnet18", sam=True))
        else:
            found.append(_network(word))
    return tuple(dict.fromkeys(found))


def _network(word: str) -> Network:
    if ":" not in word:
        try:
            architectures.card(word)
        except ValueError as error:
            raise UserError(f"--arch: {error}") from None
    return Network(word, word)


def recipes(text: str) -> tuple[str, ...]:
    """The words of `--recipe`."""
    return tuple(dict.fromkeys(_words(text, "--recipe")))


def seeds(text: str) -> tuple[int, ...]:
    """The numbers of `--seed`: `0,1,2` or `0..4`, both ends included. UserError for anything else."""
    found: list[int] = []
    for word in _words(text, "--seed"):
        match = re.fullmatch(r"(\d{1,18})(?:\.\.(\d{1,18}))?", word, re.ASCII)
        if match is None:
            raise UserError(f'--seed: "{word}" is no seed; write 0,1,2 or 0..4')
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first >= MOST_JOBS:
            raise UserError(f"--seed: {word} must go up, by less than {MOST_JOBS:,}")
        found += range(first, last + 1)
    return tuple(dict.fromkeys(found))


def settings(texts: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The axes of `--set`: `optim.lr=0.1,0.01`; a TOML list where values hold commas: `schedule.at=["50%, 75%"]`."""
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals:
            raise UserError(f'--set: "{text}" must be KEY=VALUE,VALUE, such as optim.lr=0.1,0.01')
        if key in AXES_OF_THEIR_OWN or key in ("name", "extends"):
            instead = AXES_OF_THEIR_OWN.get(key)
            raise UserError(f"--set: {key} " + (f"is what {instead} is for" if instead else "is given by the sweep"))
        if key not in keys() and not key.startswith("model.options."):
            meant = closest_key(key, list(keys()))
            raise UserError(f"--set: unknown key {key}" + (f" (did you mean {meant}?)" if meant else ""))
        if key in found:
            raise UserError(f"--set: {key} is given twice")
        found[key] = tuple(dict.fromkeys(_listed(values, f"--set {key}")))
    return tuple(found.items())


def _words(text: str, flag: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise UserError(f'{flag}: a name is missing in "{text}"')
    return words


def _listed(text: str, flag: str) -> list[str]:
    if not text.lstrip().startswith("["):
        return _words(text, flag)
    try:
        values = tomllib.loads(f"values = {text}")["values"]
    except tomllib.TOMLDecodeError:
        raise UserError(f'{flag}: "{text}" is no TOML list, such as ["50%, 75%", "90%"]') from None
    if not values or not all(isinstance(value, str | int | float) for value in values):
        raise UserError(f"{flag}: must be a list of numbers, strings, true or false")
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in values]


def plan(base: str, options: Layer, axes: Axes, environ: Mapping[str, str] | None = None) -> list[Job]:
    """Every job, the first seed of everything first, so that an unfinished sweep already has a row of each.

    `base` is a profile's name or path, `options` the command line's layer over it, `environ` os.environ by default.
    ProfileError for a base that is wrong by itself, UserError (one line) for the first job that cannot work.
    """
    maker = _Maker(base, options, environ)
    own = maker.base.profile
    rows = axes.networks or (Network(own.model.arch, own.model.arch),)
    names = [key for key, _ in axes.settings]
    combinations = list(itertools.product(*(values for _, values in axes.settings)))
    numbers = axes.seeds or (own.seed,)
    if len(rows) * len(axes.recipes) * len(combinations) * len(numbers) > MOST_JOBS:
        raise UserError(f"a sweep has at most {MOST_JOBS:,} jobs; ask for less at a time")
    jobs: list[Job] = []
    known: set[str] = set()
    width = max(3, len(str(len(rows) * len(axes.recipes) * len(combinations) * len(numbers))))
    for seed, row, word, values in itertools.product(numbers, rows, axes.recipes, combinations):
        chosen = dict(zip(names, values, strict=True))
        label = _label(row, word, axes.recipes)
        title = "-".join([row.arch, label, f"s{seed}", *(f"{k.rpartition('.')[2]}{v}" for k, v in chosen.items())])
        try:
            profile, notes = maker.job(row, word, seed, chosen, label, _slug(title)[:LONGEST_NAME].strip("-._"))
        except ProfileError as error:
            problems = "; ".join(str(problem) for problem in error.problems)
            raise UserError(f"job {title}: {problems}") from None
        content = dump(profile.model_copy(update={"name": ""}))
        if content not in known:  # two image sizes, both too small, are the same job
            known.add(content)
            job_id = f"{len(jobs) + 1:0{width}d}-{_slug(title)[:60].strip('-._')}"
            jobs.append(Job(job_id, row.name, label, seed, chosen, profile, notes))
    return jobs


def digest(jobs: Sequence[Job]) -> str:
    """What the jobs are, as 12 hex digits: the same command has the same."""
    text = "\n".join(f"{job.id}\n{dump(job.profile)}" for job in jobs)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def default_name(base: str, jobs: Sequence[Job]) -> str:
    """What a sweep is called that was given no name: the same for the same command, another for any other."""
    stem = _slug(Path(base).stem)[:30].strip("-._") or "sweep"
    return f"{stem}-{digest(jobs)[:8]}"


def _label(row: Network, word: str, words: Sequence[str]) -> str:
    """The SAM row is a group of its own under each recipe; under the first one its label is `sam` alone."""
    own = word
    if word not in ("base", "paper"):
        with contextlib.suppress(ProfileError):  # told when the profile is read
            own = recipe_label(find(word))[:LONGEST_LABEL]
    if not row.sam:
        return own
    return "sam" if word == words[0] else f"{own}-sam"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-._") or "job"


class _Maker:
    """Lays the layers of a job on one another; reads each profile once."""

    def __init__(self, base: str, options: Layer, environ: Mapping[str, str] | None) -> None:
        self.name, self.options, self.environ = base, options, environ
        self.base: Resolved = load(base, options=options, environ=environ)
        self.of_base = self._of_base()
        self._read: dict[str, Profile] = {}

    def job(
        self, row: Network, word: str, seed: int, chosen: Mapping[str, str], label: str, name: str
    ) -> tuple[Profile, tuple[str, ...]]:
        """The profile of one job and what is to be said about it. ProfileError where it cannot work."""
        below, source = self._below(row, word)
        above = [self.options, *(_setting(key, value) for key, value in chosen.items())]
        above.append(Layer({"seed": seed, "recipe": label, "name": name}))
        notes: tuple[str, ...] = ()
        resolved = load(source, options=merge([*below, *above]), environ=self.environ)
        least, size = _least_size(row.arch), resolved.profile.data.image_size
        if least > size:
            notes = (f"{least} px instead of {size}: {row.arch} takes no smaller images",)
            above.append(Layer({"data": {"image_size": least}}))
            resolved = load(source, options=merge([*below, *above]), environ=self.environ)
        check_network(resolved)
        if re.fullmatch(r"cuda:\d+", resolved.profile.train.device):
            raise resolved.error("train.device", "each job of a sweep gets a GPU of its own; say cuda or auto")
        return _with_absolute_paths(resolved.profile), notes

    def _below(self, row: Network, word: str) -> tuple[list[Layer], str]:
        """The layers under the command line's, and the profile that they lie on."""
        arch = _arch_layer(row.arch)
        if word == "base":
            return [arch, *([self._sam()] if row.sam else [])], self.name
        source = _paper_profile(row) if word == "paper" else word
        recipe = self._recipe(source).model
        if recipe.options and recipe.arch != row.arch and _paper(recipe.arch) == _paper(row.arch):
            # Another size of the same paper: the options are the paper's, and would fall with the change of size.
            arch = _arch_layer(row.arch, dict(recipe.options))
        with_sam = row.sam and source != SAM_PROFILE
        return [self.of_base, arch, *([self._sam()] if with_sam else [])], source

    def _recipe(self, name: str) -> Profile:
        """A recipe's profile by itself, whatever the environment says."""
        if name not in self._read:
            self._read[name] = load(name, environ={}).profile
        return self._read[name]

    def _sam(self) -> Layer:
        rho = self.base.profile.sam.rho or self._recipe(SAM_PROFILE).sam.rho
        return Layer({"sam": {"rho": rho}})

    def _of_base(self) -> Layer:
        """What a job takes of the base profile when the recipe is another's: all but `RECIPE`, name and network."""
        settings = self.base.profile.model_dump(exclude_none=True)
        kept: dict[str, Any] = {section: dict(settings[section]) for section in ("data", "train", "checkpoint")}
        kept["model"] = {key: settings["model"][key] for key in ("pretrained", "freeze")}
        for key in RECIPE:
            section, _, inner = key.partition(".")
            kept.get(section, {}).pop(inner, None)
        origins: dict[tuple[str, ...], Origin] = {}
        for section, values in kept.items():
            for inner in values:
                origins[section, inner] = self.base.origin(f"{section}.{inner}")
        return Layer(kept, origins)


def _arch_layer(arch: str, options: dict[str, Any] | None = None) -> Layer:
    model: dict[str, Any] = {"arch": arch, **({"options": options} if options else {})}
    return Layer({"model": model}, {("model", "arch"): Origin("command line", "--arch")})


def _card(arch: str) -> Card | None:
    """None for a network of the user's own, and for a name that `check_network` will refuse."""
    return architectures.card(arch) if arch in architectures.names() else None


def _paper(arch: str) -> str:
    """The module of a network of ours; the name itself of another."""
    card = _card(arch)
    return card.module if card else arch


def _paper_profile(row: Network) -> str:
    """The profile with the recipe of the row's paper: they are called after the papers' modules."""
    if row.sam:
        return SAM_PROFILE
    if ":" in row.arch:
        raise UserError(f"--recipe paper: {row.arch} has no paper; give --recipe base or the name of a profile")
    return f"papers/{_paper(row.arch)}"


def _least_size(arch: str) -> int:
    """The smallest image of a network, pixels; 0 where it is not known."""
    card = _card(arch)
    return card.min_image_size if card else 0


def _setting(key: str, value: str) -> Layer:
    """The layer of `--key value`, read as the command line reads it."""
    if key.startswith("model.options."):
        words = ["--model.options", f"{key.removeprefix('model.options.')}={value}"]
    else:
        words = [f"--{key}={value}"]
    return read_options(_options_parser().parse_args(words))


@functools.cache
def _options_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    add_options(parser)
    return parser


def _with_absolute_paths(profile: Profile) -> Profile:
    """As the run directory will keep it: to be trained and compared from any working directory."""
    data, model = profile.data, profile.model
    if data.root:
        data = data.model_copy(update={"root": str(Path(data.root).expanduser().absolute())})
    if model.pretrained and model.pretrained not in PEER_WEIGHTS:
        model = model.model_copy(update={"pretrained": str(Path(model.pretrained).expanduser().absolute())})
    return profile.model_copy(update={"data": data, "model": model})
