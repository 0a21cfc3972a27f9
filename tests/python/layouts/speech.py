"""Speech and audio: recognition, synthesis, voice conversion, separation."""
import torch

from layouts.layout import Layout
from layouts.pieces import adam, adamw, instance, legacy, like, module, scheduler, stand_in, torchscript, under

VITS = "enc_p.emb.weight[8x4] dec.conv_pre.{weight[4x4x7],bias[4]} flow.flows.0.enc.cond_layer.weight_g[4x1x1]"
VITS_SOURCE = "jaywalnut310/vits, utils.py: save_checkpoint"


def trained(model, optimizer):
    return {"model": model, "iteration": 100, "optimizer": optimizer, "learning_rate": 2e-4}


RECOGNITION = [
    Layout(
        "Whisper", "base.pt", "openai/whisper, whisper/__init__.py: load_model",
        "encoder.positional_embedding[4x4] decoder.token_embedding.weight[8x4]",
        lambda w: {"dims": {"n_mels": 80, "n_vocab": 51865}, "model_state_dict": w}, "model_state_dict",
        dtype=torch.float16),
    Layout("ESPnet", "valid.acc.ave_10best.pth", "espnet/espnet, espnet2/main_funcs/average_nbest_models.py",
           "encoder.embed.conv.0.weight[4x1x3x3] ctc.ctc_lo.bias[8]", lambda w: w),
    Layout(
        "ESPnet, training", "checkpoint.pth", "espnet/espnet, espnet2/train/trainer.py: Trainer.run",
        "encoder.embed.conv.0.weight[4x1x3x3] ctc.ctc_lo.bias[8]",
        lambda w: {"model": w, "reporter": {"epoch": 9, "stats": {}}, "optimizers": [adam(w)],
                   "schedulers": [scheduler()], "scaler": None},
        "model"),
    Layout("SpeechBrain", "embedding_model.ckpt",
           "speechbrain/speechbrain, speechbrain/utils/checkpoints.py: torch_save",
           "blocks.0.conv.conv.{weight[4x4x5],bias[4]}", lambda w: w),
    Layout("SpeechBrain optimizer", "optimizer.ckpt",
           "speechbrain/speechbrain, speechbrain/utils/checkpoints.py: torch_save", "w[4]", adam, None),
    Layout("NeMo", "model_weights.ckpt", "NVIDIA/NeMo, nemo/core/connectors/save_restore_connector.py: "
           "_save_state_dict_to_disk",
           "preprocessor.featurizer.fb[1x4x4] encoder.pre_encode.out.{weight[4x4],bias[4]}", lambda w: w),
    Layout("WeNet", "final.pt", "wenet-e2e/wenet, wenet/utils/checkpoint.py: save_state_dict_and_infos",
           "encoder.global_cmvn.mean[4] ctc.ctc_lo.bias[8]", lambda w: w),
    Layout(
        "wav2vec 2.0 (fairseq)", "wav2vec_small.pt", "facebookresearch/fairseq, fairseq/trainer.py: state_dict",
        "mask_emb[4] feature_extractor.conv_layers.0.0.weight[4x1x3] encoder.layers.0.fc1.{weight[8x4],bias[8]}",
        lambda w: {"args": None, "cfg": {"model": {"_name": "wav2vec2"}}, "model": w, "criterion": None,
                   "optimizer_history": [{"criterion_name": "Wav2vecCriterion", "optimizer_name": "MemoryEfficientAdam",
                                          "lr_scheduler_state": {"best": 2.1}, "num_updates": 400000}],
                   "task_state": {}, "extra_state": {"metrics": {}, "previous_training_time": 9.5},
                   "last_optimizer_state": adam(w)},
        "model"),
    Layout(
        "pyannote.audio", "pytorch_model.bin",
        "pyannote/pyannote-audio, pyannote/audio/core/model.py: on_save_checkpoint",
        "sincnet.wav_norm1d.weight[1] lstm.{weight_ih_l0[16x3],weight_hh_l0[16x4],bias_ih_l0[16],bias_hh_l0[16]}",
        lambda w: {"epoch": 9, "pytorch-lightning_version": "1.6.5", "state_dict": w,
                   "optimizer_states": [adam(w)], "lr_schedulers": [],
                   "pyannote.audio": {"versions": {"torch": torch.__version__}, "specifications": instance(
                       "pyannote.audio.core.task.Specifications", duration=5.0)}},
        "state_dict"),
    Layout(
        "Resemblyzer", "pretrained.pt", "resemble-ai/Resemblyzer, resemblyzer/voice_encoder.py: VoiceEncoder",
        "lstm.{weight_ih_l0[16x3],weight_hh_l0[16x4],bias_ih_l0[16],bias_hh_l0[16]} linear.bias[4]",
        lambda w: {"step": 1000, "model_state": w, "optimizer_state": adam(w)}, "model_state", write=legacy),
    Layout("Silero VAD", "silero_vad.jit", "snakers4/silero-vad, src/silero_vad/utils_vad.py: init_jit_model",
           "_model.stft.forward_basis_buffer[4x1x4] _model.encoder.0.{weight[4x4x3x3],bias[4]} "
           "_model.decoder.rnn.{weight_ih_l0[16x3],weight_hh_l0[16x4],bias_ih_l0[16],bias_hh_l0[16]}",
           module, write=torchscript, unused=""),
]

SYNTHESIS = [
    Layout("VITS", "G_0.pth", VITS_SOURCE, VITS, lambda w: trained(w, adamw(w)), "model"),
    Layout("so-vits-svc", "G_10000.pth", "svc-develop-team/so-vits-svc, utils.py: save_checkpoint",
           "emb_g.weight[2x4] dec.m_source.l_linear.{weight[1x9],bias[1]}", lambda w: trained(w, adamw(w)), "model"),
    Layout(
        "RVC", "voice.pth",
        "RVC-Project/Retrieval-based-Voice-Conversion-WebUI, train/process_ckpt.py: savee",
        "enc_p.emb_phone.{weight[4x8],bias[4]} dec.conv_pre.bias[4] emb_g.weight[2x4]",
        lambda w: {"weight": dict(w), "config": [1025, 32, 192, "1", [3, 7, 11], 40000], "info": "100epoch",
                   "sr": "40k", "f0": 1, "version": "v2"},
        "weight", dtype=torch.float16),
    Layout(
        "GPT-SoVITS (SoVITS)", "voice_e8_s200.pth", "RVC-Boss/GPT-SoVITS, GPT_SoVITS/process_ckpt.py: savee",
        "enc_p.ssl_proj.{weight[4x8x1],bias[4]} dec.conv_pre.bias[4]",
        lambda w: {"weight": dict(w), "config": instance("utils.HParams", model={"version": "v2"}),
                   "info": "8epoch_200iteration"},
        "weight", dtype=torch.float16),
    Layout(
        "GPT-SoVITS (GPT)", "voice-e15.ckpt", "RVC-Boss/GPT-SoVITS, GPT_SoVITS/s1_train.py: my_model_ckpt",
        "model.bert_proj.{weight[4x8],bias[4]} model.ar_text_position.alpha[1]",
        lambda w: {"weight": w, "config": {"model": {"vocab_size": 1025}}, "info": "GPT-e15"}, "weight",
        dtype=torch.float16),
    Layout(
        "XTTS (Coqui)", "model.pth", "idiap/coqui-ai-TTS, TTS/tts/models/xtts.py: get_compatible_checkpoint_state_dict",
        "mel_stats[4] gpt.text_embedding.weight[8x4] hifigan_decoder.waveform_decoder.conv_pre.bias[4]",
        lambda w: {"config": {"model": "xtts"}, "model": w, "optimizer": adamw(w), "scaler": None, "step": 9,
                   "epoch": 1, "date": "2023-11-01", "model_loss": {"train_loss": None, "eval_loss": 2.5}},
        "model"),
    Layout("Tacotron 2", "tacotron2_statedict.pt", "NVIDIA/tacotron2, train.py: save_checkpoint",
           "embedding.weight[8x4] decoder.attention_rnn.{weight_ih[16x4],bias_ih[16]}",
           lambda w: {"iteration": 100, "state_dict": w, "optimizer": adam(w), "learning_rate": 1e-3}, "state_dict",
           write=legacy),
    Layout("WaveGlow", "waveglow_256channels.pt", "NVIDIA/waveglow, train.py: save_checkpoint; inference.py",
           "upsample.{weight_g[4x1x1],weight_v[4x4x3]} WN.0.start.bias[4] convinv.0.conv.weight[4x4x1]",
           lambda w: trained(module(w, "glow.WaveGlow"), adam(w)), "model", write=legacy),
    Layout("HiFi-GAN", "g_02500000", "jik876/hifi-gan, train.py: train; inference.py",
           "conv_pre.{bias[4],weight_g[4x1x1],weight_v[4x4x7]}", lambda w: {"generator": w}, "generator"),
    Layout(
        "HiFi-GAN, training", "do_02500000", "jik876/hifi-gan, train.py: train",
        "discriminators.0.convs.0.{bias[4],weight_g[4x1x1x1],weight_v[4x1x5x1]}",
        lambda w: {"mpd": w, "msd": like(w), "optim_g": adamw(w), "optim_d": adamw(w), "steps": 9, "epoch": 1},
        "mpd", candidates="mpd msd"),
    Layout(
        "UnivNet", "univ_c32_0288.pt", "maum-ai/univnet, utils/train.py: train; inference.py",
        "conv_pre.{bias[4],weight_g[4x1x1],weight_v[4x4x7]}",
        lambda w: {"model_g": w, "model_d": like(w), "optim_g": adam(w), "optim_d": adam(w), "step": 9, "epoch": 288,
                   "hp_str": "data: {}", "githash": "0123456"},
        "model_g", candidates="model_g model_d"),
    Layout("Real-Time Voice Cloning", "synthesizer.pt",
           "CorentinJ/Real-Time-Voice-Cloning, synthesizer/models/tacotron.py: save",
           "step[1] r[] encoder.embedding.weight[8x4]",
           lambda w: {"model_state": w, "optimizer_state": adam(w)}, "model_state"),
    Layout("FastSpeech 2", "900000.pth.tar", "ming024/FastSpeech2, train.py: main",
           "encoder.src_word_emb.weight[8x4] variance_adaptor.pitch_bins[3]",
           lambda w: {"model": w, "optimizer": adam(w)}, "model"),
    Layout(
        "StyleTTS 2", "epoch_2nd_00020.pth", "yl4579/StyleTTS2, train_second.py: main; optimizers.py",
        "bert.module.embeddings.position_ids[1x4] decoder.module.generator.conv_post.bias[1] "
        "text_encoder.module.embedding.weight[8x4]",
        lambda w: {"net": {name: under(name, w) for name in ("bert", "decoder", "text_encoder")},
                   "optimizer": [("bert", adamw(w)), ("decoder", adamw(w))], "iters": 9, "val_loss": 0.5, "epoch": 20},
        "net"),
    Layout(
        "F5-TTS, training", "model_last.pt", "SWivid/F5-TTS, src/f5_tts/model/trainer.py: save_checkpoint; "
        "src/f5_tts/infer/utils_infer.py: load_checkpoint",
        "initted[] step[] ema_model.transformer.input_embed.proj.{weight[4x8],bias[4]}",
        lambda w: {"model_state_dict": like(under("ema_model", w)), "optimizer_state_dict": adamw(w),
                   "ema_model_state_dict": w, "scheduler_state_dict": scheduler(), "update": 9},
        "ema_model_state_dict", taken="model_state_dict"),
    Layout("Tortoise", "autoregressive.pth", "neonbjb/tortoise-tts, tortoise/api.py: TextToSpeech",
           "text_embedding.weight[8x4] gpt.h.0.attn.c_attn.{weight[4x12],bias[12]}", lambda w: w),
    Layout("BigVGAN", "bigvgan_generator.pt", "NVIDIA/BigVGAN, bigvgan.py: _from_pretrained",
           "conv_pre.{bias[4],weight_g[4x1x1],weight_v[4x4x7]}", lambda w: {"generator": w}, "generator"),
    Layout(
        "Wav2Lip", "wav2lip_gan.pth", "Rudrabha/Wav2Lip, wav2lip_train.py: save_checkpoint",
        "module.face_encoder_blocks.0.0.conv_block.0.{weight[4x6x7x7],bias[4]}",
        lambda w: {"state_dict": w, "optimizer": adam(w), "global_step": 9, "global_epoch": 1}, "state_dict",
        write=legacy),
]

AUDIO = [
    Layout(
        "Demucs", "955717e8-8726e21a.th", "facebookresearch/demucs, demucs/states.py: serialize_model",
        "encoder.0.conv.{weight[4x2x8],bias[4]} freq_emb.embedding.weight[4x4]",
        lambda w: {"klass": stand_in("demucs.htdemucs.HTDemucs"), "args": (), "kwargs": {"sources": ["drums", "bass"]},
                   "state": w, "training_args": {"seed": 42}},
        "state", dtype=torch.float16),
    Layout(
        "AudioCraft", "state_dict.bin", "facebookresearch/audiocraft, audiocraft/utils/export.py: export_lm",
        "emb.0.weight[8x4] transformer.layers.0.self_attn.in_proj_weight[12x4]",
        lambda w: {"best_state": w, "xp.cfg": "seed: 1\n", "version": "1.0", "exported": True}, "best_state",
        dtype=torch.float16),
    Layout(
        "Asteroid", "pytorch_model.bin", "asteroid-team/asteroid, asteroid/models/base_models.py: serialize",
        "encoder.filterbank._filters[4x1x4] masker.TCN.0.shared_block.0.bias[4]",
        lambda w: {"model_name": "ConvTasNet", "state_dict": w, "model_args": {"n_src": 2},
                   "infos": {"software_versions": {"torch_version": "1.7"}}},
        "state_dict"),
]

ROWS = RECOGNITION + SYNTHESIS + AUDIO
