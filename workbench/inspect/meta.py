"""Networks without memory: tensors that have a shape and no values, and nothing computed.

torch's meta device has such tensors, but its kernels for most operators are written in Python, and the first of them
imports 900 modules, torch's compiler among them: 2 to 4 seconds. The operators of the networks here need little to
know their result's shape, so `on_meta` answers those itself; whatever it does not know goes to torch's own kernel.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten


@contextmanager
def on_meta() -> Iterator["Shapes"]:
    """Within it, new tensors have no storage, and drawing initial weights or running a network costs microseconds.

        with on_meta():
            network = architectures.create("vit_l_16")      # 304 million parameters, no memory
            network.eval()(torch.empty(1, 3, 224, 224))     # a tensor of shape (1, 1000)

    Every tensor should be born inside or be on the meta device. It holds for this thread alone. Strides are not
    followed: results are contiguous, so a `view` that needs a `contiguous` first passes unnoticed.
    """
    with torch.device("meta"), Shapes() as shapes:  # type: ignore[no-untyped-call]  # torch's base class
        yield shapes


class Shapes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Answers each operator by a rule of `RULES`; in doubt, and for errors, by torch's kernel."""

    macs = 0
    """Multiply-accumulates so far, by the formulas of torch.utils.flop_counter: matrix products and convolutions.
    Its FlopCounterMode is not used since it, too, imports the compiler."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch wraps the method below with a helper that imports the compiler

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        operator = func.overloadpacket
        if func._schema.name.endswith("_") and args[0].is_meta and torch.Tag.inplace_view not in func.tags:
            return args[0]  # an operator in place changes values, and there are none
        rule = RULES.get(operator)
        answer = rule(*args, **kwargs) if rule and "out" not in kwargs else None
        if answer is None:
            answer = func(*args, **kwargs)
        if operator in flop_registry:
            self.macs += flop_registry[operator](*args, **kwargs, out_val=answer) // 2
        return answer


def _new(like: Tensor, shape: Sequence[int]) -> Tensor | None:
    return torch.empty(tuple(shape), dtype=like.dtype, device="meta") if like.is_meta else None


def _elementwise(*args: Any, **_: Any) -> Tensor | None:
    """Operands of one floating dtype, broadcast."""
    tensors = [argument for argument in args if isinstance(argument, Tensor)]
    first = tensors[0]
    if not first.is_floating_point() or any(t.dtype != first.dtype or not t.is_meta for t in tensors):
        return None
    shape: list[int] = []
    for place in range(-max(t.ndim for t in tensors), 0):
        sizes = {t.shape[place] for t in tensors if t.ndim >= -place} - {1}
        if len(sizes) > 1:
            return None
        shape.append(sizes.pop() if sizes else 1)
    return _new(first, shape)


def _same(x: Tensor, *_: Any) -> Tensor | None:
    return _new(x, x.shape)


def _empty_like(x: Tensor, **kwargs: Any) -> Tensor | None:
    return _new(x, x.shape) if kwargs.get("dtype") in (None, x.dtype) else None


def _matmul(a: Tensor, b: Tensor) -> Tensor | None:
    """(..., n, m) by (..., m, p), nothing broadcast."""
    fits = a.shape[:-2] == b.shape[:-2] and a.shape[-1] == b.shape[-2] and a.dtype == b.dtype and b.is_meta
    return _new(a, (*a.shape[:-1], b.shape[-1])) if fits else None


def _addmm(bias: Tensor, a: Tensor, b: Tensor, **_: Any) -> Tensor | None:
    return _matmul(a, b) if bias.ndim == 1 and bias.shape[0] == b.shape[1] else None


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    _: list[int],
    groups: int,
) -> Tensor | None:
    kernel = weight.shape[2:]
    fits = x.ndim == weight.ndim == 4 and x.shape[1] == weight.shape[1] * groups and weight.shape[0] % groups == 0
    if transposed or not fits or x.dtype != weight.dtype or not weight.is_meta:
        return None
    grid = _slide(x.shape[2:], kernel, stride, padding, dilation)
    return _new(x, (x.shape[0], weight.shape[0], *grid)) if grid else None


def _slide(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int] = (1,),
    ceil: bool = False,
) -> list[int] | None:
    """How often a window fits, along height and width; None if it does not."""
    grid = []
    for i, length in enumerate(size):
        k, s, p, d = (values[i % len(values)] for values in (kernel, stride or kernel, padding, dilation))
        room = length + 2 * p - d * (k - 1) - 1
        if room < 0 or 2 * p > k * d:
            return None
        steps = -(-room // s) if ceil else room // s
        if ceil and steps * s >= length + p:  # a last window that would begin in the padding is left out
            steps -= 1
        grid.append(steps + 1)
    return grid


def _max_pool(
    x: Tensor,
    kernel: list[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil: bool = False,
) -> tuple[Tensor, Tensor] | None:
    grid = _slide(x.shape[-2:], kernel, stride, padding, dilation, ceil)
    pooled = _new(x, (*x.shape[:-2], *grid)) if grid else None
    return None if pooled is None else (pooled, torch.empty(pooled.shape, dtype=torch.int64, device="meta"))


def _avg_pool(
    x: Tensor,
    kernel: list[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil: bool = False,
    *_: Any,
) -> Tensor | None:
    grid = _slide(x.shape[-2:], kernel, stride, padding, ceil=ceil)
    return _new(x, (*x.shape[:-2], *grid)) if grid else None


def _adaptive_pool(x: Tensor, grid: list[int]) -> Tensor | None:
    return _new(x, (*x.shape[:-2], *grid))


def _mean(x: Tensor, dims: list[int] | None = None, keep: bool = False, **kwargs: Any) -> Tensor | None:
    if not dims or kwargs.get("dtype") is not None or not x.is_floating_point():
        return None
    gone = {dim % x.ndim for dim in dims}
    return _new(x, [1 if i in gone else n for i, n in enumerate(x.shape) if keep or i not in gone])


def _cat(tensors: list[Tensor], dim: int = 0) -> Tensor | None:
    first, dim = tensors[0], dim % tensors[0].ndim
    rest = {(t.dtype, t.is_meta, t.ndim, *t.shape[:dim], *t.shape[dim + 1 :]) for t in tensors}
    total = sum(t.shape[dim] for t in tensors if t.ndim == first.ndim)
    return _new(first, (*first.shape[:dim], total, *first.shape[dim + 1 :])) if len(rest) == 1 else None


def _batch_norm(x: Tensor, *_: Any) -> tuple[Tensor, ...] | None:
    return _normalised(x, [x.shape[1]])


def _layer_norm(x: Tensor, shape: list[int], *_: Any) -> tuple[Tensor, ...] | None:
    kept = x.ndim - len(shape)
    return _normalised(x, [*x.shape[:kept], *[1] * len(shape)]) if list(x.shape[kept:]) == list(shape) else None


def _normalised(x: Tensor, statistics: list[int]) -> tuple[Tensor, ...] | None:
    """The result, the means and the inverse deviations."""
    if not x.is_meta:
        return None
    return tuple(torch.empty(tuple(shape), dtype=x.dtype, device="meta") for shape in (x.shape, statistics, statistics))


_ELEMENTWISE = (
    "add sub mul div addcmul pow relu silu gelu elu leaky_relu hardtanh hardswish hardsigmoid sigmoid tanh"
    " exp sqrt rsqrt clamp mish softplus"
)
RULES: dict[Any, Callable[..., Tensor | tuple[Tensor, ...] | None]] = {
    **{getattr(aten, name): _elementwise for name in _ELEMENTWISE.split()},
    aten.empty_like: _empty_like,
    aten._softmax: _same,
    aten._safe_softmax: _same,
    aten.mm: _matmul,
    aten.bmm: _matmul,
    aten.addmm: _addmm,
    aten.convolution: _convolution,
    aten.max_pool2d_with_indices: _max_pool,
    aten.avg_pool2d: _avg_pool,
    aten._adaptive_avg_pool2d: _adaptive_pool,
    aten.mean: _mean,
    aten.cat: _cat,
    aten.native_batch_norm: _batch_norm,
    aten.native_layer_norm: _layer_norm,
}
"""Operator -> the empty result for its arguments, or None when the rule does not cover them."""
