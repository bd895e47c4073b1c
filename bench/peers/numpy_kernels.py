"""Mixing rows of scores and drawing a token in NumPy, as its users write it; prints medians as JSON."""

import json
import sys
import time

try:
    import numpy as np
except ImportError:
    print(json.dumps({"skipped": "NumPy is not installed in this Python"}))
    sys.exit()

TOP_P = 0.9


def rows_of(vocab, rewards):
    rng = np.random.default_rng(1)
    return [(2.5 * rng.standard_normal(vocab)).astype(np.float32) for _ in range(rewards + 1)]


def mix(rows, weights, out, scratch):
    base, *rest = rows
    np.copyto(out, base)
    for row, weight in zip(rest, weights):
        np.multiply(row, weight, out=scratch)
        np.add(out, scratch, out=out)


def draw(scores, rng):
    weights = np.exp(scores - scores.max())
    cumulative = np.cumsum(weights)
    return np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")


def draw_top_p(scores, rng):
    """Sorts values only, which NumPy does with vectors; ranking ids takes it several times as long."""
    weights = np.exp(scores - scores.max())
    ranked = np.sort(weights)[::-1]
    cumulative = np.cumsum(ranked)
    least = ranked[np.searchsorted(cumulative, TOP_P * cumulative[-1])]
    cumulative = np.cumsum(np.where(weights >= least, weights, 0))
    return np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")


def median_us(work, seconds):
    for _ in range(5):
        work()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e6 * float(np.median(times))


def main(task):
    rng = np.random.default_rng(2)
    figures = {}
    for vocab, rewards in task["cases"]:
        rows = rows_of(vocab, rewards)
        weights = np.linspace(0.5, 1.0, rewards, dtype=np.float32) / rewards
        out, scratch = np.empty(vocab, np.float32), np.empty(vocab, np.float32)

        def mixing():
            mix(rows, weights, out, scratch)

        def drawing():
            mixing()
            draw(out, rng)

        def truncating():
            mixing()
            draw_top_p(out, rng)

        figures[f"{vocab} {rewards}"] = {
            "mix": median_us(mixing, task["seconds"]),
            "draw": median_us(drawing, task["seconds"]),
            "topP": median_us(truncating, task["seconds"]),
        }
    print(json.dumps({"peer": f"NumPy {np.__version__}", "us": figures}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
