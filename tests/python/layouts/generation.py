"""Image generation: GANs, diffusion, restoration, adapters."""
import argparse

import torch

from layouts.layout import Layout
from layouts.pieces import (adam, adamw, instance, like, persistent, plain_pickle, prefixed, scaler, scheduler,
                            stand_in, state, under)

ARGS = argparse.Namespace(lr=1e-4)
UNET = "input_blocks.0.0.{weight[4x4x3x3],bias[4]} out.2.bias[4]"
GENERATOR = "mapping.fc0.{weight[4x4],bias[4]} synthesis.b4.const[4x4x4] synthesis.b4.conv1.noise_const_buffer[4x4]"


def diffusion_ema(tensors):
    """As the state_dict() of ema_pytorch.EMA: both models, and two counters."""
    return (prefixed("online_model.", like(tensors)) | prefixed("ema_model.", like(tensors))
            | {"initted": torch.tensor([True]), "step": torch.tensor([9])})


def parameter_dict(tensors):
    parameters = torch.nn.ParameterDict()
    for name, tensor in tensors.items():
        parameters[name] = torch.nn.Parameter(tensor)
    return parameters


GANS = [
    Layout(
        "StyleGAN2 (rosinality)", "550000.pt", "rosinality/stylegan2-pytorch, train.py: train; generate.py",
        "style.1.{weight[4x4],bias[4]} input.input[1x4x4x4] noises.noise_0[1x1x4x4]",
        lambda w: {"g": like(w), "d": state("convs.0.0.weight[4x3x1x1]"), "g_ema": w, "g_optim": adam(w),
                   "d_optim": adam(w), "args": ARGS, "ada_aug_p": 0.0},
        "g_ema"),
    Layout(
        "StyleGAN3", "network-snapshot-025000.pkl",
        "NVlabs/stylegan3, training/training_loop.py: training_loop; torch_utils/persistence.py", GENERATOR,
        lambda w: {"G": persistent(like(w)), "D": persistent(state("b4.conv.weight[4x3x3x3]")),
                   "G_ema": persistent(w), "augment_pipe": None, "training_set_kwargs": {"path": "data"}},
        "G_ema", write=plain_pickle),
    Layout(
        "EDM", "network-snapshot-200000.pkl", "NVlabs/edm, training/training_loop.py: training_loop; generate.py",
        "model.map_layer0.{weight[4x4],bias[4]} model.enc.conv.weight[4x3x3x3]",
        lambda w: {"ema": persistent(w), "loss_fn": instance("training.loss.EDMLoss", P_mean=-1.2),
                   "augment_pipe": None, "dataset_kwargs": {"path": "data"}},
        "ema", write=plain_pickle),
    Layout(
        "StarGAN v2", "100000_nets_ema.ckpt", "clovaai/stargan-v2, core/checkpoint.py: save; core/solver.py",
        "generator.from_rgb.weight[4x3x1x1] mapping_network.shared.0.weight[4x4] style_encoder.shared.0.bias[4]",
        lambda w: {name: under(name, w) for name in ("generator", "mapping_network", "style_encoder")}, ".",
        candidates="generator mapping_network style_encoder", unused=""),
    Layout("StarGAN v2 optimizers", "100000_optims.ckpt", "clovaai/stargan-v2, core/checkpoint.py: save",
           "from_rgb.weight[4x3x1x1]", lambda w: {"generator": adam(w), "discriminator": adam(w)}, None),
    Layout("BigGAN optimizer", "G_optim.pth", "ajbrock/BigGAN-PyTorch, utils.py: save_weights",
           "linear.weight[4x4]", adam, None),
    Layout("CycleGAN and pix2pix", "latest_net_G.pth",
           "junyanz/pytorch-CycleGAN-and-pix2pix, models/base_model.py: save_networks",
           "model.1.{weight[4x3x7x7],bias[4]} model.26.bias[3]", lambda w: w),
    Layout(
        "pixel2style2pixel", "psp_ffhq_encode.pt", "eladrich/pixel2style2pixel, training/coach.py: __get_save_dict",
        "encoder.input_layer.0.weight[4x3x3x3] decoder.input.input[1x4x4x4]",
        lambda w: {"state_dict": w, "opts": {"lr": 1e-4}, "latent_avg": torch.zeros(18, 4)}, "state_dict"),
    Layout(
        "First Order Motion Model", "vox-cpk.pth.tar", "AliaksandrSiarohin/first-order-model, logger.py: save_cpk",
        "first.conv.{weight[4x3x3x3],bias[4]}",
        lambda w: {"generator": w, "discriminator": like(w), "kp_detector": like(w), "epoch": 99,
                   "optimizer_generator": adam(w), "optimizer_discriminator": adam(w),
                   "optimizer_kp_detector": adam(w)},
        "generator", candidates="generator discriminator kp_detector"),
]

DIFFUSION = [
    Layout(
        "DiT", "0400000.pt", "facebookresearch/DiT, train.py: main; download.py: find_model",
        "x_embedder.proj.{weight[4x4x2x2],bias[4]} blocks.0.adaLN_modulation.1.bias[24]",
        lambda w: {"model": like(w), "ema": w, "opt": adamw(w), "args": ARGS}, "ema", taken="model"),
    Layout("guided-diffusion EMA", "ema_0.9999_250000.pt",
           "openai/guided-diffusion, guided_diffusion/train_util.py: save",
           UNET, lambda w: w),
    Layout("guided-diffusion optimizer", "opt250000.pt",
           "openai/guided-diffusion, guided_diffusion/train_util.py: save",
           UNET, adamw, None),
    Layout(
        "denoising-diffusion-pytorch", "model-10.pt",
        "lucidrains/denoising-diffusion-pytorch, denoising_diffusion_pytorch.py: Trainer.save",
        "betas[4] model.init_conv.{weight[4x3x7x7],bias[4]}",
        lambda w: {"step": 9, "model": w, "opt": adam(w), "ema": diffusion_ema(w), "scaler": None, "version": "2.0"},
        "model"),
    Layout(
        "imagen-pytorch", "checkpoint.pt", "lucidrains/imagen-pytorch, imagen_pytorch/trainer.py: ImagenTrainer.save",
        "unets.0.init_conv.convs.0.weight[4x3x3x3] unets.1.final_conv.bias[3]",
        lambda w: {"model": w, "version": "2.1.0", "steps": torch.tensor([5, 5]), "scaler0": scaler(),
                   "optim0": adam(w), "scaler1": scaler(), "optim1": adam(w),
                   "ema": prefixed("0.", diffusion_ema(under("unets.0", w)))},
        "model"),
    Layout(
        "DALLE-pytorch", "dalle.pt", "lucidrains/DALLE-pytorch, train_dalle.py: save_model; generate.py",
        "text_emb.weight[8x4] transformer.layers.layers.0.0.scale[1x1x4]",
        lambda w: {"hparams": {"dim": 4}, "vae_params": None, "epoch": 1, "version": "1.6",
                   "vae_class_name": "OpenAIDiscreteVAE", "weights": w, "opt_state": adam(w),
                   "scheduler_state": scheduler()},
        "weights"),
    Layout(
        "k-diffusion", "model_00010000.pth", "crowsonkb/k-diffusion, train.py: save; convert_for_inference.py",
        "mapping.blocks.0.norm.scale[4] patch_in.proj.weight[4x4]",
        lambda w: {"config": {"model": {"width": 4}}, "model": like(w), "model_ema": w, "opt": adamw(w),
                   "sched": scheduler(), "ema_sched": {"last_epoch": 9}, "epoch": 1, "step": 10000,
                   "gns_stats": None, "elapsed": 1.5},
        "model_ema", taken="model"),
    Layout(
        "score_sde", "checkpoint_24.pth", "yang-song/score_sde_pytorch, utils.py: save_checkpoint; models/ema.py",
        "module.all_modules.0.W[4] module.all_modules.1.{weight[8x8],bias[8]}",
        lambda w: {"optimizer": adam(w), "model": w,
                   "ema": {"decay": 0.999, "num_updates": 9, "shadow_params": list(like(w).values())}, "step": 9},
        "model"),
    Layout(
        "Stable Diffusion v1", "v1-5-pruned.ckpt", "CompVis/latent-diffusion, main.py; scripts/txt2img.py: "
        "load_model_from_config",
        "betas[4] model.diffusion_model.input_blocks.0.0.{weight[4x4x3x3],bias[4]} model_ema.decay[] "
        "first_stage_model.encoder.conv_in.bias[4] "
        "cond_stage_model.transformer.text_model.embeddings.position_ids[1x4]",
        lambda w: {"epoch": 8, "global_step": 840000, "pytorch-lightning_version": "1.4.2", "state_dict": w,
                   "callbacks": {stand_in("pytorch_lightning.callbacks.ModelCheckpoint"): {
                       "monitor": None, "best_model_score": torch.tensor(0.5), "current_score": None}},
                   "optimizer_states": [adamw(w)], "lr_schedulers": [scheduler()]},
        "state_dict"),
    Layout("ControlNet", "control_sd15_canny.pth", "lllyasviel/ControlNet, tool_add_control.py; cldm/model.py: "
           "load_state_dict",
           "control_model.zero_convs.0.0.{weight[4x4x1x1],bias[4]} model.diffusion_model.out.2.bias[4]", lambda w: w),
    Layout("DreamBooth", "last.ckpt", "XavierXiao/Dreambooth-Stable-Diffusion, main.py (Lightning)",
           "model.diffusion_model.out.2.{weight[4x4x3x3],bias[4]}",
           lambda w: {"epoch": 0, "global_step": 800, "pytorch-lightning_version": "1.5.9", "state_dict": w},
           "state_dict"),
    Layout(
        "PixArt-alpha", "PixArt-XL-2-512x512.pth",
        "PixArt-alpha/PixArt-alpha, diffusion/utils/checkpoint.py: save_checkpoint; scripts/inference.py",
        "x_embedder.proj.weight[4x4x2x2] pos_embed[1x4x4]",
        lambda w: {"state_dict": w, "optimizer": adamw(w), "scheduler": scheduler(), "epoch": 1}, "state_dict"),
    Layout("AnimateDiff motion module", "mm_sd_v15.ckpt", "guoyww/AnimateDiff, train.py: main",
           "module.down_blocks.0.motion_modules.0.temporal_transformer.norm.weight[4]",
           lambda w: {"epoch": 1, "global_step": 9, "state_dict": w}, "state_dict"),
    Layout(
        "Diffusion Policy", "latest.ckpt",
        "real-stanford/diffusion_policy, diffusion_policy/workspace/base_workspace.py: save_checkpoint; eval.py",
        "obs_encoder.key_model_map.image.conv1.weight[4x3x3x3] model.final_conv.1.bias[2]",
        lambda w: {"cfg": {"training": {"use_ema": True}},
                   "state_dicts": {"model": like(w), "ema_model": w, "optimizer": adamw(w)},
                   "pickles": {"global_step": b"\x80\x04K\x05.", "epoch": b"\x80\x04K\x01."}},
        "state_dicts.ema_model", taken="state_dicts.model"),
]

RESTORATION = [
    Layout("BasicSR", "net_g_400000.pth", "XPixelGroup/BasicSR, basicsr/models/base_model.py: save_network",
           "conv_first.{weight[4x3x3x3],bias[4]} body.0.rdb1.conv1.bias[4]",
           lambda w: {"params": like(w), "params_ema": w}, "params_ema"),
    Layout("BasicSR training state", "400000.state", "XPixelGroup/BasicSR, basicsr/models/base_model.py: "
           "save_training_state",
           "conv_first.weight[4x3x3x3]",
           lambda w: {"epoch": 1, "iter": 400000, "optimizers": [adam(w), adam(w)], "schedulers": [scheduler()]}, None),
    Layout("Real-ESRGAN", "RealESRGAN_x4plus.pth", "xinntao/Real-ESRGAN, realesrgan/utils.py: RealESRGANer",
           "conv_first.{weight[4x3x3x3],bias[4]} conv_last.bias[3]", lambda w: {"params_ema": w}, "params_ema"),
    Layout("SwinIR", "001_classicalSR_DIV2K_s48w8_SwinIR-M_x2.pth", "JingyunLiang/SwinIR, main_test_swinir.py: "
           "define_model",
           "conv_first.weight[4x3x3x3] layers.0.residual_group.blocks.0.attn.relative_position_bias_table[9x2]",
           lambda w: {"params": w}, "params"),
    Layout("GFPGAN", "GFPGANv1.4.pth", "TencentARC/GFPGAN, gfpgan/utils.py: GFPGANer",
           "conv_body_first.{weight[4x3x1x1],bias[4]} stylegan_decoder.constant_input.weight[1x4x4x4]",
           lambda w: {"params_ema": w}, "params_ema"),
    Layout("CodeFormer", "codeformer.pth", "sczhou/CodeFormer, inference_codeformer.py",
           "position_emb[4x4] ft_layers.0.self_attn.in_proj_weight[12x4] quantize.embedding.weight[8x4]",
           lambda w: {"params_ema": w}, "params_ema"),
]

ADAPTERS = [
    Layout(
        "Textual Inversion", "embeddings_gs-6099.pt",
        "rinongal/textual_inversion, ldm/modules/embedding_manager.py: save", "*[1x8]",
        lambda w: {"string_to_token": {"*": torch.tensor(265)}, "string_to_param": parameter_dict(w)},
        "string_to_param"),
    Layout(
        "Textual Inversion (web UI)", "style.pt",
        "AUTOMATIC1111/stable-diffusion-webui, modules/textual_inversion/textual_inversion.py: Embedding.save",
        "*[2x8]",
        lambda w: {"string_to_token": {"*": 265}, "string_to_param": w, "name": "style", "step": 500,
                   "sd_checkpoint": "81761151", "sd_checkpoint_name": "v1-5-pruned"},
        "string_to_param"),
    Layout("Textual Inversion (diffusers)", "learned_embeds.bin",
           "huggingface/diffusers, examples/textual_inversion/textual_inversion.py: save_progress",
           "<cat-toy>[8]", dict),
    Layout("Textual Inversion (web UI), optimizer", "style-500.pt.optim",
           "AUTOMATIC1111/stable-diffusion-webui, modules/textual_inversion/textual_inversion.py: save_embedding",
           "w[2x8]", lambda w: {"hash": "81761151", "optimizer_state_dict": adamw(w)}, None),
    Layout(
        "Hypernetworks", "style.pt",
        "AUTOMATIC1111/stable-diffusion-webui, modules/hypernetworks/hypernetwork.py: Hypernetwork.save",
        "{320,768}.{0,1}.linear.0.{weight[8x4],bias[8]}",
        lambda w: {size: tuple(under(f"{size}.{index}", w) for index in (0, 1)) for size in (320, 768)} | {
            "step": 500, "name": "style", "layer_structure": [1, 2, 1], "activation_func": "linear",
            "is_layer_norm": False, "sd_checkpoint": "81761151"},
        unused="step name layer_structure activation_func is_layer_norm sd_checkpoint"),
    Layout("LoRA (cloneofsimo)", "lora_weight.pt", "cloneofsimo/lora, lora_diffusion/lora.py: save_lora_weight",
           "0[4x2] 1[2x4] 2[4x2] 3[2x4]", lambda w: list(w.values()), dtype=torch.float16),
    Layout("LoRA (kohya)", "last.pt", "kohya-ss/sd-scripts, networks/lora.py: save_weights",
           "lora_unet_mid_block_attentions_0_proj_in.{alpha[],lora_down.weight[2x4x1x1],lora_up.weight[4x2x1x1]}",
           lambda w: w, dtype=torch.float16),
    Layout("IP-Adapter", "ip-adapter_sd15.bin", "tencent-ailab/IP-Adapter, ip_adapter/ip_adapter.py: load_ip_adapter",
           "image_proj.proj.{weight[8x4],bias[8]} image_proj.norm.weight[4] ip_adapter.1.to_k_ip.weight[4x4]",
           lambda w: {name: under(name, w) for name in ("image_proj", "ip_adapter")}, dtype=torch.float16),
]

ROWS = GANS + DIFFUSION + RESTORATION + ADAPTERS
