"""What comparing weights and logits does not show of EfficientNets: the rates of dropout and stochastic depth."""

import pytest
from agreement import without_memory
from peers import PEERS, Peer

import architectures


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.name.startswith("efficientnet")], ids=str)
def test_efficientnets_have_torchvisions_rates(peer: Peer) -> None:
    with without_memory():
        theirs = peer.build(224)
        ours = architectures.create(peer.name)
    assert ours.classifier[0].p == theirs.classifier[0].p
    for stage, other in zip(ours.features[1:-1], theirs.features[1:-1], strict=True):
        assert [b.stochastic_depth.rate for b in stage] == pytest.approx([b.stochastic_depth.p for b in other])
