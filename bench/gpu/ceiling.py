"""What a GPU can do: a plain PyTorch forward of Qwen3-Embedding-4B's exact shape against the matrix rate of one run.

    python3 bench/gpu/ceiling.py [--json FILE]

The weights are random, because the time per token does not depend on them. Requires PyTorch 2.10 or later with CUDA,
and transformers to check the result. Takes about seven minutes and 40 GB of GPU memory.

Every figure is the median of repeated passes, measured with the device's events, with the quartiles.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn

LAYERS, HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, HEAD, VOCABULARY = 36, 2560, 9728, 32, 8, 128, 151_665
EPSILON, THETA, LONGEST = 1e-6, 1e6, 32768
QKV = (HEADS + 2 * KV_HEADS) * HEAD
TYPE = torch.bfloat16


def flops(lengths: list[int]) -> float:
    """FLOP of the matrix products and of causal attention, for texts of these lengths."""
    weights = LAYERS * (HIDDEN * QKV + HEADS * HEAD * HIDDEN + 3 * HIDDEN * INTERMEDIATE)
    attention = sum(4 * LAYERS * HEADS * HEAD * n * (n + 1) / 2 for n in lengths)
    return 2 * weights * sum(lengths) + attention


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = (nn.Parameter(torch.ones(HIDDEN)) for _ in range(2))
        self.q_norm, self.k_norm = (nn.Parameter(torch.ones(HEAD)) for _ in range(2))
        self.qkv = nn.Linear(HIDDEN, QKV, bias=False)
        self.out = nn.Linear(HEADS * HEAD, HIDDEN, bias=False)
        self.gate_up = nn.Linear(HIDDEN, 2 * INTERMEDIATE, bias=False)
        self.down = nn.Linear(INTERMEDIATE, HIDDEN, bias=False)

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.qkv(norm(x, self.before)).view(-1, HEADS + 2 * KV_HEADS, HEAD).split([HEADS, KV_HEADS, KV_HEADS], 1)
        q, k = rotate(norm(q, self.q_norm), cos, sin), rotate(norm(k, self.k_norm), cos, sin)
        share = HEADS // KV_HEADS
        return q.contiguous(), k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.out(attended.reshape(-1, HEADS * HEAD))
        gate, up = self.gate_up(norm(x, self.after)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Model(nn.Module):
    """Packs texts one after the other into rows of tokens, without padding. Returns each text's last token."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.last = nn.Parameter(torch.ones(HIDDEN))

    def forward(self, ids: Tensor, cos: Tensor, sin: Tensor, bounds: Tensor, longest: int) -> Tensor:
        """ids [tokens]; cos, sin [tokens, head]; bounds: the start of each text, and the end of the last one."""
        x = self.embed(ids)
        for layer in self.layers:
            q, k, v = layer.project(x, cos, sin)
            x = layer.finish(x, varlen_attn(q, k, v, bounds, bounds, longest, longest, window_size=(-1, 0)))
        return F.normalize(norm(x[bounds[1:] - 1], self.last).float(), dim=-1)


def norm(x: Tensor, weight: Tensor) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), weight, EPSILON)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [tokens, heads, head]."""
    first, second = x.chunk(2, -1)
    return x * cos[:, None] + torch.cat((-second, first), -1) * sin[:, None]


@dataclass
class Batch:
    lengths: list[int]
    ids: Tensor
    cos: Tensor
    sin: Tensor
    bounds: Tensor

    @property
    def arguments(self) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
        return self.ids, self.cos, self.sin, self.bounds, max(self.lengths)


def batch(lengths: list[int]) -> Batch:
    positions = torch.cat([torch.arange(n) for n in lengths]).cuda()
    angles = positions[:, None] / THETA ** (torch.arange(0, HEAD, 2, device="cuda") / HEAD)
    angles = torch.cat((angles, angles), -1)
    bounds = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()], dtype=torch.int32, device="cuda")
    ids = torch.randint(0, VOCABULARY, (sum(lengths),), device="cuda")
    return Batch(lengths, ids, angles.cos().to(TYPE), angles.sin().to(TYPE), bounds)


def measure(work: Callable[[], Any], seconds: float = 1.5) -> tuple[float, float, float]:
    """Median, first and third quartile of the milliseconds of one call, by events on the device."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    times: list[float] = []
    begin = time.monotonic()
    while time.monotonic() - begin < seconds or len(times) < 7:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    first, middle, third = statistics.quantiles(times, n=4)
    return middle, first, third


def matrix_rate(m: int, k: int, n: int) -> float:
    """TFLOP/s of one bf16 product on random data, alternating between several inputs so that no cache contains them."""
    sets = [(torch.randn(m, k, device="cuda", dtype=TYPE), torch.randn(n, k, device="cuda", dtype=TYPE)) for _ in range(3)]
    turn = iter(range(10**9))

    def work() -> Tensor:
        a, b = sets[next(turn) % len(sets)]
        return a @ b.T

    return 2 * m * k * n / measure(work, 0.7)[0] / 1e9


def copy_rate() -> float:
    """GB/s, bytes read and bytes written."""
    source = torch.empty(1 << 30, device="cuda", dtype=torch.uint8).random_()
    target = torch.empty_like(source)
    return 2 * source.numel() / measure(lambda: target.copy_(source), 0.5)[0] / 1e6


def own_rate(tokens: int) -> float:
    """TFLOP/s of the model's own four products with this many tokens, weighted by their work."""
    shapes = [(HIDDEN, QKV), (HEADS * HEAD, HIDDEN), (HIDDEN, 2 * INTERMEDIATE), (INTERMEDIATE, HIDDEN)]
    work = [2 * tokens * k * n for k, n in shapes]
    return sum(work) / sum(w / matrix_rate(tokens, k, n) for w, (k, n) in zip(work, shapes))


def check(model: Model) -> dict[str, float]:
    """
    ‖x − exact‖ / ‖exact‖ of this model's vectors and of transformers' own in bfloat16. Exact is transformers in float32
    with the same weights; texts have different lengths. The figures are similar if this model computes what Qwen3 does.
    """
    lengths = [7, 300, 33, 512]
    packed = batch(lengths)
    texts = packed.ids.split(lengths)
    exact = last_tokens(reference(model, torch.float32), texts)
    torch.cuda.empty_cache()
    theirs = last_tokens(reference(model, TYPE), texts)
    return {
        "this": float((model(*packed.arguments) - exact).norm() / exact.norm()),
        "transformers in bfloat16": float((theirs - exact).norm() / exact.norm()),
    }


def reference(model: Model, dtype: torch.dtype) -> nn.Module:
    """transformers' model with the same weights."""
    from transformers import Qwen3Config, Qwen3Model

    config = Qwen3Config(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=INTERMEDIATE, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, head_dim=HEAD, rms_norm_eps=EPSILON,
        max_position_embeddings=LONGEST, rope_parameters={"rope_type": "default", "rope_theta": THETA},
        use_sliding_window=False,
    )  # fmt: skip
    with torch.device("cuda"):
        copy = Qwen3Model(config).to(dtype).eval()
    copy.embed_tokens.weight.copy_(model.embed.weight)
    for theirs, ours in zip(copy.layers, model.layers):
        q, k, v = ours.qkv.weight.split([HEADS * HEAD, KV_HEADS * HEAD, KV_HEADS * HEAD])
        gate, up = ours.gate_up.weight.chunk(2)
        attention, mlp = theirs.self_attn, theirs.mlp
        targets = [attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj, mlp.gate_proj, mlp.up_proj, mlp.down_proj]
        for target, weight in zip(targets, [q, k, v, ours.out.weight, gate, up, ours.down.weight]):
            target.weight.copy_(weight)
    return copy


def last_tokens(model: nn.Module, texts: Iterable[Tensor]) -> Tensor:
    """Unit vectors of each text's last token, one text at a time."""
    rows = [model(ids[None], use_cache=False).last_hidden_state[0, -1].float() for ids in texts]
    return F.normalize(torch.stack(rows), dim=-1)


def padded(lengths: list[int]) -> list[int]:
    return [max(lengths)] * len(lengths)


def passes(lengths: list[int], most: int) -> list[list[int]]:
    """Texts in order, in passes of at most `most` tokens."""
    parts: list[list[int]] = [[]]
    for length in lengths:
        if parts[-1] and sum(parts[-1]) + length > most:
            parts.append([])
        parts[-1].append(length)
    return parts


def rate(model: Callable[..., Tensor], lengths: list[int], most: int, useful: int | None = None) -> dict[str, float]:
    """A batch in passes of at most `most` tokens. `useful`: the tokens without padding."""
    batches = [batch(part) for part in passes(lengths, most)]

    def work() -> None:
        for each in batches:
            model(*each.arguments)

    middle, first, third = measure(work)
    tokens = useful or sum(lengths)
    result = {"ms": middle, "tokens/s": tokens / middle * 1e3, "TFLOP/s": flops(lengths) / middle / 1e9}
    return result | {"low": tokens / third * 1e3, "high": tokens / first * 1e3}


def graphed(model: Callable[..., Tensor], lengths: list[int]) -> Callable[[], None]:
    """One pass as a CUDA graph."""
    each = batch(lengths)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            model(*each.arguments)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        model(*each.arguments)
    return graph.replay


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json")
    parser.add_argument("--check", action="store_true", help="check the result and measure nothing")
    options = parser.parse_args()
    torch.manual_seed(0)
    report: dict[str, Any] = {"card": torch.cuda.get_device_name(), "torch": torch.__version__}
    with torch.device("cuda"):
        model = Model().to(TYPE)
    for name, weight in model.named_parameters():
        if weight.dim() == 2:
            weight.normal_(0, 0.02)
    report["difference from float32"] = check(model)
    torch.cuda.empty_cache()
    print(json.dumps(report), flush=True)
    if options.check:
        return

    report["copy GB/s"] = copy_rate()
    report["matrix TFLOP/s at 8192"] = peak = matrix_rate(8192, 8192, 8192)
    report["own products TFLOP/s"] = {tokens: own_rate(tokens) for tokens in (512, 2048, 8192, 32768)}
    print(json.dumps(report), flush=True)

    rows: dict[str, dict[str, float]] = {}

    def record(name: str, result: dict[str, float]) -> None:
        rows[name] = result | {"share": result["TFLOP/s"] / peak}
        print(f"{name:44} {json.dumps({key: round(value, 3) for key, value in rows[name].items()})}", flush=True)

    compiled = torch.compile(model, dynamic=True)
    uniform = [512] * 128
    for most in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
        record(f"128 × 512, passes of {most}, eager", rate(model, uniform, most))
    for most in (4096, 8192, 16384):
        record(f"128 × 512, passes of {most}, compiled", rate(compiled, uniform, most))
    for length, count in ((32, 1024), (2048, 32), (8192, 8)):
        record(f"{count} × {length}, passes of 8192, compiled", rate(compiled, [length] * count, 8192))
    mixed = [int(n) for n in torch.distributions.LogNormal(5.5, 0.9).sample((128,)).clamp(16, 2048)]
    record("128 of mixed lengths, packed, passes of 8192", rate(compiled, mixed, 8192))
    whole = rate(compiled, padded(mixed), 65536, sum(mixed))
    record("the same, padded to the longest", whole)
    for length in (32, 512):
        one = [length]
        milliseconds = {"eager": measure(lambda: model(*arguments))[0] for arguments in [batch(one).arguments]}
        milliseconds["graph"] = measure(graphed(model, one))[0]
        report[f"1 × {length}, ms"] = milliseconds
        print(f"1 × {length}, ms", milliseconds, flush=True)
    report["rows"] = rows
    report["mixed lengths"] = {"mean": statistics.mean(mixed), "longest": max(mixed)}
    if options.json:
        with open(options.json, "w") as target:
            json.dump(report, target, indent=2)


if __name__ == "__main__":
    main()
