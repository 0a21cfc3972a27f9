"""Proteins, materials, weather."""
import argparse

import torch

from layouts.layout import Layout
from layouts.pieces import adam, adamw, like, module, prefixed, scheduler

ROWS = [
    Layout(
        "ESM-1b", "esm1b_t33_650M_UR50S.pt",
        "facebookresearch/esm, esm/pretrained.py: _load_model_and_alphabet_core_v1",
        "encoder.sentence_encoder.embed_tokens.weight[8x4] encoder.lm_head.bias[8]",
        lambda w: {"args": argparse.Namespace(arch="roberta_large", layers=33), "model": w}, "model"),
    Layout(
        "ESM-2", "esm2_t6_8M_UR50D.pt", "facebookresearch/esm, esm/pretrained.py: _load_model_and_alphabet_core_v2",
        "encoder.sentence_encoder.layers.0.fc1.{weight[8x4],bias[8]} encoder.lm_head.dense.bias[4]",
        lambda w: {"cfg": {"model": argparse.Namespace(encoder_layers=6)}, "model": w}, "model"),
    Layout("ESM-2 contact regression", "esm2_t6_8M_UR50D-contact-regression.pt",
           "facebookresearch/esm, esm/pretrained.py: load_model_and_alphabet_hub",
           "contact_head.regression.{weight[1x4],bias[1]}", lambda w: {"model": w}, "model"),
    Layout("OpenFold", "finetuning_ptm_1.pt", "aqlaboratory/openfold, openfold/utils/script_utils.py: "
           "load_models_from_command_line",
           "input_embedder.linear_tf_z_i.{weight[4x3],bias[4]} evoformer.linear.bias[4]", lambda w: w),
    Layout(
        "OpenFold, training", "1-1000.ckpt", "aqlaboratory/openfold, train_openfold.py: on_save_checkpoint; "
        "openfold/utils/script_utils.py",
        "input_embedder.linear_tf_z_i.{weight[4x3],bias[4]}",
        lambda w: {"epoch": 1, "global_step": 1000, "pytorch-lightning_version": "1.5.10",
                   "state_dict": prefixed("model.", like(w)), "optimizer_states": [adam(w)],
                   "lr_schedulers": [scheduler()], "ema": {"params": w, "decay": 0.999}},
        "ema.params", taken="state_dict"),
    Layout(
        "ProteinMPNN", "v_48_020.pt", "dauparas/ProteinMPNN, training/training.py: main; protein_mpnn_run.py",
        "features.edge_embedding.weight[4x4] W_s.weight[21x4] W_out.bias[21]",
        lambda w: {"epoch": 100, "step": 9, "num_edges": 48, "noise_level": 0.2, "model_state_dict": w,
                   "optimizer_state_dict": adam(w)},
        "model_state_dict"),
    Layout(
        "RoseTTAFold and RFdiffusion", "Base_ckpt.pt", "RosettaCommons/RFdiffusion, rfdiffusion/inference/"
        "model_runners.py: Sampler.load_model",
        "latent_emb.emb.{weight[4x3],bias[4]} c6d_pred.proj_symm.bias[4]",
        lambda w: {"epoch": 9, "model_state_dict": w, "optimizer_state_dict": adam(w),
                   "config_dict": {"model": {"n_main_block": 32}}, "train_loss": 1.5},
        "model_state_dict"),
    Layout("MACE", "mace.model", "ACEsuit/mace, mace/cli/run_train.py: main",
           "atomic_energies_fn.atomic_energies[3] node_embedding.linear.{weight[4x3],bias[4]}",
           lambda w: module(w, "mace.modules.models.ScaleShiftMACE"), unused=""),
    Layout(
        "MACE checkpoint", "mace_run-123_epoch-100.pt", "ACEsuit/mace, mace/tools/checkpoint.py: CheckpointBuilder",
        "node_embedding.linear.weight[12] r_max[]",
        lambda w: {"model": w, "optimizer": adam(w), "lr_scheduler": scheduler()}, "model"),
    Layout(
        "CHGNet", "chgnet_0.3.0_e29f68s314m37.pth.tar", "CederGroupHub/chgnet, chgnet/trainer/trainer.py: save; "
        "chgnet/model/model.py: CHGNet.from_dict",
        "composition_model.fc.weight[1x9] atom_embedding.embedding.weight[9x4]",
        lambda w: {"model": {"state_dict": w, "model_args": {"atom_fea_dim": 64}}, "optimizer": adam(w),
                   "scheduler": scheduler(), "training_history": {"e": {"train": [1.5]}}, "trainer_args": {}},
        "model.state_dict"),
    Layout(
        "Open Catalyst (fairchem)", "checkpoint.pt", "FAIR-Chem/fairchem, src/fairchem/core/trainers/base_trainer.py: "
        "save",
        "module.embedding.weight[9x4] module.lin1.{weight[4x4],bias[4]}",
        lambda w: {"state_dict": w, "normalizers": {"energy": {"mean": torch.tensor([0.5]), "rmsd": torch.ones(1)}},
                   "elementrefs": {}, "config": {"task": "oc20"}, "val_metrics": {"energy_mae": {"metric": 0.5}},
                   "amp": None, "epoch": 1.5, "step": 9, "optimizer": adamw(w), "scheduler": scheduler(),
                   "ema": {"decay": 0.999, "num_updates": 9, "shadow_params": list(like(w).values()),
                           "collected_params": []},
                   "best_val_metric": 0.5, "primary_metric": "energy_mae"},
        "state_dict"),
    Layout("TorchANI", "best.pt", "aiqm/torchani, examples/nnp_training.py (2.2)", "{0,1}.{0,2}.{weight[4x4],bias[4]}",
           lambda w: w),
    Layout(
        "TorchANI 2, training", "latest.pt", "aiqm/torchani, examples/nnp_training.py (2.2)",
        "0.0.{weight[4x4],bias[4]}",
        lambda w: {"nn": w, "AdamW": adamw(w), "SGD": {"state": {}, "param_groups": []},
                   "AdamW_scheduler": scheduler(), "SGD_scheduler": scheduler()},
        "nn"),
    Layout(
        "FourCastNet", "backbone.ckpt", "NVlabs/FourCastNet, train.py: Trainer.save_checkpoint",
        "module.pos_embed[1x4x4] module.patch_embed.proj.{weight[4x3x2x2],bias[4]}",
        lambda w: {"iters": 9, "epoch": 1, "model_state": w, "optimizer_state_dict": adam(w)}, "model_state"),
]
