"""PyTorch writes on the CPU: `python torch_decode.py '{"base": ..., "threads": 2, ...}'`.

The argument is a `DecodeTask` (`_decode_task.ts`), each line of standard input a `TextTask`, each
line of output a `TimedText`. Guided, it is GenARM as its authors run it: the formula
`base + 1.0 * arm` of model_arithmetic (https://github.com/eth-sri/language-model-arithmetic, commit
6779b40), one language model for each term, at the temperature T / (1 + 1.0). `settings.way` is

- `official`: every step that their code makes for a batch of one without speculation. The same: the
  ids so far padded by the tokenizer, the caches compared with them, sliced and stacked anew for each
  layer, log-softmax of each model, the formula normalised after each model, the sampler with its
  nucleus filter at top_p = 1, statistics of each token (on by default), the whole text decoded.
  Left out: prompts that differ between the terms, groups, retroactive operators, and one copy of the
  caches that their code gets from later versions of transformers;
- `formula`: the least that computes the same: caches that grow in place, log-softmax, sum, choice.

Without `arm` the base writes alone, by the same lean loop.
"""

import json
import sys
import time

try:
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TopPLogitsWarper
    from transformers.cache_utils import DynamicCache, DynamicLayer
except ImportError as error:
    print(json.dumps({"skipped": f"{sys.executable} cannot import torch and transformers: {error}"}))
    sys.exit(0)

ALPHA, TEMPERATURE, EPSILON = 1.0, 1.0, 1e-6


class Clock:
    def __init__(self):
        self.start, self.times, self.ids = time.perf_counter(), [], []

    def token(self, token):
        self.times.append(time.perf_counter())
        self.ids.append(token)

    def text(self):
        first, last = self.times[0], self.times[-1]
        each = (last - first) / max(1, len(self.ids) - 1)
        return dict(first=1e3 * (first - self.start), each=1e3 * each, ids=self.ids)


@torch.inference_mode()
def write_lean(models, prompt, tokens, sampled, clock):
    caches = [DynamicCache() for _ in models]
    ids = torch.tensor([prompt])
    for _ in range(tokens):
        scores = 0
        for model, cache, weight in zip(models, caches, [1.0, ALPHA]):
            logits = model(input_ids=ids, past_key_values=cache, use_cache=True).logits[0, -1]
            scores = scores + weight * torch.log_softmax(logits.float(), dim=-1)
        if sampled:
            token = torch.multinomial(torch.softmax(scores / TEMPERATURE, dim=-1), 1).item()
        else:
            token = torch.argmax(scores).item()
        clock.token(token)
        ids = torch.tensor([[token]])


class PromptedLLM:
    """A term of the formula, with its cache: runnable_operators.py."""

    def __init__(self, model, weight):
        self.model, self.weight, self.cache, self.previous_ids = model, weight, None, None

    def run(self, inputs, new_tokens):
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        lengths = torch.sum(mask, dim=-1)
        past = None
        if self.cache is not None:
            kept = common_start(ids[0, -lengths[0] :], self.previous_ids)
            self.cache = [[part[:, :kept] for part in layer] for layer in self.cache]
            past = grown([[torch.stack([part], dim=0) for part in layer] for layer in self.cache])
        with torch.no_grad():
            output = self.model(
                input_ids=ids[:, -new_tokens:] if past is not None else ids,
                attention_mask=mask,
                use_cache=True,
                past_key_values=past,
                return_dict=True,
            )
            logprobs = torch.log_softmax(output.logits[:, :, : self.model.config.vocab_size], dim=-1)
        length = lengths[0]
        self.cache = [
            [layer.keys[0][:, -length:], layer.values[0][:, -length:]]
            for layer in output.past_key_values.layers
        ]
        self.previous_ids = ids[0, -length:]
        return logprobs[0, -new_tokens:].to(torch.float32)[-1]


def common_start(a, b):
    length = min(a.size(0), b.size(0))
    equal = torch.eq(a[:length], b[:length])
    if not equal.any():
        return 0
    return length if equal.all() else torch.where(equal == 0)[0][0].item()


def grown(stacked):
    """The caches as the present version of transformers takes them, without another copy."""
    cache = DynamicCache()
    for keys, values in stacked:
        layer = DynamicLayer()
        layer.keys, layer.values, layer.is_initialized = keys, values, True
        layer.dtype, layer.device = keys.dtype, keys.device
        cache.layers.append(layer)
    return cache


def evaluated(terms, outputs):
    """`Sum.evaluate` with `normalize=True`: terms that have not been run count nothing."""
    total, norm = 0, 0
    for term, output in zip(terms, outputs):
        if output is not None:
            total = total + 1 * output * term.weight
            norm = norm + term.weight
    total = total / norm
    return total - torch.logsumexp(total, dim=-1, keepdim=True)


def choice_of(logprobs, temperature):
    """`create_sample_logprobs`, with top_k = 0 and top_p = 1."""
    if temperature == 0:
        best = torch.argmax(logprobs, dim=-1)
        return torch.nn.functional.one_hot(best, num_classes=logprobs.shape[-1]).float()
    logits = (logprobs / temperature).unsqueeze(0)
    logits = TopPLogitsWarper(top_p=1.0, min_tokens_to_keep=1)(None, logits)
    return torch.softmax(logits, dim=-1).squeeze()


def statistics(terms, outputs, logprobs, token, monitor):
    """`add_monitor_token_probs`."""
    for output in outputs:
        monitor.append(torch.softmax(output, dim=-1)[token].item())
        monitor.append(output[token].item())
        p, q = torch.softmax(logprobs, dim=-1), torch.softmax(output, dim=-1)
        monitor.append(torch.sum(p * torch.log((p + EPSILON) / (q + EPSILON))).item())
    p = torch.softmax(logprobs, dim=-1)
    monitor.append((-torch.sum(p * torch.log(p + EPSILON))).item())


def write_official(models, tokenizer, prompt, tokens, sampled, clock):
    terms = [PromptedLLM(model, weight) for model, weight in zip(models, [1.0, ALPHA])]
    temperature = TEMPERATURE / (1 + ALPHA) if sampled else 0
    continuation, monitor = [], []
    for _ in range(tokens):
        outputs = [None for _ in terms]
        for i, term in enumerate(terms):
            inputs = tokenizer.pad(
                {"input_ids": [prompt + continuation]}, padding=True, return_tensors="pt"
            )
            outputs[i] = term.run(inputs, 1)
            logprobs = evaluated(terms, outputs)
        probabilities = torch.stack([choice_of(logprobs, temperature)])
        continuation.append(torch.multinomial(probabilities, 1)[0].item())
        statistics(terms, outputs, logprobs, continuation[-1], monitor)
        tokenizer.decode([tokenizer.eos_token_id] + continuation)
        clock.token(continuation[-1])


def main(task):
    torch.set_num_threads(task["threads"])
    torch.manual_seed(1)
    transformers.logging.set_verbosity_error()
    way, dtype = task["settings"]["way"], task["settings"].get("dtype", "float32")
    folders = [task["base"]] + ([task["arm"]] if "arm" in task else [])
    models = [
        AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
        for folder in folders
    ]
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{task['base']}/tokenizer.json")
    tokenizer.pad_token = tokenizer.eos_token = tokenizer.convert_ids_to_tokens(0)
    tokenizer.padding_side = "left"
    about = f"PyTorch {torch.__version__}, transformers {transformers.__version__}, {dtype}"
    threads = torch.get_num_threads()
    about += f", {way}, {threads} thread{'s' if threads > 1 else ''}"
    print(json.dumps({"ready": about}), flush=True)
    for line in sys.stdin:
        text = json.loads(line)
        clock = Clock()
        rest = (text["prompt"], text["tokens"], text.get("sampled", False), clock)
        if way == "official":
            write_official(models, tokenizer, *rest)
        else:
            write_lean(models, *rest)
        print(json.dumps(clock.text()), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
