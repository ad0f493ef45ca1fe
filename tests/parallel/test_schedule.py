"""The schedule alone: whatever the order in which ranks ask and answer, every item is done once."""

from __future__ import annotations

import random
from collections import Counter, deque

import pytest

from landscape.parallel import Schedule

ROUNDS = 300


class Play:
    """A schedule, and what its ranks hold; every step is one a rank might take."""

    def __init__(self, n_items: int, n_ranks: int, seconds: float = 0.0) -> None:
        self.schedule, self.n_ranks = Schedule(n_items, n_ranks, seconds), n_ranks
        self.held: list[deque[list[int]]] = [deque() for _ in range(n_ranks)]
        self.done: list[int] = []
        self.n_hand_outs = 0

    def ask(self, rank: int, ahead: bool = True) -> bool:
        items = self.schedule.hand_out(rank, ahead)
        if items:
            self.held[rank].append(items)
            self.n_hand_outs += 1
        return bool(items)

    def answer(self, rank: int, seconds: float, keep: int | None = None) -> None:
        """The oldest hand-out comes back; of one that was given up, so many items were done."""
        items = self.held[rank].popleft()
        undone = None if keep is None else items[keep:]
        done = self.schedule.hand_in(rank, seconds, undone)
        assert done == items[: len(items) if keep is None else keep]
        self.done += done

    def finish(self, alive: list[int], seconds: float = 0.0) -> None:
        """Some ranks do all that is left."""
        while not self.schedule.finished:
            moved = False
            for rank in alive:
                moved |= self.ask(rank)
                if self.held[rank]:
                    self.answer(rank, seconds)
                    moved = True
            assert moved, "items are left and nobody is given them"


@pytest.mark.parametrize("seed", range(3))
def test_every_item_is_done_once_in_whatever_order_ranks_ask(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        n_items, n_ranks = chance.randrange(60), chance.randrange(1, 9)
        play = Play(n_items, n_ranks, chance.choice([0.0, 1e-5, 0.01, 10.0]))
        for _ in range(chance.randrange(150)):
            rank = chance.randrange(n_ranks)
            if play.held[rank] and chance.random() < 0.5:
                play.answer(rank, chance.choice([0.0, 1e-4, 0.5]))
            else:
                play.ask(rank, ahead=chance.random() < 0.7)
            assert all(len(held) <= 2 for held in play.held)
            assert all(play.schedule.holds(rank) == bool(held) for rank, held in enumerate(play.held))
            in_hands = sum(len(items) for held in play.held for items in held)
            assert play.schedule.n_left + in_hands + len(play.done) == n_items
        play.finish(list(range(n_ranks)))
        assert sorted(play.done) == list(range(n_items))


@pytest.mark.parametrize("seed", range(3))
def test_what_a_rank_gives_back_is_handed_out_again_and_to_others(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        n_items, n_ranks = chance.randrange(1, 60), chance.randrange(2, 9)
        play = Play(n_items, n_ranks, chance.choice([0.0, 1e-4]))
        out_of_time = set(chance.sample(range(n_ranks), chance.randrange(1, n_ranks + 1)))
        for _ in range(chance.randrange(80)):
            rank = chance.randrange(n_ranks)
            if play.held[rank]:
                give_up = rank in out_of_time and chance.random() < 0.3
                play.answer(rank, 1e-4, chance.randrange(len(play.held[rank][0])) if give_up else None)
                while give_up and play.held[rank]:
                    play.answer(rank, 0.0, 0)
                if give_up:
                    assert not play.ask(rank)  # it has no time
            else:
                play.ask(rank)
        for rank in out_of_time:
            if not play.held[rank]:
                continue
            play.answer(rank, 0.0, 0)
            while play.held[rank]:
                play.answer(rank, 0.0, 0)
        play.finish(sorted(set(range(n_ranks)) - out_of_time) or sorted(out_of_time))
        assert Counter(play.done) <= Counter(range(n_items))  # none twice
        if len(out_of_time) < n_ranks:
            assert sorted(play.done) == list(range(n_items))


def test_it_is_over_when_nobody_has_time() -> None:
    play = Play(10, 2)
    for rank in (0, 1):
        play.ask(rank)
        assert not play.schedule.finished
        play.answer(rank, 0.0, 0)
    assert play.schedule.finished
    assert play.schedule.n_left == 10
    assert not play.ask(0)


def test_there_may_be_nothing_to_do_or_more_ranks_than_items() -> None:
    assert Schedule(0, 3).finished
    play = Play(2, 5)
    assert [play.ask(rank) for rank in range(5)] == [True, True, False, False, False]
    assert not play.schedule.finished
    play.answer(1, 1.0)
    play.answer(0, 1.0)
    assert play.schedule.finished


def test_items_go_out_in_their_order() -> None:
    play = Play(50, 1, 1e-3)
    play.finish([0], 1e-3)
    assert play.done == list(range(50))


def test_a_hand_out_waits_behind_another_only_while_plenty_is_left() -> None:
    """Two hand-outs a rank must be left behind it (_TAIL), and none so long that rank 0's answer, 20 ms, is under a hundredth."""
    play = Play(100, 2, 0.1)
    assert play.ask(0)
    assert play.ask(0)
    assert not play.ask(0)  # never a third
    few = Play(6, 2, 0.1)
    assert few.ask(0)  # five are left
    assert few.ask(0)  # four are left, two a rank
    assert few.ask(1)  # three are left
    assert not few.ask(1)
    slow = Play(100, 2, 3.0)
    assert slow.ask(0)
    assert not slow.ask(0)
    assert Play(100, 2, 0.1).ask(0, ahead=False)
    asked = Play(100, 2, 0.1)
    asked.ask(0)
    assert not asked.ask(0, ahead=False)


def test_short_items_go_out_together_and_fewer_towards_the_end() -> None:
    assert Schedule(1000, 2, 1.0).size() == 1
    assert Schedule(1000, 2).size() == 1  # nobody knows how long one takes
    assert Schedule(1_000_000, 2, 1e-3).size() == 20  # a hand-out lasts 20 ms at least
    assert Schedule(1_000_000, 2000, 1e-2).size() == 100  # many ranks: 2000 hand-outs of 0.1 ms are a fifth of a second: 1 s each
    assert Schedule(80, 2, 1e-3).size() == 10  # no more than a quarter of a rank's share
    assert Schedule(3, 2, 1e-3).size() == 1
    measured = Play(10_000, 2, 1.0)
    measured.ask(0)
    measured.answer(0, 1e-3)
    assert measured.schedule.size() == 20  # what was measured counts, not what was expected


def test_the_number_of_messages_is_kept_low() -> None:
    """10,000 items of 1 ms on 4 ranks: hand-outs of 20 items, and at the end, where a quarter of a rank's share is less, of
    n_left / 16: that halves what is left in 11 hand-outs, 20 × 16 = 320 items in some 8 halvings, 92 hand-outs, and 16 singles."""
    play = Play(10_000, 4, 1e-3)
    while not play.schedule.finished:
        for rank in range(4):
            play.ask(rank)
            if play.held[rank]:
                play.answer(rank, 1e-3 * len(play.held[rank][0]))
    assert 500 <= play.n_hand_outs <= 10_000 / 20 + 110
