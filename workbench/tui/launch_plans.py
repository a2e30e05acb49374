"""What the dialog before a run says, made from a profile or from a run directory."""

from pathlib import Path

from workbench.base.errors import UserError
from workbench.base.text import clean
from workbench.commands.runs import base_profile
from workbench.launch.devices import device_in_words
from workbench.launch.orders import name_of
from workbench.profile import Profile, ProfileError, Resolved, load_exact
from workbench.runs.directory import find_run
from workbench.runs.settings import flat
from workbench.runs.store import RunStore
from workbench.runs.summary import LIVE
from workbench.tui.screens.launch_dialog import Plan

Lines = list[tuple[str, str]]


def plan_of_profile(resolved: Resolved, parent: str, source: str, before: int) -> Plan:
    """For a new run. `source`: what the profile is called; `before`: runs that come first."""
    profile = resolved.profile
    lines = [("profile", clean(source, 200))] if source else []
    lines += _of(profile)
    lines += [("from run", clean(parent, 80))] if parent else []
    overriding = [f"{key} ({origin})" for key, origin in resolved.origins.items() if origin.kind == "environment"]
    lines += [("besides", clean(", ".join(overriding), 300))] if overriding else []
    return Plan(f"Train {name_of(profile)}", lines, before, seed=profile.seed)


def plan_of_run(root: Path, run_id: str, before: int) -> Plan:
    """For a run that goes on. UserError for one that lives, or whose profile cannot be read."""
    path = find_run(root, run_id)
    summary = RunStore(root).find(run_id).summary
    if summary.state in LIVE and summary.state != "lost":  # of a lost one the lock decides
        raise UserError(f"{path.name} is being trained ({summary.state}): stop it first")
    try:
        profile = load_exact(path / "profile.toml").profile
    except ProfileError as error:
        raise UserError(f"{path.name}: {error}") from None
    planned, done = profile.train.epochs, summary.epoch
    lines: Lines = [("run", path.name), ("so far", f"{summary.state}, {done} of {planned} epochs")]
    return Plan(f"Go on with {path.name}", [*lines, *_of(profile)], before,
                epochs=planned, needs_epochs=summary.state == "finished")  # fmt: skip


def _of(profile: Profile) -> Lines:
    """What every run's dialog says."""
    base = base_profile()
    settings = flat(profile.model_dump(exclude={"extends"}, exclude_none=True))
    data, train = profile.data, profile.train
    differs = clean(base.text(base.differences(settings)), 600)
    how = [profile.optim.name, f"lr {profile.optim.lr:g}", profile.schedule.name]
    return [
        ("network", clean(profile.model.arch, 100)),
        ("data", f"{data.dataset}, {data.image_size} px, batch {data.batch_size}, augment {data.augment}"),
        ("recipe", f"{', '.join(how)}, {train.epochs} epochs"),
        ("device", clean(device_in_words(train.device), 100)),
        ("differs", f"from base in {differs}" if differs else "in no other setting from base"),
    ]
