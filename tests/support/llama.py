"""A genuine llama.cpp server as upstream, on a model of half a megabyte with random weights that is made on the spot.

Run as a program (``python -m tests.support.llama FOLDER``) it writes the model, serves it, and prints its address.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

WIDTH, INNER, LAYERS, HEADS, CONTEXT = 32, 64, 1, 2, 1024
TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant: "


def write_model(path: Path) -> None:
    """A llama-shaped network over single bytes that knows nothing."""
    import gguf  # noqa: PLC0415 - only the serving process needs it, and it is slow to load
    import numpy as np  # noqa: PLC0415 - as above

    random = np.random.default_rng(20)
    printable = [chr(code).encode() for code in range(33, 127)]
    byte_tokens = [f"<0x{code:02X}>".encode() for code in range(256)]
    tokens = [b"<unk>", b"<s>", b"</s>", *byte_tokens, "▁".encode(), *printable]
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * len(byte_tokens) + [gguf.TokenType.NORMAL] * (len(printable) + 1)
    scores = [0.0 if kind != gguf.TokenType.BYTE else -1000.0 for kind in kinds]

    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_file_type(0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(TEMPLATE)

    shapes = {"token_embd": (len(tokens), WIDTH), "output": (len(tokens), WIDTH), "output_norm": (WIDTH,)}
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            shapes[f"blk.{layer}.{name}"] = (WIDTH, WIDTH)
        shapes[f"blk.{layer}.ffn_gate"] = shapes[f"blk.{layer}.ffn_up"] = (INNER, WIDTH)
        shapes[f"blk.{layer}.ffn_down"] = (WIDTH, INNER)
        shapes[f"blk.{layer}.attn_norm"] = shapes[f"blk.{layer}.ffn_norm"] = (WIDTH,)
    for name, shape in shapes.items():
        values = np.ones(shape) if name.endswith("_norm") else random.standard_normal(shape) * 0.05
        writer.add_tensor(f"{name}.weight", values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve(folder: Path) -> None:
    """Write the model, serve it until standard input closes."""
    import xllamacpp  # noqa: PLC0415 - as above

    path = folder / "random.gguf"
    write_model(path)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx = CONTEXT
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.warmup = False
    parameters.use_jinja = True
    parameters.cpuparams.n_threads = 1
    server = xllamacpp.Server(parameters)
    sys.stdout.write(f"LISTENS {server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


@contextlib.contextmanager
def running_llama(folder: Path) -> Iterator[str]:
    """The address of a llama.cpp server in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.llama", str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        guard = threading.Timer(60, process.kill)  # a server that never says where it listens
        guard.start()
        try:
            line = next(line for line in process.stdout if line.startswith("LISTENS "))
            guard.cancel()
            yield line.split()[1].rstrip("/")
        finally:
            guard.cancel()
            process.kill()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
