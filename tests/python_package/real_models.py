"""Saves and loads tiny models with transformers and diffusers, in three processes.

    python real_models.py FOLDER    saves to FOLDER/INSTALL/KIND, loads all of them, and writes FOLDER/INSTALL.json

INSTALL is the time of depickle.safetensors.install(): never, before (the import of the libraries) or after. A report
contains digests of the tensors and the output of each loaded model.
"""

import hashlib
import json
import multiprocessing
import os
import pathlib
import sys

import torch

INSTALL = ["never", "before", "after"]

BERT = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 37,
    "max_position_embeddings": 40,
}
GPT2 = {
    "vocab_size": 61,
    "n_positions": 32,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 2,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
T5 = {
    "vocab_size": 62,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": 2,
    "num_heads": 2,
    "decoder_start_token_id": 0,
}
UNET = {
    "sample_size": 8,
    "block_out_channels": (4, 8),
    "layers_per_block": 1,
    "norm_num_groups": 2,
    "attention_head_dim": 2,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}
VAE = {
    "latent_channels": 4,
    "block_out_channels": (4, 8),
    "norm_num_groups": 2,
    "layers_per_block": 1,
    "sample_size": 16,
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
}

# kind -> (library, class, configuration, dtype, options of save_pretrained)
KINDS = {
    "bert": ("transformers", "BertModel", BERT, torch.float32, {}),
    "bert-sharded": ("transformers", "BertModel", BERT, torch.float32, {"max_shard_size": "20KB"}),
    "bert-half": ("transformers", "BertModel", BERT, torch.float16, {}),
    "gpt2-tied": ("transformers", "GPT2LMHeadModel", GPT2, torch.float32, {}),
    "gpt2-tied-bf16-sharded": ("transformers", "GPT2LMHeadModel", GPT2, torch.bfloat16, {"max_shard_size": "20KB"}),
    "t5-tied": ("transformers", "T5ForConditionalGeneration", T5, torch.float32, {}),
    "unet": ("diffusers", "UNet2DModel", UNET, torch.float32, {}),
    "unet-half-sharded": ("diffusers", "UNet2DModel", UNET, torch.float16, {"max_shard_size": "8KB"}),
    "vae-bf16": ("diffusers", "AutoencoderKL", VAE, torch.bfloat16, {}),
}


def make(kind):
    library, name, settings, dtype, _ = KINDS[kind]
    torch.manual_seed(7)
    cls = getattr(__import__(library), name)
    return (cls(cls.config_class(**settings)) if library == "transformers" else cls(**settings)).to(dtype)


def digest(tensor):
    return hashlib.sha256(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()).hexdigest()


def at_aligned_memory(model):
    """Copies the tensors (tied ones once), because kernels round differently for tensors at unaligned addresses."""
    for tensor in {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}.values():
        tensor.data = tensor.data.clone()
    return model.eval()


def output_of(model):
    name = type(model).__name__
    tokens = torch.arange(1, 8).reshape(1, 7)
    with torch.no_grad():
        if name == "UNet2DModel":
            return model(torch.ones(1, 3, 8, 8, dtype=model.dtype), 3).sample
        if name == "AutoencoderKL":
            return model(torch.ones(1, 3, 16, 16, dtype=model.dtype)).sample
        if name == "T5ForConditionalGeneration":
            return model(tokens, decoder_input_ids=tokens).logits
        return model(tokens)[0]


def save(folder):
    for kind in KINDS:
        make(kind).save_pretrained(folder / kind, **KINDS[kind][4])


def load(folder, kind):
    library, name, _, dtype, _ = KINDS[kind]
    options = {"dtype" if library == "transformers" else "torch_dtype": dtype}
    model = getattr(__import__(library), name).from_pretrained(folder / kind, **options)
    state = model.state_dict()
    tensors = {key: [str(tensor.dtype), list(tensor.shape), digest(tensor)] for key, tensor in state.items()}
    tied = sorted(
        sorted(key for key, other in state.items() if other.data_ptr() == tensor.data_ptr())
        for tensor in state.values()
    )
    return {"tensors": tensors, "tied": tied, "output": digest(output_of(at_aligned_memory(model)))}


def save_and_load_with_huggingface_hub(folder):
    import huggingface_hub

    folder.mkdir()
    huggingface_hub.save_torch_state_dict({"a": torch.arange(4)}, folder)
    return huggingface_hub.load_state_dict_from_file(folder / "model.safetensors")["a"].tolist()


def proof():
    """Reports for each function of the libraries whether it is ours, and whether upstream's extension is loaded."""
    maps = pathlib.Path("/proc/self/maps").read_text()
    import depickle.safetensors.torch
    import diffusers.models.modeling_utils
    import transformers.modeling_utils

    ours = depickle.safetensors.torch
    by_transformers, by_diffusers = transformers.modeling_utils, diffusers.models.modeling_utils.safetensors
    return {
        "upstream mapped": "_safetensors_rust" in maps,
        "ours": {
            "transformers' safe_open": by_transformers.safe_open is depickle.safetensors.safe_open,
            "transformers' save_file": by_transformers.safe_save_file is ours.save_file,
            "transformers' storage_ptr": transformers.pytorch_utils.storage_ptr is ours.storage_ptr,
            "diffusers' safe_open": by_diffusers.safe_open is depickle.safetensors.safe_open,
            "diffusers' load_file": by_diffusers.torch.load_file is ours.load_file,
            "diffusers' save_file": by_diffusers.torch.save_file is ours.save_file,
        },
    }


def import_libraries():
    for name in ("transformers.modeling_utils", "diffusers.models.modeling_utils", "huggingface_hub.serialization"):
        __import__(name)


def work(install, root, all_saved):
    """Saves the models, waits until all processes have saved theirs, loads the models of all, and writes a report."""
    try:
        if install != "never":
            import depickle.safetensors

            depickle.safetensors.install()
        import_libraries()
        save(root / install)
        report = {"hub": save_and_load_with_huggingface_hub(root / install / "hub"), "proofs": [proof()]}
        all_saved.wait(300)
        report["models"] = {f"{writer}/{kind}": load(root / writer, kind) for writer in INSTALL for kind in KINDS}
        report["proofs"].append(proof())
        (root / f"{install}.json").write_text(json.dumps(report))
    except BaseException:
        all_saved.abort()
        raise


def main(root):
    os.umask(0o022)
    context = multiprocessing.get_context("fork")
    all_saved = context.Barrier(len(INSTALL))
    processes = {name: context.Process(target=work, args=(name, pathlib.Path(root), all_saved)) for name in INSTALL}
    processes["before"].start()
    import_libraries()
    processes["never"].start()
    processes["after"].start()
    for process in processes.values():
        process.join()
    sys.exit(any(process.exitcode != 0 for process in processes.values()))


if __name__ == "__main__":
    main(*sys.argv[1:])
