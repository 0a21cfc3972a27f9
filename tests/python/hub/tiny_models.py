"""Prints the configuration and the tensors' shapes of tiny models, as one JSON object by kind."""

import json

import diffusers
import transformers
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

TEXT = {
    "vocab_size": 10,
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 8,
}
VISION = {
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}
BLOCKS = {"block_out_channels": (4,), "layers_per_block": 1, "norm_num_groups": 2, "sample_size": 8}


def models():
    yield "bert", transformers.BertModel(transformers.BertConfig(**TEXT | {"num_hidden_layers": 2}))
    gpt2 = {"vocab_size": 10, "n_positions": 8, "n_embd": 8, "n_layer": 2, "n_head": 2}
    yield "gpt2", transformers.GPT2Model(transformers.GPT2Config(**gpt2, bos_token_id=0, eos_token_id=0))
    yield "text_encoder", transformers.CLIPTextModel(transformers.CLIPTextConfig(**TEXT))
    yield (
        "safety_checker",
        StableDiffusionSafetyChecker(
            transformers.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=8)
        ),
    )
    yield (
        "unet",
        diffusers.UNet2DConditionModel(
            **BLOCKS,
            cross_attention_dim=8,
            attention_head_dim=2,
            down_block_types=("DownBlock2D",),
            up_block_types=("UpBlock2D",),
        ),
    )
    yield (
        "vae",
        diffusers.AutoencoderKL(
            **BLOCKS, down_block_types=("DownEncoderBlock2D",), up_block_types=("UpDecoderBlock2D",)
        ),
    )


described = {}
for kind, model in models():
    config = model.config.to_dict() if isinstance(model, transformers.PreTrainedModel) else json.loads(
        model.to_json_string()
    )
    config.pop("dtype", None)
    if isinstance(model, transformers.PreTrainedModel):
        config["architectures"] = [type(model).__name__]
    described[kind] = {
        "config": config,
        "shapes": {name: list(tensor.shape) for name, tensor in model.state_dict().items()},
    }
print(json.dumps(described, default=str))
