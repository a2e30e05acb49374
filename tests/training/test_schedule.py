"""The learning rate of every step: torch's own schedulers step by step, bounds for any profile, plateaus."""

import json
import math
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from drawn_profiles import schedules, sections
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from workbench.profile import Profile, schema
from workbench.profile.lengths import in_steps
from workbench.training.schedule import Plateau, check, factor

STEPS, IN_EPOCH = 60, 12


def ours(schedule: Any, steps: int = STEPS, in_epoch: int = IN_EPOCH) -> list[float]:
    return [factor(schedule, step, steps=steps, steps_per_epoch=in_epoch) for step in range(steps)]


def torchs(make: Callable[[torch.optim.Optimizer], Any], steps: int = STEPS) -> list[float]:
    """The learning rates of torch's scheduler, over one of 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a scheduler stepped without its optimiser
        scheduler = make(optimizer)
        rates = []
        for _ in range(steps):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            scheduler.step()
    return rates


def warmed_up(warmup: int, then: Callable[[torch.optim.Optimizer], Any], *, from_peak: bool) -> list[float]:
    """torch's LinearLR that begins at 1 / warmup (so the first step learns) and reaches 1 at step warmup - 1; then
    `then`, either begun at that step or, for drops, running since step 0."""
    rise = torchs(lambda o: lr_scheduler.LinearLR(o, 1 / warmup, 1.0, total_iters=warmup - 1), warmup - 1)
    rest = torchs(then)
    return [*rise, *rest[: STEPS - warmup + 1]] if from_peak else [*rise, 1.0, *rest[warmup:]]


WARMUP = {"warmup": "7step"}
FALL = STEPS - 6
"""Steps from the peak, step 6, to the end."""

AGAINST_TORCH = [
    (schema.Constant(), torchs(lambda o: lr_scheduler.ConstantLR(o, 1.0))),
    (
        schema.WarmupConstant(**WARMUP),
        torchs(lambda o: lr_scheduler.LinearLR(o, 1 / 7, 1.0, total_iters=6)),
    ),
    (
        schema.WarmupLinear(**WARMUP, end=0.1),
        warmed_up(7, lambda o: lr_scheduler.LinearLR(o, 1.0, 0.1, total_iters=FALL), from_peak=True),
    ),
    (
        schema.WarmupCosine(**WARMUP, end=0.1),
        warmed_up(7, lambda o: lr_scheduler.CosineAnnealingLR(o, FALL, 0.1), from_peak=True),
    ),
    # torch's own rise again after T_max, so several waves have a counterpart too
    (
        schema.WarmupCosine(warmup="0%", cycles=1.5, end=0.25),
        torchs(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS // 3, 0.25)),
    ),
    *(
        (
            schema.Cyclic(mode=mode, low=0.2, up="5step", down="11step", gamma=0.97),
            torchs(
                lambda o, mode=mode: lr_scheduler.CyclicLR(
                    o, 0.2, 1.0, step_size_up=5, step_size_down=11, mode=mode, gamma=0.97, cycle_momentum=False
                )
            ),
        )
        for mode in ("triangular", "triangular2", "exp_range")
    ),
    (schema.Cosine(end=0.1), torchs(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, 0.1))),
    (schema.Step(every="1.25ep", factor=0.3), torchs(lambda o: lr_scheduler.StepLR(o, 15, 0.3))),
    (
        schema.Step(every="4step", factor=0.9, **WARMUP),
        warmed_up(7, lambda o: lr_scheduler.StepLR(o, 4, 0.9), from_peak=False),
    ),
    (
        schema.Multistep(at="4ep,25%, 50step", factor=0.5),
        torchs(lambda o: lr_scheduler.MultiStepLR(o, [15, 48, 50], 0.5)),
    ),
    (
        schema.Multistep(at="5step, 30step", factor=0.5, **WARMUP),
        warmed_up(7, lambda o: lr_scheduler.MultiStepLR(o, [5, 30], 0.5), from_peak=False),
    ),
    (schema.Polynomial(power=2.5), torchs(lambda o: lr_scheduler.PolynomialLR(o, STEPS, 2.5))),
    (
        schema.Polynomial(power=0.5, **WARMUP),
        warmed_up(7, lambda o: lr_scheduler.PolynomialLR(o, FALL, 0.5), from_peak=True),
    ),
    # torch's last step is at the end already; ours would be at the step after it, as in every other schedule
    *(
        (
            schema.OneCycle(warmup="20step", start=0.1, end=0.01, shape=shape),
            torchs(
                lambda o, anneal=anneal: lr_scheduler.OneCycleLR(
                    o,
                    1.0,
                    total_steps=STEPS + 1,
                    pct_start=20 / (STEPS + 1),
                    div_factor=10,
                    final_div_factor=10,
                    anneal_strategy=anneal,
                    cycle_momentum=False,
                )
            ),
        )
        for shape, anneal in (("cosine", "cos"), ("linear", "linear"))
    ),
]


@pytest.mark.parametrize(("schedule", "rates"), AGAINST_TORCH, ids=lambda value: getattr(value, "name", ""))
def test_every_step_has_the_rate_of_torchs_scheduler(schedule: Any, rates: list[float]) -> None:
    assert ours(schedule) == pytest.approx(rates, rel=1e-6, abs=1e-12)


def test_every_schedule_is_compared_with_torch_except_the_one_that_is_state() -> None:
    assert {schedule.name for schedule, _ in AGAINST_TORCH} == {*schema.DISCRIMINATED["schedule"]} - {"plateau"}


def test_the_warm_up_of_plateau_is_that_of_the_others() -> None:
    assert ours(schema.Plateau(**WARMUP)) == ours(schema.WarmupConstant(**WARMUP))


@given(st.floats(1e-9, 10), st.floats(0, 1), st.integers(1, 10**7), st.data())
def test_the_cosine_is_to_the_bit_what_earlier_runs_had(lr: float, end: float, steps: int, data: st.DataObject) -> None:
    # A run that an earlier version began must go on with the same weights.
    step = data.draw(st.integers(0, steps))
    before = lr * (end + (1 - end) * 0.5 * (1 + math.cos(math.pi * step / steps)))
    assert lr * factor(schema.Cosine(end=end), step, steps=steps, steps_per_epoch=steps) == before


def lengths_of(schedule: Any, steps: int, in_epoch: int) -> dict[str, int]:
    """The lengths in it that are a single one, in steps."""
    return {
        name: in_steps(getattr(schedule, name), steps_per_epoch=in_epoch, steps=steps)
        for name in ("warmup", "up")
        if hasattr(schedule, name)
    }


@settings(max_examples=150, deadline=None)
@given(schedules(), st.integers(1, 30), st.integers(1, 12))
@example(schema.Cyclic(mode="triangular2", low=0.0, up="1step", down="1step"), 3000, 1)  # halved 1,500 times
@example(schema.WarmupLinear(warmup="99999999999999999999999999step"), 2, 2)
@example(schema.Polynomial(warmup="9" * 400 + "ep"), 2, 2)
@example(schema.OneCycle(warmup="100%"), 1, 1)
@example(schema.Step(every="0step", factor=0.01), 500, 1)
def test_whatever_the_profile_says_the_rate_is_sound(schedule: Any, epochs: int, in_epoch: int) -> None:
    steps = epochs * in_epoch
    rates = ours(schedule, steps, in_epoch)
    assert all(0.0 <= rate <= 1.0 for rate in rates)
    # Before and after the run: the ends of it, never an error.
    for step, end in ((-5, 0), (steps + 7, steps)):
        edge = factor(schedule, end, steps=steps, steps_per_epoch=in_epoch)
        assert factor(schedule, step, steps=steps, steps_per_epoch=in_epoch) == edge
        assert 0.0 <= edge <= 1.0


@settings(max_examples=150, deadline=None)
@given(schedules(), st.integers(1, 30), st.integers(1, 12))
def test_a_run_that_is_long_enough_reaches_the_full_rate(schedule: Any, epochs: int, in_epoch: int) -> None:
    steps = epochs * in_epoch
    rates, lengths = ours(schedule, steps, in_epoch), lengths_of(schedule, steps, in_epoch)
    if isinstance(schedule, schema.Cyclic):
        peak = max(1, lengths["up"])
        wanted = schedule.low + (1 - schedule.low) * schedule.gamma**peak if schedule.mode == "exp_range" else 1.0
        assert peak >= steps or rates[peak] == pytest.approx(wanted, rel=1e-12)
    else:
        peak = max(0, lengths.get("warmup", 0) - 1)
        drops_at_once = isinstance(schedule, schema.Multistep) and ours(schedule, steps, in_epoch)[0] < 1.0
        assert peak >= steps or rates[peak] == 1.0 or (peak == 0 and drops_at_once)


@settings(max_examples=150, deadline=None)
@given(schedules(), st.integers(1, 30), st.integers(1, 12))
def test_the_first_step_learns(schedule: Any, epochs: int, in_epoch: int) -> None:
    first = ours(schedule, epochs * in_epoch, in_epoch)[0]
    if isinstance(schedule, schema.Cyclic):
        assert first == schedule.low  # 0 only where the profile says so
    elif isinstance(schedule, schema.OneCycle) and first < 1.0:
        assert first == schedule.start
    elif not isinstance(schedule, schema.Multistep):  # of which "0%" may drop to nothing at once
        assert first > 0.0


@pytest.mark.parametrize("model", [schema.WarmupLinear, schema.WarmupCosine, schema.Polynomial, schema.OneCycle])
def test_after_the_peak_the_rate_falls_and_would_be_at_its_end_after_the_last_step(model: Any) -> None:
    schedule = model(warmup="1ep", end=0.05)
    rates = ours(schedule)
    peak = rates.index(1.0)
    assert peak == IN_EPOCH - 1
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates.count(1.0) == 1
    assert rates[-1] > 0.05
    assert factor(schedule, STEPS, steps=STEPS, steps_per_epoch=IN_EPOCH) == pytest.approx(0.05, abs=1e-15)


def test_no_warm_up_and_one_of_one_step_are_the_same() -> None:
    for model in (schema.WarmupLinear, schema.WarmupCosine, schema.Polynomial, schema.Step, schema.OneCycle):
        assert ours(model(warmup="0%")) == ours(model(warmup="1step"))
    assert ours(schema.WarmupCosine(warmup="0%", end=0.1)) == ours(schema.Cosine(end=0.1))


# What the run cannot hold

TEN_OF_TEN = "(10 epochs of 10)"


@pytest.mark.parametrize(
    ("schedule", "faults"),
    [
        (schema.WarmupLinear(warmup="99step"), []),
        (
            schema.WarmupLinear(warmup="100step"),
            [("schedule.warmup", f"100step must be shorter than the run of 100 steps {TEN_OF_TEN}")],
        ),
        (
            schema.Plateau(warmup="500step"),
            [("schedule.warmup", f"500step must be shorter than the run of 100 steps {TEN_OF_TEN}")],
        ),
        (
            schema.Multistep(at="50step, 100step,7ep, 300step"),
            [
                ("schedule.at", f"100step must be shorter than the run of 100 steps {TEN_OF_TEN}"),
                ("schedule.at", f"300step must be shorter than the run of 100 steps {TEN_OF_TEN}"),
            ],
        ),
        (
            schema.Step(every="10ep", warmup="2ep"),
            [("schedule.every", f"10ep must be shorter than the run of 100 steps {TEN_OF_TEN}")],
        ),
        (schema.Step(every="1step", warmup="50step"), []),
        (
            schema.Step(every="0.04ep"),
            [("schedule.every", "0.04ep must be at least one step (an epoch has 10, the run 100)")],
        ),
        (
            schema.Cyclic(up="0step", down="0.001%"),
            [
                ("schedule.up", "0step must be at least one step (an epoch has 10, the run 100)"),
                ("schedule.down", "0.001% must be at least one step (an epoch has 10, the run 100)"),
            ],
        ),
        (schema.Cyclic(up="500step", down="20ep"), []),  # a range test: nothing but one rise
        (schema.Constant(), []),
        (schema.OneCycle(warmup="0step"), []),
    ],
)
def test_lengths_that_only_the_number_of_steps_can_judge(schedule: Any, faults: list[tuple[str, str]]) -> None:
    assert check(Profile(schedule=schedule, train=schema.Train(epochs=10)), 10) == faults


@pytest.mark.parametrize("name", [*schema.DISCRIMINATED["schedule"]])
@pytest.mark.parametrize("steps", [2, 3, 7])
def test_the_defaults_fit_even_the_shortest_run(name: str, steps: int) -> None:
    # Parts of a run that rounding to steps makes all of it are no fault: 75 % of two steps is two.
    schedule = schema.DISCRIMINATED["schedule"][name]()
    assert check(Profile(schedule=schedule, train=schema.Train(epochs=1)), steps) == []


# Plateaus

FIGURES = st.lists(st.one_of(st.integers(0, 20).map(lambda n: n / 20), st.just(math.nan)), max_size=40)


@settings(max_examples=150, deadline=None)
@given(
    sections(
        schema.Plateau,
        patience=st.integers(0, 4),
        cooldown=st.integers(0, 4),
        threshold=st.sampled_from([0.0, 0.0001, 0.05, 0.1]),
        factor=st.sampled_from([0.1, 0.5, 0.9]),
        warmup=st.just("0%"),
    ),
    FIGURES,
    st.booleans(),
)
def test_a_plateau_drops_when_torchs_does(schedule: schema.Plateau, figures: list[float], higher: bool) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    torchs_own = lr_scheduler.ReduceLROnPlateau(
        optimizer,
        mode="max" if higher else "min",
        factor=schedule.factor,
        patience=schedule.patience,
        threshold=schedule.threshold,
        threshold_mode="abs",
        cooldown=schedule.cooldown,
        min_lr=schedule.end,
        eps=0.0,
    )
    plateau = Plateau(schedule)
    for figure in figures:
        before = plateau.factor
        fell = plateau.step(figure, higher_is_better=higher)
        torchs_own.step(figure)
        assert plateau.factor == optimizer.param_groups[0]["lr"]
        assert fell == (plateau.factor < before)
        # As a checkpoint keeps it: every epoch might be the last before a resume.
        plateau = Plateau.from_dict(schedule, json.loads(json.dumps(plateau.as_dict())))


def test_a_resumed_plateau_never_raises_the_rate() -> None:
    low = Plateau.from_dict(schema.Plateau(end=0.5, patience=0), {"factor": 0.01, "best": 0.9})
    assert not low.step(0.1, higher_is_better=True)
    assert low.factor == 0.01


def test_an_infinite_loss_is_no_best_one() -> None:
    plateau = Plateau(schema.Plateau(patience=1))
    assert [plateau.step(loss, higher_is_better=False) for loss in (math.inf, -math.inf)] == [False, True]
    assert plateau.best is None


def test_schedules_need_no_torch() -> None:
    code = (
        "import sys, workbench.training.schedule, workbench.lr_chart; print([*{'torch', 'plotext'} & {*sys.modules}])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
