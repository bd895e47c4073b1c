"""PyTorch's side of the training bench, on the CPU: `python torch_training.py '{"threads": 2, ...}'`.

The argument is a `TrainingTask` (`_training_step.ts`, which says what the step is); the last line is
its `TrainingFigures` as JSON, or `{"skipped": "why"}`. Eager mode with what PyTorch has fused: scaled
dot-product attention, RMSNorm, cross-entropy and AdamW; q, k, v and gate, up are one matrix each.
"""

import json
import resource
import statistics
import sys
import time

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(json.dumps({"skipped": f"{sys.executable} cannot import torch and numpy: {error}"}))
    sys.exit(0)

LEARNING_RATE, BETAS, EPSILON, DECAY, MAX_NORM = 1e-3, (0.9, 0.95), 1e-8, 0.1, 1.0


def drawn(seed, start, count):
    """Numbers of mulberry32's stream, as uint32."""
    at = np.arange(start + 1, start + count + 1, dtype=np.uint32)
    state = np.uint32(seed) + at * np.uint32(0x6D2B79F5)
    t = (state ^ state >> 15) * (state | 1)
    t ^= t + (t ^ t >> 7) * (t | 61)
    return t ^ t >> 14


def shapes_of(task):
    hidden, inner = task["hidden"], task["inner"]
    yield "model.embed_tokens.weight", (task["vocabulary"], hidden)
    for layer in range(task["layers"]):
        for name, *shape in (
            ("input_layernorm", hidden),
            *((f"self_attn.{part}_proj", hidden, hidden) for part in "qkvo"),
            ("post_attention_layernorm", hidden),
            ("mlp.gate_proj", inner, hidden),
            ("mlp.up_proj", inner, hidden),
            ("mlp.down_proj", hidden, inner),
        ):
            yield f"model.layers.{layer}.{name}.weight", tuple(shape)
    yield "model.norm.weight", (hidden,)


def first_weights(task):
    """The weights by their Hugging Face name."""
    limit, at, weights = task["deviation"] * 3**0.5, 0, {}
    for name, shape in shapes_of(task):
        if len(shape) == 1:
            weights[name] = torch.ones(shape)
            continue
        size = shape[0] * shape[1]
        values = limit * (drawn(1, at, size) / 2**31 - 1)
        weights[name] = torch.from_numpy(values.astype(np.float32).reshape(shape))
        at += size
    return weights


def tokens_of(task, step):
    """[batch, length + 1]"""
    size = task["batch"] * (task["length"] + 1)
    ids = np.floor(drawn(2, step * size, size) / 2**32 * task["vocabulary"])
    return torch.from_numpy(ids.astype(np.int64).reshape(task["batch"], -1))


class Llama(torch.nn.Module):
    def __init__(self, task):
        super().__init__()
        weights = first_weights(task)
        self.heads, self.size = task["heads"], task["hidden"] // task["heads"]
        self.embedding = torch.nn.Parameter(weights["model.embed_tokens.weight"])
        self.norm = torch.nn.Parameter(weights["model.norm.weight"])
        self.layers = torch.nn.ModuleList()
        for layer in range(task["layers"]):

            def joined(*names):
                parts = [weights[f"model.layers.{layer}.{name}.weight"] for name in names]
                return torch.nn.Parameter(torch.cat(parts))

            self.layers.append(
                torch.nn.ParameterDict(
                    dict(
                        norm1=joined("input_layernorm"),
                        qkv=joined(*(f"self_attn.{part}_proj" for part in "qkv")),
                        out=joined("self_attn.o_proj"),
                        norm2=joined("post_attention_layernorm"),
                        gate_up=joined("mlp.gate_proj", "mlp.up_proj"),
                        down=joined("mlp.down_proj"),
                    )
                )
            )
        frequencies = 10000.0 ** -(torch.arange(0, self.size, 2).double() / self.size)
        angles = torch.outer(torch.arange(task["length"]).double(), frequencies)
        self.cos, self.sin = angles.cos().float(), angles.sin().float()

    def rotated(self, x):
        a, b = x.chunk(2, -1)
        return torch.cat([a * self.cos - b * self.sin, b * self.cos + a * self.sin], -1)

    def forward(self, ids):
        rows, length = ids.shape
        x = F.embedding(ids, self.embedding)
        for p in self.layers:
            h = F.rms_norm(x, x.shape[-1:], p["norm1"], 1e-5)
            qkv = F.linear(h, p["qkv"]).view(rows, length, 3, self.heads, self.size)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            o = F.scaled_dot_product_attention(self.rotated(q), self.rotated(k), v, is_causal=True)
            x = x + F.linear(o.transpose(1, 2).reshape(rows, length, -1), p["out"])
            h = F.rms_norm(x, x.shape[-1:], p["norm2"], 1e-5)
            gate, up = F.linear(h, p["gate_up"]).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, p["down"])
        return F.linear(F.rms_norm(x, x.shape[-1:], self.norm, 1e-5), self.embedding)


def loss_of(model, tokens):
    logits = model(tokens[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def flop_per_token(task):
    hidden, layers, length = task["hidden"], task["layers"], task["length"]
    weights = layers * (4 * hidden**2 + 3 * hidden * task["inner"]) + task["vocabulary"] * hidden
    return 3 * (2 * weights + layers * 4 * length * hidden)


def peak_rss_mb():
    """The highest since this program began; on Linux ru_maxrss also counts the one that started it."""
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def main(task):
    torch.set_num_threads(task["threads"])
    model = Llama(task)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [
            dict(params=[p for p in parameters if p.ndim > 1], weight_decay=DECAY),
            dict(params=[p for p in parameters if p.ndim == 1], weight_decay=0.0),
        ],
        lr=LEARNING_RATE,
        betas=BETAS,
        eps=EPSILON,
        fused=True,
    )
    ms, losses = [], []
    for step in range(task["warmUp"] + task["steps"]):
        tokens = tokens_of(task, step)
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model, tokens)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, MAX_NORM)
        optimizer.step()
        losses.append(loss.item())
        ms.append(1e3 * (time.perf_counter() - start))
    ms = ms[task["warmUp"] :]
    median = statistics.median(ms)
    tokens_per_second = task["batch"] * task["length"] / median * 1e3
    figures = dict(
        peer=f"PyTorch {torch.__version__}",
        about=f"CPU, eager, {torch.get_num_threads()} threads",
        ms=ms,
        msPerStep=median,
        tokensPerSecond=tokens_per_second,
        flopPerSecond=tokens_per_second * flop_per_token(task),
        peakRssMB=peak_rss_mb(),
        losses=losses,
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
