"""Language models, vision and language, and translation."""
import argparse

import torch

from layouts.layout import Layout
from layouts.pieces import (adam, adamw, instance, legacy, like, module, scaler, sgd, torchscript, under)

ARGS = argparse.Namespace(lr=1e-4)
GPT = "transformer.wte.weight[8x4] transformer.h.0.attn.c_attn.{weight[12x4],bias[12]} lm_head.weight[8x4]"
CLIP = ("visual.conv1.weight[4x3x2x2] visual.ln_pre.{weight[4],bias[4]} "
        "transformer.resblocks.0.mlp.c_fc.{weight[8x4],bias[8]} logit_scale[]")
MEGATRON = ("language_model.embedding.word_embeddings.weight[8x4] "
            "language_model.encoder.layers.0.mlp.dense_h_to_4h.{weight[8x4],bias[8]}")


def megatron(tensors):
    """As the older, nested state_dict(): modules are dicts, and layers have dotted names below them."""
    model = {"embedding": {"word_embeddings": under("language_model.embedding.word_embeddings", tensors)},
             "encoder": under("language_model.encoder", tensors)}
    return {"language_model": model}


LANGUAGE_MODELS = [
    Layout(
        "nanoGPT", "ckpt.pt", "karpathy/nanoGPT, train.py; sample.py",
        "_orig_mod.transformer.wte.weight[8x4] _orig_mod.transformer.h.0.attn.c_attn.weight[12x4]",
        lambda w: {"model": w, "optimizer": adamw(w), "model_args": {"n_layer": 1}, "iter_num": 9,
                   "best_val_loss": torch.tensor(1.5), "config": {"seed": 1}},
        "model"),
    Layout("minGPT", "model.pt", "karpathy/minGPT, projects/chargpt/chargpt.py: batch_end_callback", GPT, lambda w: w),
    Layout("Llama", "consolidated.00.pth", "meta-llama/llama, llama/generation.py: Llama.build",
           "tok_embeddings.weight[8x4] layers.0.attention.wq.weight[4x4] rope.freqs[2]", lambda w: w,
           dtype=torch.bfloat16),
    Layout("RWKV", "RWKV-4-Pile-169M.pth", "BlinkDL/RWKV-LM, RWKV-v4neo/src/trainer.py: my_save",
           "emb.weight[8x4] blocks.0.att.{time_decay[4],time_mix_k[1x1x4]} head.weight[8x4]", lambda w: w,
           dtype=torch.bfloat16),
    Layout("Mamba", "pytorch_model.bin", "state-spaces/mamba, mamba_ssm/models/mixer_seq_simple.py: save_pretrained",
           "backbone.embedding.weight[8x4] backbone.layers.0.mixer.{A_log[8x4],D[8],conv1d.weight[8x1x4]}",
           lambda w: w),
    Layout(
        "Megatron-LM", "model_optim_rng.pt", "NVIDIA/Megatron-LM, megatron/training/checkpointing.py: "
        "generate_state_dict (before megatron.core)", MEGATRON,
        lambda w: {"args": ARGS, "checkpoint_version": 3.0, "iteration": 9, "model": megatron(w),
                   "optimizer": {"optimizer": adam(w), "grad_scaler": {"scale": torch.tensor([1.0])},
                                 "fp32_from_fp16_params": [list(like(w).values())]},
                   "opt_param_scheduler": {"max_lr": 1e-4, "num_steps": 9},
                   "rng_state": [{"torch_rng_state": torch.get_rng_state(), "np_rng_state": None}]},
        "model"),
    Layout(
        "Megatron Core", "model_optim_rng.pt",
        "NVIDIA/Megatron-LM, megatron/training/checkpointing.py: generate_state_dict",
        "embedding.word_embeddings.weight[8x4] decoder.layers.0.mlp.linear_fc1.{weight[8x4],bias[8]}",
        lambda w: {"args": ARGS, "checkpoint_version": 3.0, "iteration": 9, "model": w,
                   "optimizer": {"optimizer": adam(w)}, "opt_param_scheduler": {"num_steps": 9},
                   "num_floating_point_operations_so_far": 1.5},
        "model", dtype=torch.bfloat16),
    Layout("OLMo", "model.pt", "allenai/OLMo, olmo/checkpoint.py: FullCheckpointer.save_checkpoint",
           "transformer.wte.weight[8x4] transformer.blocks.0.att_proj.weight[12x4]", lambda w: w),
    Layout(
        "BART (fairseq)", "model.pt", "facebookresearch/fairseq, fairseq/checkpoint_utils.py: "
        "load_checkpoint_to_cpu",
        "encoder.version[1] encoder.embed_tokens.weight[8x4] decoder.layers.0.fc1.bias[8]",
        lambda w: {"args": argparse.Namespace(arch="bart_large"), "model": w, "extra_state": {"epoch": 1},
                   "optimizer_history": [{"num_updates": 1}]},
        "model", write=legacy),
    Layout("sentence-transformers", "pytorch_model.bin",
           "UKPLab/sentence-transformers, sentence_transformers/models/Dense.py: save",
           "linear.{weight[4x4],bias[4]}", lambda w: w),
    Layout("AllenNLP", "weights.th", "allenai/allennlp, allennlp/models/archival.py: archive_model",
           "_text_field_embedder.token_embedder_tokens.weight[8x4]", lambda w: w, write=legacy),
    Layout(
        "Flair", "final-model.pt", "flairNLP/flair, flair/nn/model.py: Model.save",
        "embeddings.list_embedding_0.rnn.weight_ih_l0[16x3] linear.{weight[3x4],bias[3]} transitions[3x3]",
        lambda w: {"__cls__": "SequenceTagger", "state_dict": w, "flair_version": "0.13",
                   "tag_dictionary": instance("flair.data.Dictionary", item2idx={b"O": 0}, idx2item=[b"O"]),
                   "optimizer_state_dict": sgd(w), "model_card": {"flair_version": "0.13"}},
        "state_dict"),
]


TRANSLATION = [
    Layout(
        "OpenNMT-py", "model_step_100000.pt", "OpenNMT/OpenNMT-py, onmt/models/model_saver.py: _save",
        "encoder.embeddings.make_embedding.emb_luts.0.weight[8x4] decoder.layer_norm.bias[4]",
        lambda w: {"model": w, "generator": {"weight": torch.ones(8, 4), "bias": torch.ones(8)},
                   "vocab": {"src": ["a"], "tgt": ["b"]}, "opt": argparse.Namespace(layers=1),
                   "optim": {"training_step": 9, "decay_step": 9, "optimizer": adam(w)}},
        "model"),
    Layout(
        "fairseq translation", "checkpoint_best.pt", "facebookresearch/fairseq, fairseq/trainer.py: state_dict",
        "encoder.embed_tokens.weight[8x4] decoder.output_projection.weight[8x4]",
        lambda w: {"cfg": {"task": {"_name": "translation"}}, "args": None, "model": w, "criterion": None,
                   "optimizer_history": [], "task_state": {}, "extra_state": {"train_iterator": {"epoch": 2}},
                   "last_optimizer_state": adam(w)},
        "model"),
    Layout(
        "PyTorch chatbot tutorial", "4000_checkpoint.tar",
        "pytorch/tutorials, beginner_source/chatbot_tutorial.py: trainIters",
        "embedding.weight[8x4] gru.weight_ih_l0[12x4]",
        lambda w: {"iteration": 4000, "en": w, "de": like(w), "en_opt": adam(w), "de_opt": adam(w), "loss": 2.5,
                   "voc_dict": {"name": "movie", "index2word": {0: "PAD"}}, "embedding": {"weight": torch.ones(8, 4)}},
        "en", candidates="en de embedding"),
    Layout(
        "Sequence-to-sequence tutorials", "seq2seq.tar", "spro/practical-pytorch, seq2seq-translation: checkpoints",
        "gru.{weight_ih_l0[12x4],bias_ih_l0[12]}",
        lambda w: {"encoder": w, "decoder": like(w), "encoder_opt": adam(w), "decoder_opt": adam(w)},
        "encoder", candidates="encoder decoder"),
]

VISION_AND_LANGUAGE = [
    Layout("CLIP (TorchScript)", "ViT-B-32.pt", "openai/CLIP, clip/clip.py: load; clip/model.py: build_model", CLIP,
           module, write=torchscript, unused=""),
    Layout(
        "OpenCLIP", "epoch_32.pt", "mlfoundations/open_clip, src/open_clip_train/legacy_main.py: main",
        "module.logit_scale[] module.visual.conv1.weight[4x3x2x2]",
        lambda w: {"epoch": 32, "name": "run", "state_dict": w, "optimizer": adamw(w), "scaler": scaler()},
        "state_dict"),
    Layout(
        "BLIP", "model_base.pth", "salesforce/BLIP, train_retrieval.py: main; models/blip.py: load_checkpoint",
        "visual_encoder.cls_token[1x1x4] text_encoder.embeddings.position_ids[1x4]",
        lambda w: {"model": w, "optimizer": adamw(w), "config": {"vit": "base"}, "epoch": 5}, "model"),
    Layout(
        "LAVIS", "checkpoint_best.pth", "salesforce/LAVIS, lavis/runners/runner_base.py: _save_checkpoint",
        "query_tokens[1x4x4] t5_proj.{weight[4x4],bias[4]}",
        lambda w: {"model": w, "optimizer": adamw(w), "config": {"run": {"seed": 42}}, "scaler": scaler(), "epoch": 9},
        "model"),
    Layout("LLaVA projector", "mm_projector.bin", "haotian-liu/LLaVA, llava/train/train.py: "
           "safe_save_model_for_hf_trainer",
           "model.mm_projector.{0,2}.{weight[4x4],bias[4]}", lambda w: w, dtype=torch.bfloat16),
    Layout("PaddleOCR2Pytorch", "ch_ptocr_v4_rec_infer.pth", "frotms/PaddleOCR2Pytorch, pytorchocr/base_ocr_v20.py: "
           "save_pytorch_weights",
           "backbone.conv1.conv.weight[4x3x3x3] head.ctc_head.fc.{weight[8x4],bias[8]}", lambda w: w),
    Layout("CRAFT", "craft_mlt_25k.pth", "clovaai/CRAFT-pytorch, test.py: copyStateDict",
           "module.basenet.slice1.0.{weight[4x3x3x3],bias[4]} module.conv_cls.8.bias[2]", lambda w: w, write=legacy),
]

ROWS = LANGUAGE_MODELS + TRANSLATION + VISION_AND_LANGUAGE
