"""Writes a tiny random model of Qwen3-Embedding's architecture and 2560 dimensions, the same bytes every time.

usage: makeTinyModel.py FOLDER

Its vectors mean nothing. What is real: the architecture, last-token pooling on an end-of-text token that the
tokenizer appends, the dimensions and the context. Texts that differ get vectors that differ, because what a token
attends to outweighs what it is.
"""

import hashlib
import json
import struct
import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

END = "<|endoftext|>"
HIDDEN, INTERMEDIATE, LAYERS, HEADS, KV_HEADS, HEAD_SIZE, CONTEXT = 2560, 256, 1, 2, 1, 128, 40960


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = write_tokenizer(folder)
    write_config(folder, vocabulary)
    write_weights(folder, vocabulary)
    names = sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS")
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))


def write_tokenizer(folder: Path) -> int:
    """One token a byte, and the end-of-text token appended as the published tokenizer does. Answers the vocabulary's size."""
    tokens = {token: index for index, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    end = tokens[END] = len(tokens)
    tokenizer = Tokenizer(models.BPE(vocab=tokens, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
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
    return len(tokens)


def write_config(folder: Path, vocabulary: int) -> None:
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_SIZE,
        "vocab_size": vocabulary,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "bos_token_id": vocabulary - 1,
        "eos_token_id": vocabulary - 1,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "max_window_layers": LAYERS,
        "use_sliding_window": False,
        "sliding_window": None,
        "rope_scaling": None,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))


def write_weights(folder: Path, vocabulary: int) -> None:
    generator = np.random.Generator(np.random.PCG64(2560))

    def random(rows: int, columns: int, scale: float) -> np.ndarray:
        return generator.standard_normal((rows, columns), dtype=np.float32) * np.float32(scale)

    def ones(size: int) -> np.ndarray:
        return np.ones(size, dtype=np.float32)

    weights = {"model.embed_tokens.weight": random(vocabulary, HIDDEN, 0.02), "model.norm.weight": ones(HIDDEN)}
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        weights |= {
            name + "self_attn.q_proj.weight": random(HEADS * HEAD_SIZE, HIDDEN, 0.02),
            name + "self_attn.k_proj.weight": random(KV_HEADS * HEAD_SIZE, HIDDEN, 0.02),
            name + "self_attn.v_proj.weight": random(KV_HEADS * HEAD_SIZE, HIDDEN, 0.05),
            name + "self_attn.o_proj.weight": random(HIDDEN, HEADS * HEAD_SIZE, 0.05),
            name + "self_attn.q_norm.weight": ones(HEAD_SIZE),
            name + "self_attn.k_norm.weight": ones(HEAD_SIZE),
            name + "mlp.gate_proj.weight": random(INTERMEDIATE, HIDDEN, 0.02),
            name + "mlp.up_proj.weight": random(INTERMEDIATE, HIDDEN, 0.02),
            name + "mlp.down_proj.weight": random(HIDDEN, INTERMEDIATE, 0.02),
            name + "input_layernorm.weight": ones(HIDDEN),
            name + "post_attention_layernorm.weight": ones(HIDDEN),
        }
    write_safetensors(folder / "model.safetensors", weights)


def write_safetensors(path: Path, weights: dict[str, np.ndarray]) -> None:
    """The format by hand: the header's length, the header, the tensors one after the other."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, weight in weights.items():
        begin, end = end, end + 2 * weight.size
        header[name] = {"dtype": "BF16", "shape": list(weight.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(map(bfloat16, weights.values())))


def bfloat16(weight: np.ndarray) -> bytes:
    """The upper half of each float32, little-endian; numpy has no bfloat16."""
    return (weight.view(np.uint32) >> 16).astype("<u2").tobytes()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
