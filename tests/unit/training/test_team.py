"""Two real processes, each with half of every batch, train as one process with the whole."""

import multiprocessing
import os
import socket
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from danqing.training.optimiser import Optimiser
from danqing.training.team import Team

NUM_STEPS = 3
MUON_RATE = 0.02


def train(team: Team) -> dict[str, Tensor]:
    """Three steps of a network with matrices for Muon, one for each process and one more, and the rest for AdamW."""
    torch.manual_seed(0)
    layers = nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])
    network = nn.ModuleDict({"model": nn.ModuleDict({"layers": layers}), "head": nn.Linear(6, 2)})
    optimiser = Optimiser(
        dict(network.named_parameters()),
        muon_rate=MUON_RATE,
        adam_rate=1e-2,
        adam_betas=(0.9, 0.98),
        ema_decay=0.9,
        team=team,
    )
    for step_index in range(NUM_STEPS):
        x = torch.randn(8, 6, generator=torch.Generator().manual_seed(step_index))[team.rank :: team.size]
        for layer in layers:
            x = torch.tanh(layer(x))
        (network["head"](x) - 1).square().mean().backward()
        optimiser.step(rate_share=1.0, step_index=step_index)
    return {**network.state_dict(), **{f"ema {name}": value for name, value in optimiser.averaged().items()}}


def train_as_member(rank: int, port: int, folder: Path) -> None:
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    team = Team.from_environment()
    assert (team.rank, team.size, team.leads) == (rank, 2, rank == 0)
    torch.save(train(team), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_two_processes_with_half_a_batch_each_train_as_one_with_the_whole(tmp_path: Path) -> None:
    context, port = multiprocessing.get_context("spawn"), free_port()
    members = [context.Process(target=train_as_member, args=(rank, port, tmp_path), daemon=True) for rank in range(2)]
    for member in members:
        member.start()
    whole = train(Team())
    for member in members:
        member.join()
        assert member.exitcode == 0
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for name, value in whole.items():
        assert torch.equal(first[name], second[name]), name
        # Muon's iterations run in bfloat16, where a sum in another order may round the other way.
        torch.testing.assert_close(first[name], value, atol=MUON_RATE / 20, rtol=0)


def test_a_process_alone_is_its_own_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    team = Team.from_environment()
    assert team == Team(rank=0, size=1)
    assert team.leads
    tensor = torch.ones(2)
    team.add_up([tensor])
    assert tensor.tolist() == [1, 1]
