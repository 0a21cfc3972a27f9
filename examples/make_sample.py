#!/usr/bin/env python3
"""Writes pytorch_model.bin next to this script: a very small model with the layout of GPT-2, saved by torch.

usage: make_sample.py   (requires torch; the result is committed)
"""
import pathlib

import torch

VOCABULARY, POSITIONS, WIDTH = 24, 8, 8


def state_dict():
    torch.manual_seed(2)
    tensors = {
        "transformer.wte.weight": torch.randn(VOCABULARY, WIDTH),
        "transformer.wpe.weight": torch.randn(POSITIONS, WIDTH),
    }
    block = {
        "ln_1.weight": torch.ones(WIDTH),
        "ln_1.bias": torch.zeros(WIDTH),
        "attn.c_attn.weight": torch.randn(3 * WIDTH, WIDTH).t(),  # transposed: not contiguous in the file
        "attn.c_attn.bias": torch.zeros(3 * WIDTH),
        "attn.c_proj.weight": torch.randn(WIDTH, WIDTH),
        "mlp.c_fc.weight": torch.randn(WIDTH, 2 * WIDTH).to(torch.bfloat16),
        "mlp.c_proj.weight": torch.randn(2 * WIDTH, WIDTH),
    }
    tensors |= {f"transformer.h.0.{name}": tensor for name, tensor in block.items()}
    tensors["lm_head.weight"] = tensors["transformer.wte.weight"]  # tied: one storage under two names
    return tensors


if __name__ == "__main__":
    torch.save(state_dict(), pathlib.Path(__file__).with_name("pytorch_model.bin"))
