"""Images: classification, detection, segmentation, depth, faces, keypoints."""
import argparse

import numpy
import torch

from layouts.layout import Layout
from layouts.pieces import (adam, adamw, arrays, instance, legacy, like, module, plain_pickle, prefixed, scaler,
                            scheduler, sgd)

ARGS = argparse.Namespace(lr=0.1, output_dir="out")
VIT = "cls_token[1x1x4] patch_embed.proj.{weight[4x3x2x2],bias[4]} blocks.0.attn.qkv.{weight[12x4],bias[12]}"
RESNET = "conv1.weight[4x3x3x3] bn1.{weight[4],bias[4],running_mean[4],running_var[4],num_batches_tracked[]}"
YOLO = ("model.0.conv.weight[4x3x3x3] model.0.bn.{weight[4],bias[4],running_mean[4],running_var[4],"
        "num_batches_tracked[]} model.1.m.0.{weight[6x4x1x1],bias[6]}")


def yolov5(w, model, ema):
    return {
        "epoch": 299, "best_fitness": numpy.array([0.5]), "model": model, "ema": ema, "updates": 10,
        "optimizer": sgd(w), "opt": {"batch_size": 16}, "git": {"branch": None}, "date": "2024-01-01T00:00:00",
    }


CLASSIFICATION = [
    Layout(
        "torchvision", "checkpoint.pth", "pytorch/vision, references/classification/train.py: main", RESNET,
        lambda w: {"model": w, "optimizer": sgd(w), "lr_scheduler": scheduler(), "epoch": 9, "args": ARGS,
                   "scaler": scaler()},
        "model"),
    Layout(
        "timm", "last.pth.tar", "huggingface/pytorch-image-models, timm/utils/checkpoint_saver.py: _save", RESNET,
        lambda w: {"epoch": 9, "arch": "resnet50", "optimizer": sgd(w), "version": 2, "args": ARGS,
                   "amp_scaler": scaler(), "state_dict": w, "metric": 76.5},
        "state_dict"),
    Layout(
        "timm with EMA", "model_best.pth.tar",
        "huggingface/pytorch-image-models, timm/models/_helpers.py: load_state_dict(use_ema=True)", RESNET,
        lambda w: {"epoch": 9, "arch": "resnet50", "optimizer": sgd(w), "version": 2, "state_dict": like(w),
                   "state_dict_ema": w, "metric": 76.5},
        "state_dict_ema", taken="state_dict"),
    Layout(
        "MoCo", "checkpoint_0199.pth.tar", "facebookresearch/moco, main_moco.py: save_checkpoint",
        "module.encoder_q.conv1.weight[4x3x3x3] module.encoder_k.conv1.weight[4x3x3x3] module.queue[8x4] "
        "module.queue_ptr[1]",
        lambda w: {"epoch": 200, "arch": "resnet50", "state_dict": w, "optimizer": sgd(w)}, "state_dict"),
    Layout(
        "SimCLR", "checkpoint_0100.pth.tar", "sthalles/SimCLR, simclr.py: train",
        "backbone.conv1.weight[4x3x3x3] backbone.fc.0.{weight[4x4],bias[4]}",
        lambda w: {"epoch": 100, "arch": "resnet18", "state_dict": w, "optimizer": adam(w)}, "state_dict"),
    Layout(
        "BYOL", "model.pth", "sthalles/PyTorch-BYOL, trainer.py: save_model", "encoder.0.weight[4x3x3x3]",
        lambda w: {"online_network_state_dict": w, "target_network_state_dict": like(w),
                   "optimizer_state_dict": sgd(w)},
        "online_network_state_dict", candidates="online_network_state_dict target_network_state_dict"),
    Layout(
        "DINO", "checkpoint.pth", "facebookresearch/dino, main_dino.py: train_dino; utils.py: load_pretrained_weights",
        "backbone.cls_token[1x1x4] backbone.blocks.0.attn.qkv.weight[12x4] head.mlp.0.weight[4x4]",
        lambda w: {"student": prefixed("module.", like(w)), "teacher": w, "optimizer": adamw(w), "epoch": 3,
                   "args": ARGS, "dino_loss": {"center": torch.zeros(1, 4)}, "fp16_scaler": scaler()},
        "teacher", candidates="student teacher"),
    Layout(
        "DINOv2", "teacher_checkpoint.pth", "facebookresearch/dinov2, dinov2/train/train.py: do_test",
        "backbone.cls_token[1x1x4] backbone.blocks.0.0.attn.qkv.weight[12x4] dino_head.mlp.0.weight[4x4]",
        lambda w: {"teacher": w}, "teacher"),
    Layout("DINOv2 pretrained", "dinov2_vits14_pretrain.pth",
           "facebookresearch/dinov2, dinov2/hub/backbones.py: _make_dinov2_model", VIT, lambda w: w),
    Layout(
        "MAE", "checkpoint-799.pth", "facebookresearch/mae, util/misc.py: save_model", VIT,
        lambda w: {"model": w, "optimizer": adamw(w), "epoch": 799, "scaler": scaler(), "args": ARGS}, "model"),
    Layout(
        "DeiT", "checkpoint.pth", "facebookresearch/deit, main.py: main", VIT,
        lambda w: {"model": w, "optimizer": adamw(w), "lr_scheduler": scheduler(), "epoch": 299, "model_ema": like(w),
                   "scaler": scaler(), "args": ARGS},
        "model"),
    Layout(
        "Swin Transformer", "ckpt_epoch_299.pth", "microsoft/Swin-Transformer, utils.py: save_checkpoint",
        "patch_embed.proj.weight[4x3x2x2] layers.0.blocks.0.attn.relative_position_bias_table[9x2]",
        lambda w: {"model": w, "optimizer": adamw(w), "lr_scheduler": scheduler(), "max_accuracy": 81.3,
                   "scaler": scaler(), "epoch": 299, "config": instance("yacs.config.CfgNode", dict)},
        "model"),
]

DETECTION = [
    Layout(
        "DETR", "checkpoint.pth", "facebookresearch/detr, main.py: main",
        "transformer.encoder.layers.0.linear1.weight[8x4] class_embed.bias[3] backbone.0.body.conv1.weight[4x3x3x3]",
        lambda w: {"model": w, "optimizer": adamw(w), "lr_scheduler": scheduler(), "epoch": 499, "args": ARGS},
        "model"),
    Layout(
        "RT-DETR", "checkpoint0071.pth",
        "lyuwenyu/RT-DETR, rtdetr_pytorch/src/solver/solver.py: state_dict; tools/infer.py",
        "backbone.conv1.conv1_1.conv.weight[4x3x3x3] decoder.denoising_class_embed.weight[3x4]",
        lambda w: {"model": like(w), "date": "2024-01-01T00:00:00", "last_epoch": 71, "optimizer": adamw(w),
                   "lr_scheduler": scheduler(), "ema": {"module": w, "updates": 100, "warmups": 10}},
        "ema.module", taken="model"),
    Layout(
        "Detectron2", "model_final.pth", "facebookresearch/detectron2, engine/defaults.py: DetectionCheckpointer",
        "backbone.bottom_up.stem.conv1.weight[4x3x3x3] roi_heads.box_predictor.cls_score.bias[3]",
        lambda w: {"model": w, "optimizer": sgd(w), "scheduler": scheduler(), "iteration": 89999}, "model"),
    Layout(
        "Detectron2 model zoo", "model_final_280758.pkl",
        "facebookresearch/detectron2, checkpoint/detection_checkpoint.py: _load_file",
        "backbone.bottom_up.stem.conv1.weight[4x3x3x3] roi_heads.box_predictor.cls_score.bias[3]",
        lambda w: {"model": arrays(w), "__author__": "Detectron2 Model Zoo"}, "model", write=plain_pickle),
    Layout(
        "MMEngine (MMDetection, MMSegmentation)", "epoch_12.pth",
        "open-mmlab/mmengine, mmengine/runner/runner.py: save_checkpoint",
        "backbone.conv1.weight[4x3x3x3] bbox_head.fc_cls.{weight[3x4],bias[3]}",
        lambda w: {"meta": {"epoch": 12, "iter": 100, "cfg": "model = dict()", "seed": 1},
                   "state_dict": w, "optimizer": sgd(w), "param_schedulers": [scheduler()],
                   "message_hub": {"log_scalars": {"train/loss": instance(
                       "mmengine.logging.history_buffer.HistoryBuffer", _log_history=numpy.ones(3))},
                       "runtime_info": {"epoch": 12}, "resumed_keys": {}}},
        "state_dict"),
    Layout(
        "MMEngine with EMA", "epoch_300.pth", "open-mmlab/mmengine, mmengine/hooks/ema_hook.py: before_save_checkpoint",
        "backbone.stem.conv.weight[4x3x3x3] bbox_head.rtm_cls.0.{weight[3x4x1x1],bias[3]}",
        lambda w: {"meta": {"epoch": 300, "iter": 100}, "state_dict": w, "optimizer": adamw(w), "message_hub": {},
                   "ema_state_dict": {"steps": torch.tensor(9)} | prefixed("module.", like(w))},
        "state_dict"),
    Layout(
        "MMCV", "latest.pth", "open-mmlab/mmcv, mmcv/runner/checkpoint.py: save_checkpoint",
        "backbone.conv1.weight[4x3x3x3] decode_head.conv_seg.{weight[3x4x1x1],bias[3]}",
        lambda w: {"meta": {"mmcv_version": "1.7.0", "CLASSES": ("a", "b"), "PALETTE": [[1, 2, 3]]}, "state_dict": w,
                   "optimizer": sgd(w)},
        "state_dict"),
    Layout(
        "YOLOv5", "last.pt", "ultralytics/yolov5, train.py: train; models/experimental.py: attempt_load", YOLO,
        lambda w: yolov5(w, module(like(w), "models.yolo.DetectionModel"), module(w, "models.yolo.DetectionModel")),
        "ema", taken="model", dtype=torch.float16),
    Layout(
        "YOLOv5 stripped", "best.pt", "ultralytics/yolov5, utils/general.py: strip_optimizer", YOLO,
        lambda w: yolov5(w, module(w, "models.yolo.DetectionModel"), None) | {"optimizer": None}, "model",
        dtype=torch.float16),
    Layout(
        "Ultralytics", "last.pt", "ultralytics/ultralytics, ultralytics/engine/trainer.py: save_model", YOLO,
        lambda w: {"epoch": 99, "best_fitness": 0.5, "model": None,
                   "ema": module(w, "ultralytics.nn.tasks.DetectionModel"), "updates": 10, "optimizer": sgd(w),
                   "train_args": {"task": "detect"}, "train_metrics": {"fitness": 0.5}, "train_results": {"epoch": [1]},
                   "date": "2024-01-01T00:00:00", "version": "8.3.0", "license": "AGPL-3.0"},
        "ema", dtype=torch.float16),
    Layout(
        "YOLOX", "latest_ckpt.pth", "Megvii-BaseDetection/YOLOX, yolox/core/trainer.py: save_ckpt",
        "backbone.backbone.stem.conv.conv.weight[4x3x3x3] head.cls_preds.0.bias[3]",
        lambda w: {"start_epoch": 300, "model": w, "optimizer": sgd(w), "best_ap": numpy.float64(0.4),
                   "curr_ap": numpy.float64(0.4)},
        "model"),
    Layout(
        "Grounding DINO", "groundingdino_swint_ogc.pth",
        "IDEA-Research/GroundingDINO, groundingdino/util/inference.py: load_model",
        "module.transformer.level_embed[4x4] module.bert.embeddings.position_ids[1x4]",
        lambda w: {"model": w}, "model"),
]

SEGMENTATION = [
    Layout(
        "nnU-Net v2", "checkpoint_final.pth",
        "MIC-DKFZ/nnUNet, nnunetv2/training/nnUNetTrainer/nnUNetTrainer.py: save_checkpoint",
        "encoder.stages.0.0.convs.0.conv.{weight[4x1x3x3],bias[4]} decoder.seg_layers.0.weight[2x4x1x1]",
        lambda w: {"network_weights": w, "optimizer_state": sgd(w), "grad_scaler_state": scaler(),
                   "logging": {"train_losses": [numpy.float32(0.1)]}, "_best_ema": numpy.float64(0.8),
                   "current_epoch": 1000, "init_args": {"device": torch.device("cuda")},
                   "trainer_name": "nnUNetTrainer", "inference_allowed_mirroring_axes": (0, 1)},
        "network_weights"),
    Layout(
        "DeepLabV3+", "best_deeplabv3plus_mobilenet_voc.pth", "VainF/DeepLabV3Plus-Pytorch, main.py: save_ckpt",
        "backbone.low_level_features.0.0.weight[4x3x3x3] classifier.classifier.3.bias[3]",
        lambda w: {"cur_itrs": 30000, "model_state": w, "optimizer_state": sgd(w), "scheduler_state": scheduler(),
                   "best_score": numpy.float64(0.7)},
        "model_state"),
    Layout("Segment Anything", "sam_vit_b_01ec64.pth", "facebookresearch/segment-anything, build_sam.py: _build_sam",
           "image_encoder.pos_embed[1x2x2x4] mask_decoder.iou_token.weight[1x4] "
           "prompt_encoder.no_mask_embed.weight[1x4]",
           lambda w: w),
    Layout("SAM 2", "sam2.1_hiera_tiny.pt", "facebookresearch/sam2, sam2/build_sam.py: _load_checkpoint",
           "maskmem_tpos_enc[7x1x1x4] image_encoder.trunk.pos_embed[1x4x2x2]", lambda w: {"model": w}, "model"),
    Layout("U-2-Net", "u2net.pth", "xuebinqin/U-2-Net, u2net_train.py",
           "stage1.rebnconvin.conv_s1.{weight[4x3x3x3],bias[4]} outconv.bias[1]", lambda w: w, write=legacy),
    Layout(
        "MONAI Swin UNETR", "model_final.pt",
        "Project-MONAI/research-contributions, SwinUNETR/BRATS21/trainer.py: save_checkpoint",
        "swinViT.patch_embed.proj.{weight[4x1x2x2],bias[4]}",
        lambda w: {"epoch": 299, "best_acc": 0.9, "state_dict": w, "optimizer": adamw(w), "scheduler": scheduler()},
        "state_dict"),
    Layout(
        "HRNet pose", "checkpoint.pth", "leoxiaobin/deep-high-resolution-net.pytorch, tools/train.py: main",
        "module.conv1.weight[4x3x3x3] module.final_layer.bias[3]",
        lambda w: {"epoch": 210, "model": "pose_hrnet", "state_dict": w,
                   "best_state_dict": {name[len("module."):]: tensor for name, tensor in w.items()},
                   "perf": 0.75, "optimizer": adam(w)},
        "state_dict"),
]

FACES_AND_KEYPOINTS = [
    Layout("InsightFace ArcFace", "model.pt", "deepinsight/insightface, recognition/arcface_torch/train_v2.py: main",
           "conv1.weight[4x3x3x3] bn1.running_mean[4] fc.{weight[4x4],bias[4]} features.weight[4]", lambda w: w),
    Layout(
        "InsightFace ArcFace, training", "checkpoint_gpu_0.pt",
        "deepinsight/insightface, recognition/arcface_torch/train_v2.py: main",
        "conv1.weight[4x3x3x3] fc.{weight[4x4],bias[4]}",
        lambda w: {"epoch": 20, "global_step": 100, "state_dict_backbone": w,
                   "state_dict_softmax_fc": {"weight": torch.ones(9, 4)}, "state_optimizer": sgd(w),
                   "state_lr_scheduler": scheduler()},
        "state_dict_backbone", candidates="state_dict_backbone state_dict_softmax_fc"),
    Layout("FaceNet", "20180402-114759-vggface2.pt",
           "timesler/facenet-pytorch, models/inception_resnet_v1.py: load_weights",
           "conv2d_1a.conv.weight[4x3x3x3] last_linear.weight[4x4] logits.bias[3]", lambda w: w, write=legacy),
    Layout("face-parsing", "79999_iter.pth", "zllrunning/face-parsing.PyTorch, train.py: train",
           "cp.resnet.conv1.weight[4x3x3x3] conv_out.conv_out.weight[3x4x1x1]", lambda w: w, write=legacy),
    Layout("OpenPose", "body_pose_model.pth", "Hzzone/pytorch-openpose, src/body.py: Body",
           "conv1_1.{weight[4x3x3x3],bias[4]} Mconv7_stage6_L2.bias[3]", lambda w: w, write=legacy),
    Layout(
        "Lightweight OpenPose", "checkpoint_iter_370000.pth",
        "Daniil-Osokin/lightweight-human-pose-estimation.pytorch, train.py: train",
        "model.0.0.weight[4x3x3x3] cpm.align.0.bias[4]",
        lambda w: {"state_dict": w, "optimizer": adam(w), "scheduler": scheduler(), "iter": 370000,
                   "current_epoch": 280},
        "state_dict"),
    Layout("SuperPoint", "superpoint_v1.pth", "magicleap/SuperPointPretrainedNetwork, demo_superpoint.py",
           "conv1a.{weight[4x1x3x3],bias[4]} convDb.bias[4]", lambda w: w, write=legacy),
    Layout("LightGlue", "superpoint_lightglue.pth", "cvg/LightGlue, lightglue/lightglue.py: LightGlue",
           "posenc.Wr.weight[2x2] transformers.0.self_attn.Wqkv.{weight[12x4],bias[12]}", lambda w: w),
    Layout(
        "R2D2", "r2d2_WASF_N16.pt", "naver/r2d2, train.py: TrainR2D2; extract.py: load_network",
        "ops.0.{weight[4x3x3x3],bias[4]} sal.bias[1]",
        lambda w: {"net": "Quad_L2Net_ConfCFS()", "state_dict": w}, "state_dict"),
    Layout("LPIPS", "vgg.pth", "richzhang/PerceptualSimilarity, lpips/lpips.py: LPIPS",
           "lin0.model.1.weight[1x4x1x1] lin1.model.1.weight[1x4x1x1]", lambda w: w, write=legacy),
    Layout(
        "Deep SORT", "ckpt.t7", "ZQPei/deep_sort_pytorch, deep_sort/deep/train.py: test; feature_extractor.py",
        "conv.0.{weight[4x3x3x3],bias[4]} classifier.4.bias[3]",
        lambda w: {"net_dict": w, "acc": 98.5, "epoch": 40}, "net_dict", write=legacy),
]

GEOMETRY = [
    Layout("MiDaS", "dpt_hybrid_384.pt", "isl-org/MiDaS, midas/base_model.py: load",
           "pretrained.model.patch_embed.proj.weight[4x3x2x2] scratch.output_conv.4.bias[1]", lambda w: w),
    Layout(
        "MiDaS, training", "model.pt", "isl-org/MiDaS, midas/base_model.py: load",
        "pretrained.layer1.0.weight[4x3x3x3] scratch.output_conv.4.bias[1]",
        lambda w: {"optimizer": adam(w), "model": w}, "model"),
    Layout("Depth Anything V2", "depth_anything_v2_vits.pth", "DepthAnything/Depth-Anything-V2, run.py",
           "pretrained.cls_token[1x1x4] depth_head.projects.0.{weight[4x4x1x1],bias[4]}", lambda w: w),
    Layout(
        "Depth Anything V2 metric", "latest.pth", "DepthAnything/Depth-Anything-V2, metric_depth/train.py: main",
        "module.pretrained.cls_token[1x1x4] module.depth_head.projects.0.bias[4]",
        lambda w: {"model": w, "optimizer": adamw(w), "epoch": 39,
                   "previous_best": {"d1": 0.9, "abs_rel": 0.1}},
        "model"),
    Layout("Monodepth2 encoder", "encoder.pth", "nianticlabs/monodepth2, trainer.py: save_model",
           "encoder.conv1.weight[4x3x3x3] encoder.bn1.running_mean[4]",
           lambda w: w | {"height": 192, "width": 640, "use_stereo": False}, unused="height width use_stereo",
           write=legacy),
    Layout("Monodepth2 optimizer", "adam.pth", "nianticlabs/monodepth2, trainer.py: save_model",
           "encoder.conv1.weight[4x3x3x3]", adam, None),
    Layout("RAFT", "raft-things.pth", "princeton-vl/RAFT, train.py: train",
           "module.fnet.conv1.{weight[4x3x3x3],bias[4]} module.update_block.mask.2.bias[4]", lambda w: w, write=legacy),
    Layout("RIFE", "flownet.pkl", "hzwer/ECCV2022-RIFE, model/RIFE.py: save_model",
           "module.block0.conv0.0.0.{weight[4x3x3x3],bias[4]}", lambda w: w),
    Layout(
        "NeRF", "200000.tar", "yenchenlin/nerf-pytorch, run_nerf.py: train",
        "pts_linears.0.{weight[4x3],bias[4]} rgb_linear.bias[3]",
        lambda w: {"global_step": 200000, "network_fn_state_dict": like(w), "network_fine_state_dict": w,
                   "optimizer_state_dict": adam(w)},
        "network_fine_state_dict", candidates="network_fn_state_dict network_fine_state_dict"),
    Layout(
        "Nerfstudio", "step-000029999.ckpt", "nerfstudio-project/nerfstudio, nerfstudio/engine/trainer.py: "
        "save_checkpoint",
        "_model.field.mlp_base.0.hash_table[8x2] datamanager.train_camera_optimizer.pose_adjustment[3x6]",
        lambda w: {"step": 29999, "pipeline": w, "optimizers": {"fields": adam(w), "proposal_networks": adam(w)},
                   "schedulers": {"fields": scheduler()}, "scalers": scaler()},
        "pipeline"),
    Layout("3D Gaussian Splatting", "chkpnt30000.pth",
           "graphdeco-inria/gaussian-splatting, scene/gaussian_model.py: capture; train.py: training",
           "0.{1[9x3],2[9x1x3],3[9x15x3],4[9x3],5[9x4],6[9x1],7[9],8[9x1],9[9x1]}",
           lambda w: ((3, *w.values(), adam(w), 5.0), 30000), unused="0.0 0.10 0.11 1"),
    Layout("PointNet++", "best_model.pth", "yanx27/Pointnet_Pointnet2_pytorch, train_classification.py: main",
           "sa1.mlp_convs.0.{weight[4x6x1x1],bias[4]} fc3.bias[3]",
           lambda w: {"epoch": 200, "instance_acc": numpy.float64(0.92), "class_acc": numpy.float64(0.9),
                      "model_state_dict": w, "optimizer_state_dict": adam(w)},
           "model_state_dict"),
    Layout(
        "OpenPCDet", "checkpoint_epoch_80.pth", "open-mmlab/OpenPCDet, tools/train_utils/train_utils.py: "
        "checkpoint_state",
        "global_step[1] vfe.pfn_layers.0.linear.weight[4x4] dense_head.conv_cls.bias[3]",
        lambda w: {"epoch": 80, "it": 1000, "model_state": w, "optimizer_state": adam(w), "version": "pcdet+0.6.0"},
        "model_state"),
]

ROWS = CLASSIFICATION + DETECTION + SEGMENTATION + FACES_AND_KEYPOINTS + GEOMETRY
