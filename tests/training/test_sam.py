"""SAM's two passes: the papers' steps to the digit, weights back to the bit, batch norm as after one pass alone."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from sync_counter import count_syncs
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.training.sam import frozen_batch_norm, perturb, restore, unscaled

RHO = 0.3


def slope(a: float, b: float) -> tuple[float, float]:
    """The gradient of f(a, b) = a^2 + 3 b^2 + a b + b."""
    return 2 * a + b, 6 * b + a + 1


def function(w: Tensor) -> Tensor:
    a, b = w.flatten()
    return a**2 + 3 * b**2 + a * b + b


def full_step(w: nn.Parameter, adaptive: bool, plain: set[Tensor] | frozenset[Tensor] = frozenset()) -> None:
    """One step of SAM around gradient descent with learning rate 0.1."""
    optimizer = torch.optim.SGD([w], lr=0.1)
    function(w).backward()
    saved = perturb([w], RHO, adaptive, plain)
    optimizer.zero_grad()
    function(w).backward()
    restore([w], saved)
    optimizer.step()


# The papers' formulas on a function of two parameters


def test_sam_takes_the_papers_step() -> None:
    """Equation 2 of Foret et al. with p = 2, worked out by hand."""
    a, b = 1.0, -2.0
    w = nn.Parameter(torch.tensor([a, b], dtype=torch.float64))
    full_step(w, adaptive=False)
    ga, gb = slope(a, b)  # 0 and -10
    length = math.hypot(ga, gb)
    up = slope(a + RHO * ga / length, b + RHO * gb / length)
    assert w.tolist() == pytest.approx([a - 0.1 * up[0], b - 0.1 * up[1]], rel=1e-12)
    assert up != pytest.approx(slope(a, b), rel=0.01)  # the climb makes a difference


def test_asam_takes_the_papers_step() -> None:
    """Kwon et al., algorithm 1 with T = diag(|w| + 0.01), worked out by hand."""
    a, b = 1.5, -2.0
    w = nn.Parameter(torch.tensor([a, b], dtype=torch.float64))
    full_step(w, adaptive=True)
    ga, gb = slope(a, b)
    ta, tb = abs(a) + 0.01, abs(b) + 0.01
    length = math.hypot(ta * ga, tb * gb)
    up = slope(a + RHO * ta**2 * ga / length, b + RHO * tb**2 * gb / length)
    assert w.tolist() == pytest.approx([a - 0.1 * up[0], b - 0.1 * up[1]], rel=1e-12)


def test_asam_measures_biases_as_sam_does() -> None:
    """T is 1 for what is `plain`, and the norm is over all parameters together."""
    weight, bias = nn.Parameter(torch.tensor([2.0])), nn.Parameter(torch.tensor([-0.5]))
    weight.grad, bias.grad = torch.tensor([3.0]), torch.tensor([4.0])
    perturb([bias, weight], RHO, True, {bias})
    length = math.hypot(2.01 * 3, 4)
    assert weight.item() == pytest.approx(2 + RHO * 2.01**2 * 3 / length, rel=1e-6)
    assert bias.item() == pytest.approx(-0.5 + RHO * 4 / length, rel=1e-6)


def test_what_asam_does_not_scale_is_what_is_not_called_weight() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.MultiheadAttention(4, 2))
    names = {name for name, parameter in network.named_parameters() if parameter in unscaled(network)}
    assert names == {"0.bias", "1.bias", "2.in_proj_bias", "2.out_proj.bias"}


# Any gradient


@pytest.fixture
def parameters() -> list[nn.Parameter]:
    """Three tensors, the second without a gradient."""
    generator = torch.Generator().manual_seed(2)
    made = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (5,), (2, 3, 2, 2))]
    for parameter in (made[0], made[2]):
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    return made


def copies(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in parameters]


def same_bits(parameters: list[nn.Parameter], others: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(parameters, others, strict=True))


def test_the_climb_is_rho_long_and_along_the_gradient(parameters: list[nn.Parameter]) -> None:
    before = copies(parameters)
    perturb(parameters, RHO, False)
    climbs = [a.detach() - b for a, b in zip(parameters, before, strict=True)]
    assert float(torch.cat([c.flatten() for c in climbs]).norm()) == pytest.approx(RHO, rel=1e-5)
    assert not climbs[1].any()
    ratio = climbs[0] / parameters[0].grad
    torch.testing.assert_close(ratio, ratio[0, 0].expand(4, 3), rtol=1e-4, atol=0)


def test_the_adaptive_climb_is_rho_long_in_units_of_the_weights(parameters: list[nn.Parameter]) -> None:
    before = copies(parameters)
    perturb(parameters, RHO, True)
    climbs = [(a.detach() - b) / (b.abs() + 0.01) for a, b in zip(parameters, before, strict=True)]
    assert float(torch.cat([c.flatten() for c in climbs]).norm()) == pytest.approx(RHO, rel=1e-3)


@pytest.mark.parametrize("adaptive", [False, True])
def test_coming_back_is_to_the_bit(parameters: list[nn.Parameter], adaptive: bool) -> None:
    """Subtracting the climb would not be: small weights lose their last digits to a large one."""
    with torch.no_grad():
        parameters[0].mul_(1e-6)
    before = copies(parameters)
    saved = perturb(parameters, 7.0, False)
    climbs = [a.detach() - b for a, b in zip(parameters, before, strict=True)]
    assert any(not torch.equal(a - c, b) for a, b, c in zip(parameters, before, climbs, strict=True))
    restore(parameters, saved)
    assert same_bits(parameters, before)
    saved = perturb(parameters, 7.0, adaptive)
    parameters[0].grad = None  # the gradients of the second pass have nothing to do with what is restored
    restore(parameters, saved)
    assert same_bits(parameters, before)


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_gradient_of_zero_moves_nothing(parameters: list[nn.Parameter], adaptive: bool) -> None:
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    before = copies(parameters)
    saved = perturb(parameters, RHO, adaptive)
    assert same_bits(parameters, before)
    restore(parameters, saved)
    assert same_bits(parameters, before)


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_gradient_that_is_not_finite_is_come_back_from(parameters: list[nn.Parameter], adaptive: bool) -> None:
    before = copies(parameters)
    parameters[0].grad[0, 0] = math.inf
    restore(parameters, perturb(parameters, RHO, adaptive))
    assert same_bits(parameters, before)


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_loss_scale_does_not_matter(parameters: list[nn.Parameter], adaptive: bool) -> None:
    """To the bit, since a scaler's scale is a power of two."""
    before = copies(parameters)
    saved = perturb(parameters, RHO, adaptive)
    climbed = copies(parameters)
    restore(parameters, saved)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(2.0**16)
    perturb(parameters, RHO, adaptive)
    assert same_bits(parameters, climbed)
    assert not same_bits(parameters, before)


def test_without_any_gradient_nothing_happens() -> None:
    parameter = nn.Parameter(torch.ones(2))
    saved = perturb([parameter], RHO, False)
    restore([parameter], saved)
    assert torch.equal(parameter, torch.ones(2))


def test_other_parameters_are_refused(parameters: list[nn.Parameter]) -> None:
    saved = perturb(parameters, RHO, False)
    with pytest.raises(ValueError, match="argument"):
        restore(parameters[:2], saved)


@pytest.mark.parametrize("adaptive", [False, True])
def test_16_bit_parameters_climb_by_a_norm_of_32_bits(adaptive: bool) -> None:
    """In 16 bits the norm of so many gradients would be rounded to two digits, and in fp16 overflow."""
    w = nn.Parameter(torch.ones(1000, 70, dtype=torch.float16))
    w.grad = torch.full_like(w, 300.0)
    before = w.detach().clone()
    saved = perturb([w], 100.0, adaptive)
    expected = 1 + 100.0 / math.sqrt(70000) * (1.01 if adaptive else 1.0)
    torch.testing.assert_close(w.float(), torch.full((1000, 70), expected), rtol=1e-3, atol=0)
    restore([w], saved)
    assert torch.equal(w, before)
    assert w.dtype == torch.float16


@pytest.mark.parametrize("adaptive", [False, True])
def test_neither_climb_nor_return_waits_for_the_device(parameters: list[nn.Parameter], adaptive: bool) -> None:
    with count_syncs() as waits:
        restore(parameters, perturb(parameters, RHO, adaptive, {parameters[2]}))
    assert waits == []


# Batch norm


class HomeMade(nn.Module):
    """A batch norm as people write it: the buffers are replaced, not changed in place."""

    running_mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((0, 2, 3)) if self.training else self.running_mean
        if self.training:
            self.running_mean = 0.9 * self.running_mean + 0.1 * mean.detach()
        return x - mean[:, None, None]


NORMS: dict[str, Callable[[], nn.Module]] = {
    "batch": lambda: nn.BatchNorm2d(4),
    "cumulative": lambda: nn.BatchNorm2d(4, momentum=None),
    "without statistics": lambda: nn.BatchNorm2d(4, track_running_stats=False),
    "instance": lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
    "home-made": HomeMade,
}


def build(norm: str) -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), NORMS[norm](), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 5)
    return nn.Sequential(*layers)


def images(seed: int) -> Tensor:
    return torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(seed))


def buffers(network: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in network.named_buffers()}


def assert_same_buffers(network: nn.Module, expected: dict[str, Tensor]) -> None:
    assert all(torch.equal(buffer, expected[name]) for name, buffer in network.named_buffers())


@pytest.mark.parametrize("norm", NORMS)
def test_frozen_batch_norm_computes_the_same_and_remembers_nothing(norm: str) -> None:
    network = build(norm)
    network(images(0))
    before = buffers(network)
    with frozen_batch_norm(network):
        frozen = network(images(1))
    assert_same_buffers(network, before)
    assert torch.equal(network(images(1)), frozen)
    if before:
        with pytest.raises(AssertionError):
            assert_same_buffers(network, before)  # afterwards they move again


def test_what_is_in_evaluation_mode_uses_its_statistics_still() -> None:
    """As the batch norm of a frozen backbone does during training."""
    network = build("batch")
    network(images(0))
    network[1].eval()
    expected = network(images(1))
    with frozen_batch_norm(network):
        assert torch.equal(network(images(1)), expected)
    assert not torch.equal(network.train()(images(1)), expected)


def test_batch_norm_is_itself_again_after_an_error() -> None:
    network = build("batch")
    with pytest.raises(RuntimeError), frozen_batch_norm(network):
        raise RuntimeError
    assert network[1].track_running_stats


def test_an_overflow_in_the_second_pass_does_not_reach_the_statistics() -> None:
    network = build("batch")
    network(images(0))
    before = buffers(network)
    with frozen_batch_norm(network):
        network(images(1) * math.inf)
    assert_same_buffers(network, before)


# Both passes on a network


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_step_on_a_network_is_the_formula_and_batch_norm_saw_one_pass(adaptive: bool) -> None:
    """The gradient is that at w + e(w), which a second network is set to by hand; dropout has one mask for both."""
    network = build("batch").append(nn.Dropout(0.5))
    other = copy.deepcopy(network)
    labels = torch.arange(8) % 5

    def backward(trained: nn.Module) -> None:
        torch.manual_seed(7)
        trained.zero_grad()
        F.cross_entropy(trained(images(1)), labels).backward()

    parameters = list(network.parameters())
    backward(network)
    after_one_pass = buffers(network)
    start = [parameter.detach().clone() for parameter in parameters]
    scales = [
        parameter.detach().abs() + 0.01 if adaptive and name.endswith("weight") else torch.ones(())
        for name, parameter in network.named_parameters()
    ]
    gradients = [parameter.grad.clone() for parameter in parameters]
    saved = perturb(parameters, RHO, adaptive, unscaled(network))
    with frozen_batch_norm(network):
        backward(network)
    restore(parameters, saved)
    assert_same_buffers(network, after_one_pass)
    assert same_bits(parameters, start)

    length = torch.cat([(t * g).flatten() for t, g in zip(scales, gradients, strict=True)]).norm()
    with torch.no_grad():
        for parameter, t, g in zip(other.parameters(), scales, gradients, strict=True):
            parameter.add_(RHO * t * t * g / length)
    backward(other)
    for (name, own), expected in zip(network.named_parameters(), other.parameters(), strict=True):
        assert own.grad is not None
        assert expected.grad is not None
        torch.testing.assert_close(own.grad, expected.grad, rtol=1e-4, atol=1e-6, msg=name)
