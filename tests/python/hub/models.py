"""Saves tiny models with random weights as configuration files and pickles, without safetensors.

python models.py KIND FOLDER
"""

import json
import pathlib
import sys

import torch
import transformers


def pickle_weights(model, folder, name="pytorch_model.bin"):
    """Saves the configuration with save_pretrained and the weights with torch.save. Tied weights share a storage."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    torch.save(model.state_dict(), folder / name)


def bert_config():
    return transformers.BertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=37,
        max_position_embeddings=40,
    )


def single(folder):
    pickle_weights(transformers.BertModel(bert_config()), folder)


def tied(folder):
    config = transformers.GPT2Config(
        vocab_size=61, n_positions=32, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    pickle_weights(transformers.GPT2LMHeadModel(config), folder)


def sharded(folder):
    model = transformers.BertModel(bert_config())
    pickle_weights(model, folder)
    (folder / "pytorch_model.bin").unlink()
    state = list(model.state_dict().items())
    half = len(state) // 2
    weight_map = {}
    for number, part in enumerate((state[:half], state[half:]), 1):
        name = f"pytorch_model-{number:05}-of-00002.bin"
        torch.save(dict(part), folder / name)
        weight_map |= dict.fromkeys(dict(part), name)
    total = sum(tensor.numel() * tensor.element_size() for _, tensor in state)
    (folder / "pytorch_model.bin.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map})
    )


def pipeline(folder):
    """A pipeline like Stable Diffusion: unet, vae, text encoder, tokenizer, safety checker."""
    import diffusers
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(4, 8),
        layers_per_block=1,
        norm_num_groups=2,
        cross_attention_dim=16,
        attention_head_dim=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    vae = diffusers.AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(4, 8),
        norm_num_groups=2,
        layers_per_block=1,
        sample_size=16,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    text = {
        "vocab_size": 100,
        "hidden_size": 16,
        "intermediate_size": 20,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 16,
    }
    vision = {
        "hidden_size": 16,
        "intermediate_size": 20,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
    }
    checker = StableDiffusionSafetyChecker(
        transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    )
    for model, name, file in [
        (unet, "unet", "diffusion_pytorch_model.bin"),
        (vae, "vae", "diffusion_pytorch_model.bin"),
        (transformers.CLIPTextModel(transformers.CLIPTextConfig(**text)), "text_encoder", "pytorch_model.bin"),
        (checker, "safety_checker", "pytorch_model.bin"),
    ]:
        pickle_weights(model, folder / name, file)
    diffusers.DDIMScheduler(num_train_timesteps=10).save_pretrained(folder / "scheduler")
    (folder / "tokenizer").mkdir()
    words = ["<|startoftext|>", "<|endoftext|>", *(f"{letter}</w>" for letter in "abcdefgh")]
    (folder / "tokenizer/vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "tokenizer/merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer/tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": 16, "pad_token": "<|endoftext|>"})
    )
    transformers.CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=16).save_pretrained(
        folder / "feature_extractor"
    )
    (folder / "model_index.json").write_text(
        json.dumps(
            {
                "_class_name": "StableDiffusionPipeline",
                "_diffusers_version": diffusers.__version__,
                "requires_safety_checker": True,
                "unet": ["diffusers", "UNet2DConditionModel"],
                "vae": ["diffusers", "AutoencoderKL"],
                "text_encoder": ["transformers", "CLIPTextModel"],
                "tokenizer": ["transformers", "CLIPTokenizer"],
                "scheduler": ["diffusers", "DDIMScheduler"],
                "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
                "feature_extractor": ["transformers", "CLIPImageProcessor"],
            }
        )
    )


KINDS = {make.__name__: make for make in (single, tied, sharded, pipeline)}

if __name__ == "__main__":
    kind, folder = sys.argv[1:]
    torch.manual_seed(7)
    KINDS[kind](pathlib.Path(folder))
