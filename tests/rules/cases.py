"""Which saved Trace must make which rule speak, and which looks like it and must not.

The lines are those of the script in the Trace, by what happened there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graphlab.trace.finding import Severity
from graphlab.trace.model import Trace
from graphlab.trace.store import loads

TRACES = Path(__file__).with_name("traces")
FILMS = Path(__file__).parents[1] / "views" / "films"
_SHORT = ("--steps", "8", "--device", "cpu")


@dataclass(frozen=True, slots=True)
class Case:
    """`script` is what was run: a file, or the example of a rule's page. `code` is the rule that
    this is about. It speaks, and no other above info does, where `severity` is given; where it is
    not, none does. Then come the finding's tensor and lines, None for what it does not name."""

    code: str
    script: str
    severity: Severity | None = None
    tensor: str | None = None
    saved: int | None = None
    mutated: int | None = None
    freed: int | None = None
    failed: int | None = None
    cause: int | None = None
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The Trace's file, without its suffix."""
        path, _, section = self.script.partition("#")
        words = [Path(path).stem, *section.split()]
        return "_".join(words).lower()

    def trace(self) -> Trace:
        return loads((TRACES / f"{self.name}.json").read_text(encoding="utf-8"))


SPEAKING = (
    Case("GL000", "tests/corpus/errors/gradient_hook_reshapes.py", "error",
         failed=31, cause=15),
    Case("GL000", "tests/corpus/errors/quantiser_unpacks_nothing.py", "error",
         saved=23, failed=32, cause=17),
    Case("GL001", "tests/corpus/errors/gan_one_forward.py", "error",
         "netD.score.weight", saved=31, mutated=64, failed=68),
    Case("GL001", "scenarios/softmaxgan/naive.py", "error",
         "D.4.weight", saved=31, mutated=38, failed=43, arguments=_SHORT),
    Case("GL001", "tests/corpus/errors/style_transfer_inplace_relu.py", "error",
         "features", saved=12, mutated=67, failed=71),
    Case("GL001", "tests/corpus/errors/noisy_dqn_resample.py", "error",
         "online.head.epsilon", saved=28, mutated=12, failed=69),
    Case("GL001", "tests/corpus/errors/char_rnn_retain_graph.py", "error",
         "rnn.i2h.weight", saved=19, mutated=45, failed=44),
    Case("GL001", "tests/corpus/errors/center_loss_recorded_update.py", "error",
         "center.centers", saved=15, mutated=18, failed=28, cause=18),
    Case("GL002", "tests/corpus/errors/lstm_hidden_kept.py", "error",
         saved=19, freed=38, failed=38),
    Case("GL002", "tests/corpus/errors/r1_penalty_freed.py", "error",
         saved=16, freed=20, failed=32),
    Case("GL002", "scenarios/softmaxgan/detach_as_printed.py", "error",
         saved=31, freed=36, failed=44, arguments=_SHORT),
    Case("GL002", "scenarios/softmaxgan/joint_as_printed.py", "error",
         saved=33, freed=39, failed=45, arguments=_SHORT),
    Case("GL002", "tests/corpus/errors/ddpm_running_total.py", "error",
         saved=38, freed=40, failed=40),
    Case("GL003", "tests/corpus/errors/manual_sgd_step.py", "error",
         "params[0][0]", mutated=29, failed=29),
    Case("GL004", "tests/corpus/errors/chunk_clamped.py", "error",
         "logvar", mutated=15, failed=15, cause=14),
    Case("GL004", "tests/corpus/errors/gates_scaled_after_chunk.py", "error",
         "reset", mutated=17, failed=18, cause=16),
    Case("GL005", "tests/corpus/errors/segmentation_argmax_dice.py", "error",
         "loss", failed=51, cause=28),
    Case("GL005", "tests/corpus/errors/ensemble_loss_rebuilt.py", "error",
         "loss", failed=62, cause=37),
    Case("GL005", "tests/corpus/errors/frozen_with_class_weights.py", "error",
         "loss", failed=17, cause=10),
    Case("GL006", "tests/corpus/errors/pinn_time_derivative.py", "error",
         "wrt", failed=23),
    Case("GL006", "tests/corpus/errors/inner_step_frozen_encoder.py", "error",
         "model.encoder.0.weight", failed=26, cause=21),
    Case("GL007", "tests/corpus/errors/multitask_loss_vector.py", "error",
         "loss", failed=53),
    Case("GL004", "tests/corpus/errors/relevance_hooks_before_inplace_relu.py", "error",
         "out", mutated=14, failed=14, cause=34),
    Case("GL005", "tests/corpus/errors/activation_hook_in_evaluation.py", "error",
         "hidden", failed=14, cause=32),
    Case("GL009", "tests/corpus/errors/causal_mask_from_validation.py", "error",
         "self.biases[5]", failed=23, cause=44),
    Case("GL009", "tests/corpus/errors/observation_statistics.py", "error",
         "self.deviation", failed=15, cause=30),
    Case("GL012", "tests/corpus/errors/prompt_moved_after_requires_grad.py", "error",
         "self.prompt", failed=20, cause=26),
    Case("GL012", "tests/corpus/errors/gradient_of_a_new_weight.py", "error",
         "parameter", failed=24, cause=19),
    Case("GL013", "tests/corpus/errors/hidden_state_for_a_batch.py", "error",
         "self.state['hidden']", mutated=30, failed=30, cause=12),
    Case("GL013", "tests/corpus/errors/coordinate_channels.py", "error",
         "y", mutated=15, failed=15, cause=8),
    Case("GL014", "tests/corpus/errors/kinematics_under_vmap.py", "error",
         "matrix", mutated=12, failed=12, cause=11),
    Case("GL014", "tests/corpus/errors/per_sample_histogram.py", "error",
         "counts", mutated=16, failed=16, cause=11),
    Case("GL015", "tests/corpus/errors/loss_curve_smoothed.py", "error",
         "curve[0]", failed=23, cause=15),
    Case("GL015", "tests/corpus/errors/attention_map_to_numpy.py", "error",
         "model.weights", failed=22, cause=15),
    Case("GL007", "tests/corpus/errors/criterion_without_reduction.py", "error",
         "loss", failed=17, cause=11),
    Case("GL008", "tests/corpus/errors/cached_decoder_checkpoint.py", "error",
         failed=58, cause=30),
    Case("GL008", "tests/corpus/errors/reentrant_input_gradient.py", "error",
         failed=24, cause=17),
    Case("GL010", "tests/corpus/errors/distance_layer_one_gradient.py", "error",
         saved=31, failed=41, cause=21),
    Case("GL010", "tests/corpus/errors/affine_transposed_gradient.py", "error",
         saved=29, failed=39, cause=19),
    Case("GL011", "tests/corpus/errors/eikonal_custom_cube.py", "error",
         saved=29, failed=41, cause=16),
    Case("GL011", "tests/corpus/errors/attention_gradient_penalty.py", "error",
         saved=19, failed=38, cause=19),
    Case("GL101", "scenarios/softmaxgan/joint.py", "warning",
         failed=41, cause=38, arguments=_SHORT),
    Case("GL101", "tests/corpus/silent/actor_loss_in_critic.py", "warning",
         failed=18, cause=22),
    Case("GL102", "tests/corpus/silent/zero_grad_of_a_submodule.py", "warning",
         "tagger.encoder.bag.weight", failed=39, cause=36),
    Case("GL102", "tests/corpus/silent/sharpness_aware_closure.py", "warning",
         "classifier.0.weight", failed=43, cause=39),
    Case("GL103", "tests/corpus/silent/layers_in_a_list.py", "warning",
         "model.hids[2].weight", failed=50, cause=13),
    Case("GL104", "tests/corpus/silent/head_replaced.py", "warning",
         "model.fc.weight", failed=53, cause=44),
    Case("GL105", "tests/corpus/errors/wgan_data_clip.py", "warning",
         "critic.fc2.weight", saved=26, mutated=31, failed=60, cause=31),
    Case("GL106", "tests/corpus/silent/embedding_bank.py", "warning",
         "self.bank.keys", failed=52, cause=23),
    Case("GL106", "tests/corpus/silent/running_loss_tensor.py", "warning",
         "running_loss", cause=41),
    Case("GL107", "tests/corpus/silent/encoder_updated_twice.py", "warning",
         "agent.encoder.conv.weight", failed=49, cause=36),
    Case("GL107", "tests/corpus/silent/head_in_both_optimizers.py", "warning",
         "model.head.weight", failed=29, cause=21),
    Case("GL108", "docs/rules/GL108.md#Example", "info",
         failed=14, cause=12),
    Case("GL109", "tests/corpus/silent/step_twice.py", "warning",
         "model.inner.weight", failed=48),
    Case("GL109", "tests/corpus/silent/zeros_moved_by_momentum.py", "warning",
         "model.0.weight", failed=19),
    Case("GL110", "tests/corpus/silent/head_never_called.py", "warning",
         "model.model.fc.weight", failed=37, cause=13),
    Case("GL102", "tests/corpus/silent/attack_keeps_its_gradient.py", "warning",
         "noise", failed=15, cause=16),
    Case("GL103", "tests/corpus/silent/branches_in_a_private_list.py", "warning",
         "model.merge._branches[1].bias", mutated=12, failed=36, cause=10),
    Case("GL110", "tests/corpus/silent/overlap_told_to_require_grad.py", "warning",
         "net.0.weight", failed=21, cause=9),
    Case("GL117", "tests/corpus/silent/tied_before_the_decoder_changed.py", "warning",
         "lm.body.embed.weight", cause=33),
    Case("GL103", "tests/corpus/silent/gain_moved_off_the_module.py", "warning",
         "model.gain.log_gain", failed=35, cause=10),
    Case("GL104", "tests/corpus/silent/assigned_under_the_optimizer.py", "warning",
         "self.net.0.weight", failed=26, cause=18),
    Case("GL106", "tests/corpus/silent/two_running_means.py", "warning",
         "self.entropy.value", cause=12),
    Case("GL110", "tests/corpus/silent/uncertainties_by_value.py", "warning",
         "weighting.log_sigma.0", cause=13),
    Case("GL110", "tests/corpus/errors/scaler_finds_no_gradient.py", "error",
         "generator.net.0.weight", failed=37, cause=19),
    Case("GL110", "tests/corpus/errors/meta_gradients_averaged.py", "error",
         "model.pooler.weight", failed=33, cause=13),
    Case("GL113", "tests/corpus/silent/early_stopping_by_reference.py", "warning",
         "self.best_state", failed=21, cause=15),
    Case("GL113", "tests/corpus/silent/target_is_the_online_net.py", "warning",
         "self.target", failed=29, cause=12),
    Case("GL116", "tests/corpus/silent/backbone_flag_on_module.py", "warning",
         "model.blocks.0.lin.weight", cause=32),
    Case("GL116", "tests/corpus/silent/flag_misspelt.py", "warning",
         "model.encoder.2.weight", cause=22),
    Case("GL117", "tests/corpus/silent/resumed_without_tie.py", "warning",
         "trainer.model.embed.weight", cause=27),
    Case("GL117", "tests/corpus/silent/vocabulary_grown.py", "warning",
         "model.embed.weight", cause=25),
    Case("GL121", "tests/corpus/clean/one_block_repeated.py", "info",
         "model.blocks.0.0.weight", cause=11),
    Case("GL121", "tests/corpus/clean/one_norm_in_all_places.py", "info",
         "model.blocks.1.weight", cause=13),
    Case("GL111", "tests/corpus/silent/sharpening_gan.py", "warning",
         failed=28, cause=29),
    Case("GL111", "tests/corpus/silent/temperature_not_stepped.py", "warning",
         failed=52, cause=52),
    Case("GL112", "tests/corpus/silent/micro_batches_cleared.py", "warning",
         failed=28, cause=26),
    Case("GL112", "tests/corpus/silent/cleared_before_the_step.py", "warning",
         failed=31, cause=32),
    Case("GL114", "tests/corpus/silent/segmentation_amp_clip.py", "warning",
         failed=32, cause=31),
    Case("GL114", "tests/corpus/silent/language_model_clip_late.py", "warning",
         failed=32, cause=33),
    Case("GL114", "tests/corpus/silent/parameters_kept_as_a_generator.py", "warning",
         cause=31),
    Case("GL115", "tests/corpus/silent/spike_rates_exp_twice.py", "warning",
         cause=14, failed=26),
    Case("GL115", "tests/corpus/silent/softmax_in_the_model.py", "warning",
         failed=34, cause=13),
    Case("GL115", "tests/corpus/silent/sigmoid_before_logits_loss.py", "warning",
         failed=23, cause=17),
    Case("GL115", "tests/corpus/silent/student_of_probabilities.py", "warning",
         failed=22, cause=21),
    Case("GL118", "tests/corpus/silent/alignment_term_as_number.py", "warning",
         failed=27, cause=24),
    Case("GL118", "tests/corpus/silent/penalty_without_create_graph.py", "warning",
         failed=28, cause=11),
    Case("GL119", "docs/rules/GL119.md#Example", "info", cause=12),
    Case("GL120", "tests/corpus/silent/rounded_code.py", "warning",
         "codec.encode.0.weight", failed=37, cause=15),
    Case("GL122", "tests/corpus/silent/validated_within_the_epoch.py", "warning",
         failed=36, cause=27),
    Case("GL123", "tests/corpus/silent/demand_per_node.py", "warning",
         failed=47, cause=33),
    Case("GL124", "tests/corpus/silent/frozen_norms_put_back.py", "warning",
         failed=31, cause=26),
    Case("GL125", "tests/corpus/silent/critic_weights_not_clamped.py", "warning",
         cause=21),
    Case("GL126", "tests/corpus/silent/teacher_with_old_statistics.py", "warning",
         cause=20),
    Case("GL127", "tests/corpus/silent/rate_set_on_the_optimizer.py", "warning",
         cause=12),
    Case("GL127", "tests/corpus/silent/norms_decayed_all_the_same.py", "warning",
         cause=28),
    Case("GL128", "tests/corpus/silent/encoder_loaded_under_a_prefix.py", "warning",
         cause=42),
    Case("GL129", "tests/corpus/silent/gradient_scaled_once_more_each_step.py", "warning",
         cause=23),
    Case("GL129", "tests/corpus/silent/features_hooked_for_each_batch.py", "warning",
         cause=10),
    Case("GL130", "tests/corpus/silent/tag_scores_viewed_as_classes.py", "warning",
         failed=29, cause=27),
    Case("GL131", "tests/corpus/silent/pairs_marked_with_zero.py", "warning",
         cause=16),
    Case("GL125", "tests/corpus/silent/fisher_never_added.py", "warning",
         cause=24),
    Case("GL124", "tests/corpus/silent/teacher_in_training_mode.py", "warning",
         failed=34, cause=30),
    Case("GL201", "tests/corpus/silent/entropy_of_confident_policy.py", "warning",
         "policy.body.0.weight", failed=33, cause=18),
    Case("GL202", "tests/corpus/silent/distances_of_equal_points.py", "warning",
         "embed.2.weight", failed=22),
)  # fmt: skip

SILENT = (
    Case("GL000", "tests/corpus/clean/backward_stopped_on_purpose.py"),
    Case("GL001", "scenarios/softmaxgan/recompute.py", arguments=_SHORT),
    Case("GL002", "tests/corpus/clean/several_backwards.py"),
    Case("GL003", "tests/corpus/clean/hand_written_sgd.py"),
    Case("GL004", "tests/corpus/clean/inplace_operations.py"),
    Case("GL005", "tests/corpus/clean/eval_and_running_totals.py"),
    Case("GL006", "tests/corpus/clean/wgan_gradient_penalty.py"),
    Case("GL007", "tests/corpus/clean/per_sample_gradients.py"),
    Case("GL009", "tests/corpus/clean/inference_mode_evaluation.py"),
    Case("GL012", "tests/corpus/clean/leaves_made_last.py"),
    Case("GL013", "tests/corpus/clean/expanded_and_only_read.py"),
    Case("GL014", "tests/corpus/clean/vmap_with_mapped_buffers.py"),
    Case("GL008", "tests/corpus/clean/checkpoint_with_counters.py"),
    Case("GL010", "tests/corpus/clean/custom_functions_of_all_kinds.py"),
    Case("GL011", "tests/corpus/clean/gradients_of_what_is_trained.py"),
    Case("GL101", "scenarios/softmaxgan/joint_isolated.py", arguments=_SHORT),
    Case("GL101", "tests/corpus/clean/gradient_surgery.py"),
    Case("GL102", "tests/corpus/clean/gradient_accumulation.py"),
    Case("GL103", "tests/corpus/clean/frozen_backbone.py"),
    Case("GL104", "tests/corpus/clean/gradual_unfreezing.py"),
    Case("GL105", "tests/corpus/clean/wgan_clipping.py"),
    Case("GL106", "tests/corpus/clean/truncated_bptt.py"),
    Case("GL107", "tests/corpus/clean/infogan_three_optimizers.py"),
    Case("GL107", "tests/corpus/clean/adversarial_autoencoder.py"),
    Case("GL108", "docs/rules/GL108.md#Use instead"),
    Case("GL109", "tests/corpus/clean/nan_skip.py"),
    Case("GL109", "tests/corpus/clean/heads_by_turns.py"),
    Case("GL110", "tests/corpus/clean/mixture_of_experts.py"),
    Case("GL110", "tests/corpus/clean/gradients_that_may_be_none.py"),
    Case("GL015", "tests/corpus/clean/gradients_that_may_be_none.py"),
    Case("GL102", "tests/corpus/clean/attack_that_clears.py"),
    Case("GL117", "tests/corpus/clean/another_head_for_another_task.py"),
    Case("GL103", "tests/corpus/clean/points_that_require_grad.py"),
    Case("GL103", "tests/corpus/clean/universal_perturbation.py"),
    Case("GL103", "tests/corpus/clean/probe_around_a_backbone.py"),
    Case("GL113", "tests/corpus/clean/best_weights_deep_copied.py"),
    Case("GL113", "tests/corpus/clean/federated_rounds.py"),
    Case("GL116", "tests/corpus/clean/own_requires_grad_attribute.py"),
    Case("GL116", "tests/corpus/clean/freezable_by_property.py"),
    Case("GL117", "tests/corpus/clean/tied_again_after_loading.py"),
    Case("GL117", "tests/corpus/clean/untied_on_purpose.py"),
    Case("GL121", "tests/corpus/clean/copies_of_one_block.py"),
    Case("GL121", "tests/corpus/clean/one_activation_everywhere.py"),
    Case("GL111", "tests/corpus/clean/fixed_discriminator.py"),
    Case("GL111", "tests/corpus/clean/adam_then_lbfgs.py"),
    Case("GL112", "tests/corpus/clean/projected_gradients.py"),
    Case("GL112", "tests/corpus/clean/fisher_and_consolidation.py"),
    Case("GL114", "tests/corpus/clean/norms_for_the_log.py"),
    Case("GL114", "tests/corpus/clean/scaler_and_accumulation.py"),
    Case("GL114", "tests/corpus/clean/parameters_read_as_often_as_needed.py"),
    Case("GL115", "tests/corpus/clean/distilled_attention.py"),
    Case("GL115", "tests/corpus/clean/rates_and_their_logarithms.py"),
    Case("GL118", "tests/corpus/clean/baseline_and_reference.py"),
    Case("GL118", "tests/corpus/clean/values_swapped_in.py"),
    Case("GL119", "docs/rules/GL119.md#Use instead"),
    Case("GL120", "tests/corpus/clean/zero_initialised_branches.py"),
    Case("GL122", "tests/corpus/clean/modes_put_back_or_meant.py"),
    Case("GL123", "tests/corpus/clean/all_pairs_on_purpose.py"),
    Case("GL124", "tests/corpus/clean/frozen_parts_stay_in_eval.py"),
    Case("GL125", "tests/corpus/clean/calls_whose_results_are_dropped.py"),
    Case("GL126", "tests/corpus/clean/averages_of_all_kinds.py"),
    Case("GL127", "tests/corpus/clean/settings_that_are_read.py"),
    Case("GL128", "tests/corpus/clean/parts_loaded_by_name.py"),
    Case("GL129", "tests/corpus/clean/hooks_that_stay_or_go.py"),
    Case("GL130", "tests/corpus/clean/scores_in_the_order_of_the_loss.py"),
    Case("GL131", "tests/corpus/clean/labels_of_plus_and_minus_one.py"),
    Case("GL201", "tests/corpus/clean/infinite_on_purpose.py"),
    Case("GL202", "tests/corpus/clean/distances_with_an_epsilon.py"),
)  # fmt: skip

ALL = (*SPEAKING, *SILENT)

# Of these a film is kept as well, for tests/views.
FILMED = (
    Case("GL001", "tests/views/scripts/stale_weight.py"),
    Case("GL102", "docs/rules/GL102.md#Example"),
)


def table() -> list[str]:
    """The rows of README.md: a code, the Traces that make it speak, its look-alikes."""
    return [
        f"| {code} | {_names(SPEAKING, code)} | {_names(SILENT, code)} |"
        for code in dict.fromkeys(case.code for case in ALL)
    ]


def _names(cases: tuple[Case, ...], code: str) -> str:
    return ", ".join(f"`{case.name}`" for case in cases if case.code == code)
