"""Training frameworks, and the files that they write beside the model."""
import random

import numpy
import torch

from layouts.layout import Layout
from layouts.pieces import adam, adamw, instance, like, module, named_adam, scheduler, sgd

MLP = "0.{weight[4x3],bias[4]} 2.{weight[2x4],bias[2]}"
GPT = "model.embed_tokens.weight[8x4] model.layers.0.mlp.up_proj.weight[8x4] lm_head.weight[8x4]"
TRAINER = "huggingface/transformers, src/transformers/trainer.py"


def rng_states():
    return {"python": random.getstate(), "numpy": numpy.random.get_state(), "cpu": torch.random.get_rng_state()}


def flat_adam(tensors):
    """As torch.distributed.checkpoint.state_dict writes it with flatten_optimizer_state_dict."""
    plain = named_adam(tensors)
    flat = {f"state.{name}.{slot}": value for name, slots in plain["state"].items() for slot, value in slots.items()}
    return flat | {f"param_groups.{name}.lr": 1e-3 for name in tensors}


MODELS = [
    Layout(
        "PyTorch tutorial", "model.pt", "pytorch/tutorials, recipes: Saving and loading a general checkpoint", MLP,
        lambda w: {"epoch": 5, "model_state_dict": w, "optimizer_state_dict": sgd(w), "loss": 0.4},
        "model_state_dict"),
    Layout(
        "PyTorch tutorial, several models", "models.pt",
        "pytorch/tutorials, recipes: Saving and loading multiple models in one file", "fc1.{weight[4x3],bias[4]}",
        lambda w: {"modelA_state_dict": w, "modelB_state_dict": like(w), "optimizerA_state_dict": sgd(w),
                   "optimizerB_state_dict": sgd(w)},
        "modelA_state_dict", candidates="modelA_state_dict modelB_state_dict"),
    Layout("PyTorch tutorial, entire model", "model.pth", "pytorch/tutorials, Saving and loading models",
           "conv1.{weight[6x3x5x5],bias[6]} fc1.{weight[4x6],bias[4]}", lambda w: module(w, "__main__.Net"), unused=""),
    Layout(
        "PyTorch Lightning", "epoch=9-step=100.ckpt",
        "Lightning-AI/pytorch-lightning, trainer/connectors/checkpoint_connector.py: dump_checkpoint",
        "model.0.{weight[4x3],bias[4]} loss.weight[2]",
        lambda w: {"epoch": 9, "global_step": 100, "pytorch-lightning_version": "2.2.1", "state_dict": w,
                   "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 9}}}},
                   "callbacks": {"ModelCheckpoint{'monitor': 'val_loss'}": {
                       "best_model_score": torch.tensor(0.5), "best_k_models": {"a.ckpt": torch.tensor(0.5)}}},
                   "optimizer_states": [adamw(w)], "lr_schedulers": [scheduler()], "hparams_name": "kwargs",
                   "hyper_parameters": {"lr": 0.1}},
        "state_dict"),
    Layout(
        "fastai Learner.save", "model.pth",
        "fastai/fastai, fastai/learner.py: save_model; fastai/optimizer.py: state_dict",
        "0.0.{weight[4x3x3x3],bias[4]} 1.8.weight[3x4]",
        lambda w: {"model": w, "opt": {
            "state": [{"grad_avg": torch.ones_like(tensor), "sqr_avg": torch.ones_like(tensor), "step": 9}
                      for tensor in w.values()],
            "hypers": [{"wd": 0.01, "lr": 1e-3}]}},
        "model"),
    Layout(
        "fastai Learner.export", "export.pkl", "fastai/fastai, fastai/learner.py: Learner.export",
        "0.0.{weight[4x3x3x3],bias[4]} 1.8.weight[3x4]",
        lambda w: instance("fastai.learner.Learner", dls=instance("fastai.data.core.DataLoaders", n_inp=1),
                           model=module(w, "torch.nn.modules.container.Sequential"), opt=None, lr=0.001,
                           loss_func=instance("fastai.losses.CrossEntropyLossFlat", axis=-1)),
        "model"),
    Layout(
        "Composer", "ep1-ba100-rank0.pt", "mosaicml/composer, composer/utils/checkpoint.py: save_checkpoint; "
        "composer/core/state.py: State.state_dict",
        "model.transformer.wte.weight[8x4] model.transformer.blocks.0.ffn.up_proj.{weight[8x4],bias[8]}",
        lambda w: {"state": {"model": w, "optimizers": {"DecoupledAdamW": adamw(w)},
                             "schedulers": {"LambdaLR": scheduler()}, "callbacks": {}, "algorithms": [],
                             "timestamp": {"Timestamp": {"epoch": 1, "batch": 100}}, "train_metrics": {},
                             "run_name": "run", "rank_zero_seed": 1},
                   "rng": [{"python": random.getstate(), "torch": torch.get_rng_state()}]},
        "state.model"),
    Layout(
        "DeepSpeed", "mp_rank_00_model_states.pt",
        "deepspeedai/DeepSpeed, deepspeed/runtime/engine.py: _save_checkpoint",
        GPT,
        lambda w: {"module": w, "buffer_names": [], "optimizer": None,
                   "param_shapes": [{name: tensor.shape for name, tensor in w.items()}], "frozen_param_shapes": None,
                   "shared_params": {}, "lr_scheduler": {"last_batch_iteration": 9}, "data_sampler": None,
                   "sparse_tensor_module_names": set(), "skipped_steps": 0, "global_steps": 9, "global_samples": 90,
                   "dp_world_size": 1, "mp_world_size": 1, "ds_config": {"zero_optimization": {"stage": 1}},
                   "ds_version": "0.14.0"},
        "module", dtype=torch.bfloat16),
    Layout(
        "FSDP full state dict", "checkpoint.pt", "pytorch/pytorch, torch/distributed/fsdp: "
        "FullyShardedDataParallel.optim_state_dict", GPT,
        lambda w: {"model": w, "optim": named_adam(w), "epoch": 1}, "model"),
    Layout(
        "DCP converted to torch.save", "checkpoint.pt",
        "pytorch/pytorch, torch/distributed/checkpoint/format_utils.py: dcp_to_torch_save", GPT,
        lambda w: {"app": {"model": w, "optim": flat_adam(w)}}, "app.model"),
    Layout("Accelerate", "pytorch_model.bin", "huggingface/accelerate, src/accelerate/checkpointing.py: "
           "save_accelerator_state", GPT, lambda w: w),
    Layout("torchtune", "hf_model_0001_0.pt", "pytorch/torchtune, torchtune/training/checkpointing/_checkpointer.py: "
           "FullModelHFCheckpointer.save_checkpoint", GPT, lambda w: w, dtype=torch.bfloat16),
    Layout(
        "Ignite", "checkpoint_1000.pt", "pytorch/ignite, ignite/handlers/checkpoint.py: Checkpoint",
        MLP, lambda w: {"model": w, "optimizer": adam(w), "trainer": {"epoch_length": 9, "iteration": 9}},
        "model"),
    Layout(
        "Catalyst", "best.pth", "catalyst-team/catalyst, catalyst/utils/torch.py: pack_checkpoint", MLP,
        lambda w: {"model_state_dict": w, "optimizer_state_dict": adam(w), "scheduler_state_dict": scheduler(),
                   "epoch_metrics": {"loss": 0.5}, "stage": "train"},
        "model_state_dict"),
    Layout("skorch", "params.pt", "skorch-dev/skorch, skorch/net.py: save_params", MLP, lambda w: w),
]

TRAINING_STATE = [
    Layout("Transformers Trainer", "optimizer.pt", f"{TRAINER}: _save_optimizer_and_scheduler", GPT, adamw, None),
    Layout("Transformers Trainer", "scheduler.pt", f"{TRAINER}: _save_optimizer_and_scheduler", GPT,
           lambda w: scheduler(), None),
    Layout("Transformers Trainer", "rng_state.pth", f"{TRAINER}: _save_rng_state", GPT, lambda w: rng_states(), None),
    Layout("Transformers Trainer", "training_args.bin", f"{TRAINER}: _save", GPT,
           lambda w: instance("transformers.training_args.TrainingArguments", output_dir="out"), None),
    Layout("Accelerate", "optimizer.bin", "huggingface/accelerate, checkpointing.py: save_accelerator_state", GPT,
           adamw, None),
    Layout("Accelerate", "random_states_0.pkl", "huggingface/accelerate, checkpointing.py: save_accelerator_state", GPT,
           lambda w: {"step": 9, "random_state": random.getstate(), "numpy_random_seed": numpy.random.get_state(),
                      "torch_manual_seed": torch.get_rng_state()}, None),
    Layout(
        "DeepSpeed ZeRO", "zero_pp_rank_0_mp_rank_00_optim_states.pt",
        "deepspeedai/DeepSpeed, deepspeed/runtime/zero/stage_1_and_2.py: state_dict", GPT,
        lambda w: {"optimizer_state_dict": {
            "loss_scaler": instance("deepspeed.runtime.fp16.loss_scaler.LossScaler", cur_scale=1.0),
            "dynamic_loss_scale": False, "overflow": False, "clip_grad": 0.0, "base_optimizer_state": adam(w),
            "single_partition_of_fp32_groups": [torch.ones(64)], "zero_stage": 1, "group_paddings": [0],
            "partition_count": [1], "ds_version": "0.14.0"}, "ds_config": {}, "ds_version": "0.14.0"}, None),
    Layout("torchtune", "recipe_state.pt", "pytorch/torchtune, recipes/full_finetune_single_device.py: save_checkpoint",
           GPT, lambda w: {"optimizer": adamw(w), "seed": 1, "epochs_run": 1, "total_epochs": 3,
                           "max_steps_per_epoch": None, "rng_state": torch.get_rng_state()}, None),
    Layout("skorch", "optimizer.pt", "skorch-dev/skorch, skorch/net.py: save_params", MLP, sgd, None),
]

ROWS = MODELS + TRAINING_STATE
