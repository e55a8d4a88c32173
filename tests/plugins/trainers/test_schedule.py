import pytest

from pizzeria_plugins.trainers.schedule import ema_decay, pace, warmup_steps


def test_one_cycle_climbs_and_falls_with_momentum_against_it() -> None:
    paces = [pace("one_cycle", step, 100, 30) for step in range(100)]
    rates = [found.rate for found in paces]
    assert rates[0] == pytest.approx(1 / 25)
    assert rates.index(max(rates)) == 30
    assert rates == sorted(rates[:31]) + sorted(rates[31:], reverse=True)
    assert rates[-1] < 0.01
    assert paces[30].momentum == pytest.approx(0.85)
    assert paces[0].momentum == pytest.approx(0.95)


def test_cosine_and_constant() -> None:
    cosine = [pace("cosine", step, 10, 2).rate for step in range(10)]
    assert cosine[:3] == [0.5, 1.0, 1.0]
    assert cosine[2:] == sorted(cosine[2:], reverse=True)
    assert [pace("constant", step, 10, 4).rate for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


@pytest.mark.parametrize(("shape", "steps"), [("one_cycle", 30), ("cosine", 10), ("constant", 0)])
def test_warmup_by_default(shape: str, steps: int) -> None:
    assert warmup_steps(shape, None, 10, 100) == steps
    assert warmup_steps(shape, 2.5, 10, 100) == 25
    assert warmup_steps(shape, 1000, 10, 100) == 100


def test_the_average_of_the_weights_forgets_with_the_length_of_the_training() -> None:
    assert ema_decay(None, 1000) is None
    assert ema_decay(0.7, 1000) == 0.7
    assert ema_decay("auto", 10) == 0.5
    assert ema_decay("auto", 1000) == pytest.approx(0.98)
    assert ema_decay("auto", 10**7) == pytest.approx(0.9999)
