"""Mixing rows of scores and drawing a token in PyTorch on the CPU, as generation code does; medians."""

import json
import statistics
import sys
import time

try:
    import torch
except ImportError:
    print(json.dumps({"skipped": "PyTorch is not installed in this Python"}))
    sys.exit()

TOP_P = 0.9


def mix(rows, weights, out):
    base, *rest = rows
    torch.add(base, rest[0], alpha=weights[0], out=out)
    for row, weight in zip(rest[1:], weights[1:]):
        out.add_(row, alpha=weight)


def draw(scores):
    return torch.multinomial(torch.softmax(scores, -1), 1).item()


def draw_top_p(scores):
    ranked, order = torch.sort(scores, descending=True)
    probabilities = torch.softmax(ranked, -1)
    before = torch.cumsum(probabilities, -1) - probabilities
    probabilities[before >= TOP_P] = 0
    return order[torch.multinomial(probabilities, 1)].item()


def median_us(work, seconds):
    for _ in range(5):
        work()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times)


@torch.inference_mode()
def measure(task):
    torch.manual_seed(1)
    figures = {}
    for vocab, rewards in task["cases"]:
        rows = [2.5 * torch.randn(vocab) for _ in range(rewards + 1)]
        weights = [(0.5 + 0.5 * i / max(1, rewards - 1)) / rewards for i in range(rewards)]
        out = torch.empty(vocab)

        def mixing():
            mix(rows, weights, out)

        def drawing():
            mixing()
            draw(out)

        def truncating():
            mixing()
            draw_top_p(out)

        figures[f"{vocab} {rewards}"] = {
            "mix": median_us(mixing, task["seconds"]),
            "draw": median_us(drawing, task["seconds"]),
            "topP": median_us(truncating, task["seconds"]),
        }
    return figures


def main(task):
    """One thread and all of them; of each kind of work the faster."""
    runs = []
    for threads in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        runs.append(measure(task))
    best = {
        case: {kind: min(run[case][kind] for run in runs) for kind in kinds}
        for case, kinds in runs[0].items()
    }
    print(json.dumps({"peer": f"PyTorch {torch.__version__}", "us": best}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
