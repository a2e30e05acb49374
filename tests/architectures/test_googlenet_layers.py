"""GoogLeNet against table 1 of its paper, and its auxiliary heads."""

import pytest
import torch
from torch import nn

import architectures
from architectures.googlenet import Outputs
from workbench.inspect.meta import on_meta

TABLE_1 = {  # output (channels, side) and millions of multiply-accumulates ("ops")
    "inception3a": ((256, 28), 128),
    "inception3b": ((480, 28), 304),
    "inception4a": ((512, 14), 73),
    "inception4b": ((512, 14), 88),
    "inception4c": ((512, 14), 100),
    "inception4d": ((528, 14), 119),
    "inception4e": ((832, 14), 170),
    "inception5a": ((832, 7), None),  # printed as 54, which its own widths do not give (51)
    "inception5b": ((1024, 7), 71),
}


def test_every_module_has_the_shape_and_cost_of_table_1() -> None:
    shapes: dict[str, torch.Size] = {}
    costs = dict.fromkeys(TABLE_1, 0)
    with on_meta():
        network = architectures.create("googlenet").eval()
        for name in TABLE_1:
            module = network.get_submodule(name)
            module.register_forward_hook(lambda _m, _i, out, name=name: shapes.update({name: out.shape}))
            for layer in module.modules():
                if isinstance(layer, nn.Conv2d):

                    def count(layer: nn.Conv2d, _inputs: object, out: torch.Tensor, name: str = name) -> None:
                        costs[name] += layer.weight.numel() * out.shape[2] * out.shape[3]

                    layer.register_forward_hook(count)
        network(torch.empty(1, 3, 224, 224))
    for name, ((channels, side), millions) in TABLE_1.items():
        assert shapes[name] == (1, channels, side, side)
        if millions is not None:
            assert costs[name] / 1e6 == pytest.approx(millions, rel=0.01), name


def test_counts_are_those_of_the_seed_table() -> None:
    card = architectures.card("googlenet")
    assert card.params[10] == 5_983_802
    assert card.macs[10] == pytest.approx(1.582e9, rel=0.005)


def test_auxiliary_heads_add_their_parameters_and_take_the_4x4_grid_of_the_paper() -> None:
    with on_meta():
        network = architectures.create("googlenet", aux_heads=True)
        assert sum(p.numel() for p in network.parameters()) == 13_378_280  # the released Caffe model, with its heads
        assert network.aux_weight == 0.3
        inputs: list[torch.Size] = []
        for head in (network.aux1, network.aux2):
            head.conv.register_forward_hook(lambda _m, i, _o: inputs.append(i[0].shape))
        outputs = network(torch.empty(2, 3, 224, 224))
    assert isinstance(outputs, Outputs)
    assert [output.shape for output in outputs] == [(2, 1000)] * 3
    assert inputs == [(2, 512, 4, 4), (2, 528, 4, 4)]


@pytest.mark.parametrize("name", ["googlenet", "googlenet_bn"])
def test_auxiliary_heads_speak_in_training_only(name: str) -> None:
    torch.manual_seed(0)
    network = architectures.create(name, num_classes=3, image_size=31, aux_heads=True)
    x = torch.randn(2, 3, 31, 31)
    outputs = network(x)
    assert isinstance(outputs, Outputs)
    (outputs.aux1.sum() + outputs.aux2.sum()).backward()
    assert network.aux1.fc2.weight.grad is not None
    assert isinstance(network.eval()(x), torch.Tensor)
