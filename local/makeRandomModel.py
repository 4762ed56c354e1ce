"""Writes a random model with Qwen3-Embedding's architecture and 2560 dimensions. The bytes are the same every time.

usage: makeRandomModel.py FOLDER [tiny|4B]

`tiny` has one small layer. `4B` has the exact shape of the published model, 8 GB, to measure a GPU: the time per token
does not depend on the weights' values, and all 36 layers are alike.

Its vectors are meaningless. What is real: the architecture, last-token pooling on an end-of-text token that the
tokenizer appends, the tokenizer's steps, the dimensions and the context length. Different texts get different vectors,
because what a token attends to has more weight than the token itself.
"""

import hashlib
import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

END = "<|endoftext|>"
HIDDEN, HEAD_SIZE, CONTEXT = 2560, 128, 40960
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The published tokenizer's expression for the parts of a text that it tokenizes one by one."""


@dataclass(frozen=True)
class Shape:
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    """Rows of the embedding matrix; the tokenizer has tokens for 257 of them."""


SHAPES = {"tiny": Shape(256, 1, 2, 1, 257), "4B": Shape(9728, 36, 32, 8, 151_665)}


def main(folder: Path, shape: Shape) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder, shape, end=write_tokenizer(folder))
    write_weights(folder, shape)
    names = sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS")
    sums = [f"{checksum(folder / name)}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))


def checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_tokenizer(folder: Path) -> int:
    """The published tokenizer's steps, with one token per byte of NFC. Returns the end-of-text token's ID."""
    tokens = {token: index for index, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    end = tokens[END] = len(tokens)
    tokenizer = Tokenizer(models.BPE(vocab=tokens, merges=[]))
    tokenizer.normalizer = normalizers.NFC()
    words = pre_tokenizers.Split(Regex(WORDS), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END])
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, end)])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": END,
        "model_max_length": CONTEXT,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
    return end


def write_config(folder: Path, shape: Shape, end: int) -> None:
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "hidden_size": HIDDEN,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": HEAD_SIZE,
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "bos_token_id": end,
        "eos_token_id": end,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "max_window_layers": shape.layers,
        "use_sliding_window": False,
        "sliding_window": None,
        "rope_scaling": None,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))


def write_weights(folder: Path, shape: Shape) -> None:
    generator = np.random.Generator(np.random.PCG64(2560))

    def random(rows: int, columns: int, scale: float) -> np.ndarray:
        return generator.standard_normal((rows, columns), dtype=np.float32) * np.float32(scale)

    def ones(size: int) -> np.ndarray:
        return np.ones(size, dtype=np.float32)

    weights = {"model.embed_tokens.weight": random(shape.vocabulary, HIDDEN, 0.02), "model.norm.weight": ones(HIDDEN)}
    layer = {
        "self_attn.q_proj.weight": random(shape.heads * HEAD_SIZE, HIDDEN, 0.02),
        "self_attn.k_proj.weight": random(shape.kv_heads * HEAD_SIZE, HIDDEN, 0.02),
        "self_attn.v_proj.weight": random(shape.kv_heads * HEAD_SIZE, HIDDEN, 0.05),
        "self_attn.o_proj.weight": random(HIDDEN, shape.heads * HEAD_SIZE, 0.05),
        "self_attn.q_norm.weight": ones(HEAD_SIZE),
        "self_attn.k_norm.weight": ones(HEAD_SIZE),
        "mlp.gate_proj.weight": random(shape.intermediate, HIDDEN, 0.02),
        "mlp.up_proj.weight": random(shape.intermediate, HIDDEN, 0.02),
        "mlp.down_proj.weight": random(HIDDEN, shape.intermediate, 0.02),
        "input_layernorm.weight": ones(HIDDEN),
        "post_attention_layernorm.weight": ones(HIDDEN),
    }
    for index in range(shape.layers):
        weights |= {f"model.layers.{index}.{name}": weight for name, weight in layer.items()}
    write_safetensors(folder / "model.safetensors", weights)


def write_safetensors(path: Path, weights: dict[str, np.ndarray]) -> None:
    """Writes the safetensors format: the header's length, the header, then the tensors."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, weight in weights.items():
        begin, end = end, end + 2 * weight.size
        header[name] = {"dtype": "BF16", "shape": list(weight.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(map(bfloat16, weights.values()))


def bfloat16(weight: np.ndarray) -> bytes:
    """The upper half of each float32, little-endian; numpy has no bfloat16."""
    return (weight.view(np.uint32) >> 16).astype("<u2").tobytes()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[2:] and sys.argv[2] not in SHAPES:
        sys.exit(f"usage: makeRandomModel.py FOLDER [{'|'.join(SHAPES)}]")
    main(Path(sys.argv[1]), SHAPES[sys.argv[2] if sys.argv[2:] else "tiny"])
