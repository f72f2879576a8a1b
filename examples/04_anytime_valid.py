"""Watch a loss without a peeking problem: the alarm holds its promise however often one looks."""

import numpy as np

from penstock.stats.sequential.detector import watch_loss


def main() -> None:
    chance = np.random.default_rng(0)
    detector = watch_loss(tolerated=0.15, run_length=10_000)  # at most one false alarm in 10,000 rows on average
    for day in range(60):
        error_rate = 0.10 if day < 30 else 0.22  # on day 30 the world changes
        losses = (chance.random(100) < error_rate).astype(float)
        detector = detector.update(losses)
        if detector.alarmed:
            print(f"alarm on day {day}; the world changed on day 30")
            return
    print("no alarm")


if __name__ == "__main__":
    main()
