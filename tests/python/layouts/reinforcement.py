"""Reinforcement learning and games."""

import numpy
import torch

from layouts.layout import Layout
from layouts.pieces import adam, like, module, prefixed, rmsprop, state, torchscript, under

ACTOR = "mlp.0.{weight[4x3],bias[4]}"
SB3 = "mlp_extractor.policy_net.0.{weight[4x3],bias[4]} action_net.{weight[2x4],bias[2]} value_net.bias[1]"
POSITIONS = ("landlord", "landlord_up", "landlord_down")
STATISTICS = {"running_mean": torch.zeros(3, dtype=torch.float64), "running_variance": torch.ones(3),
              "current_count": torch.tensor(9.0)}


AGENTS = [
    Layout("Stable-Baselines3 policy", "policy.pth",
           "DLR-RM/stable-baselines3, stable_baselines3/common/save_util.py: save_to_zip_file", SB3, lambda w: w),
    Layout("Stable-Baselines3 optimizer", "policy.optimizer.pth",
           "DLR-RM/stable-baselines3, common/on_policy_algorithm.py: _get_torch_save_params", SB3, adam, None),
    Layout(
        "skrl PPO", "agent_20000.pt", "Toni-SM/skrl, skrl/agents/torch/base.py: write_checkpoint",
        "log_std_parameter[2] net_container.0.{weight[4x3],bias[4]} policy_layer.bias[2]",
        lambda w: {"policy": w, "value": state("net_container.0.weight[4x3]"), "optimizer": adam(w),
                   "state_preprocessor": STATISTICS, "value_preprocessor": STATISTICS},
        "policy"),
    Layout(
        "skrl SAC", "agent_20000.pt", "Toni-SM/skrl, skrl/agents/torch/sac/sac.py: SAC.init",
        "net_container.0.{weight[4x3],bias[4]}",
        lambda w: {"policy": w, "critic_1": like(w), "critic_2": like(w), "target_critic_1": like(w),
                   "target_critic_2": like(w), "policy_optimizer": adam(w), "critic_optimizer": adam(w),
                   "entropy_optimizer": adam({"w": torch.ones(1)})},
        "policy"),
    Layout(
        "RL Games", "last_Ant_ep_500.pth", "Denys88/rl_games, rl_games/common/a2c_common.py: get_full_state_weights",
        "running_mean_std.{running_mean[3],count[]} a2c_network.sigma[2] a2c_network.actor_mlp.0.{weight[4x3],bias[4]}",
        lambda w: {"model": w, "epoch": 500, "frame": 9, "optimizer": adam(w),
                   "last_mean_rewards": numpy.float32(1.5), "env_state": None},
        "model"),
    Layout(
        "RSL-RL", "model_1500.pt", "leggedrobotics/rsl_rl, rsl_rl/algorithms/ppo.py: save; runners/on_policy_runner.py",
        "mlp.0.{weight[4x3],bias[4]} distribution.std_param[2]",
        lambda w: {"actor_state_dict": w, "critic_state_dict": state("mlp.0.{weight[4x3],bias[4]}"),
                   "optimizer_state_dict": adam(w), "iter": 1500, "infos": None},
        "actor_state_dict", candidates="actor_state_dict critic_state_dict"),
    Layout(
        "RSL-RL 2", "model_1500.pt", "leggedrobotics/rsl_rl, rsl_rl/runners/on_policy_runner.py: save (2.x)",
        "std[2] actor.0.{weight[4x3],bias[4]} critic.0.weight[4x3]",
        lambda w: {"model_state_dict": w, "optimizer_state_dict": adam(w), "iter": 1500, "infos": None},
        "model_state_dict"),
    Layout("CleanRL DQN", "dqn.cleanrl_model", "vwxyzjn/cleanrl, cleanrl/dqn.py", "network.0.{weight[4x3],bias[4]}",
           lambda w: w),
    Layout("CleanRL DDPG", "ddpg_continuous_action.cleanrl_model",
           "vwxyzjn/cleanrl, cleanrl/ddpg_continuous_action.py", "{0,1}.fc1.{weight[4x3],bias[4]} 0.action_scale[1x1]",
           lambda w: (under("0", w), under("1", w))),
    Layout("CleanRL C51", "c51.cleanrl_model", "vwxyzjn/cleanrl, cleanrl/c51.py",
           "atoms[5] network.0.{weight[4x3],bias[4]}",
           lambda w: {"model_weights": w, "args": {"seed": 1, "n_atoms": 5}}, "model_weights"),
    Layout(
        "d3rlpy DQN", "model_1000.pt", "takuseno/d3rlpy, d3rlpy/torch_utility.py: Checkpointer.save",
        "0._encoder._layers.0.{weight[4x3],bias[4]}",
        lambda w: {"q_funcs": w, "targ_q_funcs": like(w), "optim": {"optim": adam(w), "lr_scheduler": None}},
        "q_funcs", candidates="q_funcs targ_q_funcs"),
    Layout("Tianshou", "policy.pth", "thu-ml/tianshou, examples/atari/atari_c51.py: save_best_fn",
           "model.net.0.{weight[4x3x2x2],bias[4]} model_old.net.0.{weight[4x3x2x2],bias[4]} support[5]", lambda w: w),
    Layout("Tianshou, training", "checkpoint.pth",
           "thu-ml/tianshou, test/discrete/test_c51.py: save_checkpoint_fn (0.5)",
           "model.net.0.{weight[4x3],bias[4]}", lambda w: {"model": w, "optim": adam(w)}, "model"),
    Layout("Spinning Up", "model.pt", "openai/spinningup, spinup/utils/logx.py: _pytorch_simple_save",
           "pi.log_std[2] pi.mu_net.0.{weight[4x3],bias[4]} v.v_net.0.weight[4x3]",
           lambda w: module(w, "spinup.algos.pytorch.ppo.core.MLPActorCritic"), unused=""),
    Layout(
        "Sample Factory", "checkpoint_000000978_4005888.pth",
        "alex-petrenko/sample-factory, sample_factory/algo/learning/learner.py: _get_checkpoint_dict",
        "obs_normalizer.running_mean_std.running_mean_std.obs.running_mean[3] critic_linear.bias[1]",
        lambda w: {"train_step": 9, "env_steps": 900, "best_performance": -1.5, "model": w, "optimizer": adam(w),
                   "curr_lr": 1e-4},
        "model"),
    Layout(
        "DreamerV3 (PyTorch)", "latest.pt", "NM512/dreamerv3-torch, dreamer.py: main",
        "_wm.encoder._mlp.layers.0.weight[4x3] _task_behavior.actor.layers.bias[4]",
        lambda w: {"agent_state_dict": w, "optims_state_dict": {"_wm._model_opt._opt": adam(w),
                                                               "_task_behavior._actor_opt._opt": adam(w)}},
        "agent_state_dict"),
    Layout("d3rlpy policy (TorchScript)", "policy.pt", "takuseno/d3rlpy, d3rlpy/algos/qlearning/base.py: save_policy",
           "_q_funcs.0._fc.{weight[2x4],bias[2]}", module, write=torchscript, unused=""),
    Layout("ACT", "policy_best.ckpt", "tonyzhaozh/act, imitate_episodes.py: train_bc",
           "model.action_head.{weight[2x4],bias[2]} model.is_pad_head.bias[1]", lambda w: w),
    Layout("PFRL optimizer", "optimizer.pt", "pfrl/pfrl, pfrl/agent.py: AttributeSavingMixin.save", ACTOR, rmsprop,
           None),
]

GAMES = [
    Layout(
        "KataGo", "checkpoint.ckpt", "lightvector/KataGo, python/train.py: save; python/katago/train/load_model.py",
        "conv_spatial.weight[4x3x3x3] blocks.0.normactconvp.conv.weight[4x4x3x3] policy_head.conv1p.weight[4x4x1x1]",
        lambda w: {"model": w, "optimizer": adam(w), "metrics": {"moving_unowned_proportion_sum": 0.5},
                   "running_metrics": {"sums": {"loss": 1.5}, "weights": {"loss": 1.0}},
                   "train_state": {"global_step_samples": 9}, "last_val_metrics": {}, "config": {"version": 14}},
        "model"),
    Layout(
        "KataGo with SWA", "checkpoint.ckpt", "lightvector/KataGo, python/katago/train/load_model.py: load_model",
        "conv_spatial.weight[4x3x3x3] policy_head.conv1p.weight[4x4x1x1]",
        lambda w: {"model": w, "metrics": {}, "running_metrics": {}, "train_state": {}, "last_val_metrics": {},
                   "config": {"version": 14},
                   "swa_model": {"n_averaged": torch.tensor(9)} | prefixed("module.", like(w))},
        "model"),
    Layout("AlphaZero General", "best.pth.tar",
           "suragnair/alpha-zero-general, othello/pytorch/NNet.py: save_checkpoint",
           "conv1.{weight[4x1x3x3],bias[4]} bn1.{running_mean[4],num_batches_tracked[]} fc4.bias[1]",
           lambda w: {"state_dict": w}, "state_dict"),
    Layout(
        "MuZero General", "model.checkpoint", "werner-duvaud/muzero-general, muzero.py: MuZero; self_play.py",
        "representation_network.module.conv.weight[4x3x3x3] prediction_network.module.fc_value.0.bias[4]",
        lambda w: {"weights": dict(w), "optimizer_state": adam(w), "total_reward": 0, "muzero_reward": 0,
                   "episode_length": 9, "training_step": 9, "lr": 0.003, "total_loss": 1.5, "num_played_games": 1,
                   "terminate": False},
        "weights"),
    Layout("DouZero", "landlord.ckpt", "kwai/DouZero, douzero/dmc/dmc.py: train",
           "lstm.{weight_ih_l0[16x3],bias_hh_l0[16]} dense1.{weight[4x4],bias[4]}", lambda w: w),
    Layout(
        "DouZero, training", "model.tar", "kwai/DouZero, douzero/dmc/dmc.py: train",
        "{landlord,landlord_up,landlord_down}.dense1.{weight[4x4],bias[4]}",
        lambda w: {"model_state_dict": {name: under(name, w) for name in POSITIONS},
                   "optimizer_state_dict": {name: rmsprop(under(name, w)) for name in POSITIONS},
                   "stats": {"loss_landlord": 0.5}, "flags": {"xpid": "douzero"}, "frames": 9,
                   "position_frames": {"landlord": 9}},
        "model_state_dict"),
]

ROWS = AGENTS + GAMES
