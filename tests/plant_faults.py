"""Plant faults in copies of the package, one at a time, and see that each turns at least one test red.

    scripts/test --faults               # all of them, their tests seen green without a fault first
    scripts/test --faults seed bias     # those whose name contains one of the words
    scripts/test --faults --change      # in at most 90 s: five chosen by the commit's hash, then those in files that lately changed

The checkout itself is never touched. Exit code 1 when a test is red without a fault, and when a fault goes unnoticed or does not
apply any more. Where the system can fork, each fault is tried in a child of one process that has the libraries loaded already.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Fault:
    """A change of one place in one file, and the tests that have to notice."""

    name: str
    file: str
    right: str
    wrong: str
    tests: str


FAULTS = (
    Fault("axes swapped in the record", "sweep/result_writer.py", "arrays[name][index] = number", "arrays[name][index[::-1]] = number", "tests/test_acceptance.py"),
    Fault("axes swapped in the file", "io/file_writer.py", "target[index] = value", "target[index[::-1]] = value", "tests/io/test_file.py::test_recorded_points_are_there_and_others_are_not"),
    Fault("marks reach the disk before their values", "io/file_writer.py", "for pending in (self._values, self._marks):", "for pending in (self._marks, self._values):", "tests/io/test_file.py::test_values_are_on_the_disk_before_a_mark_is_written"),
    Fault("wrong filter axis", "core/directions/filters.py", "return (0,), 1, len(shape) > 2", "return (len(shape) - 1,), 1, len(shape) > 2", "tests/test_directions.py"),
    Fault("groups of transposed convolutions forgotten", "core/directions/filters.py", "owner.groups if shape[0]", "1 if shape[0]", "tests/test_directions.py"),
    Fault("T9: GPT-2's Conv1D filtered along its inputs", "core/directions/filters.py", "return (1,), 1, False", "return (0,), 1, False", "tests/test_filters.py"),
    Fault("T9: parts of a weight filtered along their first axis", "core/directions/filters.py", "whole = effective_name(owners, name)", "whole = name", "tests/test_filters.py"),
    Fault("T9: stacked experts filtered along their first axis whatever the user says", "sweep/plan.py", "roles(base.problem.model, base.problem.filters)\n        normalize", "roles(base.problem.model)\n        normalize", "tests/test_filters.py"),
    Fault("T5: complex weights lose their imaginary parts in the engine", "evaluate/precision.py", "return _COMPLEX[self.target] if self.main in _COMPLEX and dtype == _COMPLEX[self.main] else dtype", "return self.target if dtype.is_complex else dtype", "tests/test_complex.py"),
    Fault("T5: real directions for complex weights", "core/directions/random.py", "torch.view_as_complex(normals(seed, axis, name, (*weight.shape, 2)))", "normals(seed, axis, name, weight.shape)", "tests/test_complex.py"),
    Fault("T5: the inner product of complex numbers without conjugation", "core/weights.py", "first.conj() * second", "first * second", "tests/test_complex.py"),
    Fault("T5: a complex entry counts once", "core/directions/random.py", "2.0 if weights[name].is_complex() else 1.0", "1.0", "tests/test_complex.py"),
    Fault("T5: a parameter of a half type moves in it", "evaluate/weight_setter.py", "if target.dtype in _COARSE", "if False", "tests/evaluate/test_weight_setter.py"),
    Fault("T5: all weights in one buffer of the first one's type", "evaluate/weight_setter.py", "setdefault((target.dtype, target.device)", "setdefault((torch.float32, target.device)", "tests/evaluate/test_weight_setter.py"),
    Fault("C12: weights of another kind are cast", "checkpoints/checkpoint.py", "if isinstance(value, Tensor) and not counts and not _casts(", "if False and not _casts(", "tests/sweep/test_unusable_weights.py"),
    Fault("C12: of one tensor under two names the last wins", "checkpoints/checkpoint.py", "if wanted in found:", "if False:", "tests/sweep/test_unusable_weights.py"),
    Fault("C12: weights that are not finite are drawn around", "core/directions/direction.py", "        if n:\n", "        if False:\n", "tests/sweep/test_unusable_weights.py"),
    Fault("C12: a mask of minus infinity makes a line of NaN", "core/directions/direction.py", "torch.where(before == after, 0.0, after - before)", "after - before", "tests/sweep/test_unusable_weights.py"),
    Fault("C12: the real part of a complex loss", "problem/losses.py", "if losses.is_complex():", "if False:", "tests/test_complex.py"),
    Fault("T31: the cosine's spread for unit filters by the weights' lengths", "core/directions/random.py", 'torch.ones_like(size) if normalize.startswith("unit") else ', "", "tests/test_cosine_spread.py"),
    Fault("T31: the cosine's spread counts pruned entries", "core/directions/random.py", "free.masked_fill(pruned[name].cpu(), 0.0)", "free", "tests/test_cosine_spread.py"),
    Fault("T10: random directions move the parts of weights", "sweep/plan.py", "        base = base.baked()\n", "", "tests/sweep/test_effective.py"),
    Fault("a part that is not copied is computed with", "core/modules.py", "    if shared is not None:", "    if False:", "tests/test_modules.py::test_a_part_that_is_not_copied_is_refused_and_nothing_of_the_users_changes"),
    Fault("sparse tensors are digested as if they were dense", "core/weights.py", "    if tensor.layout == torch.strided:\n        return (tensor,)", "    if True:\n        return (tensor,)", "tests/sweep/test_sparse.py"),
    Fault("a sparse buffer goes along a line", "core/directions/direction.py", "if start[name].layout != torch.strided:", "if False:", "tests/sweep/test_sparse.py"),
    Fault("weights in one memory move apart", "problem/problem.py", "    found = shared_memory(model)", "    found = None", "tests/test_shared_memory.py"),
    Fault("parts of one block are taken for one tensor", "core/shared_memory.py", "or bool(torch.isin(_places(first), _places(second)).any())", "or True", "tests/test_shared_memory.py"),
    Fault("expanded buffers stay expanded in copies", "core/modules.py", "or is_expanded(held))", ")", "tests/test_shared_memory.py"),
    Fault("what was compiled for an equal model is not known", "evaluate/compilation.py", "        _COMPILED.add(kind)\n", "", "tests/evaluate/test_compilation.py::test_a_second_model_of_the_same_structure_runs_what_was_compiled_for_the_first"),
    Fault("named tuples become tuples", "problem/data.py", "kind(*parts) if isinstance", "tuple(parts) if isinstance", "tests/problem/test_data.py"),
    Fault("the reference hands out named tuples as tuples", "reference/evaluation.py", 'type(examples)(*parts) if hasattr(examples, "_fields") else tuple(parts)', "tuple(parts)", "tests/problem/test_data.py"),
    Fault("labels are checked in the first parameter's type", "problem/problem.py", "t.to(place.device, copy=True)", "t.to(place, copy=True)", "tests/problem/test_problem.py"),
    Fault("a coarse layer in a fine model may round nothing", "sweep/self_check/comparer.py", "*_types_of(plan.problem.model)]", "torch.float64]", "tests/sweep/test_self_check.py::test_the_coarsest_type_of_a_model_says_what_rounding_may_do"),
    Fault("what a module keeps beside its tensors is taken for the same", "checkpoints/checkpoint.py", "and not _equal(state.pop(name), value)", "and not state.pop(name, True)", "tests/test_checkpoints.py"),
    Fault("the masks of the problem's model hold for every checkpoint", "sweep/base.py", "weights, self.origin.stored)", "weights)", "tests/sweep/test_effective.py"),
    Fault("T10: pruned entries move", "core/directions/random.py", "raw[name].masked_fill(mask, 0.0)", "raw[name]", "tests/sweep/test_effective.py"),
    Fault("T10: a power iteration in the effective weight", "core/modules.py", "    private.eval()  # spectral", "    # spectral", "tests/test_modules.py"),
    Fault("T10: a copy shares the class of its parametrized layers", "core/modules.py", "            layer.__class__ = type(kind", "            _ = type(kind", "tests/test_modules.py"),
    Fault("T10: files are known by the effective weights' digest", "sweep/plan.py", "digest(base.origin.stored)", "digest(base.origin.weights)", "tests/sweep/test_effective.py"),
    Fault("a user's normalization moves pruned entries", "core/directions/random.py", ".masked_fill(held.get(name, torch.tensor(False)), 0.0)", "", "tests/sweep/test_own_rules.py::test_pruned_entries_stay_whatever_a_function_returns"),
    Fault("a user's normalization sees whole tensors", "core/directions/random.py", "role.filters(delta), role.filters(theta)", "delta, theta", "tests/sweep/test_own_rules.py::test_a_function_sees_filters_as_rows_and_changes_no_weight"),
    Fault("a predicate's choice is not stored", "sweep/base.py", "else \", \".join(names)\n", "else \"\"\n", "tests/sweep/test_own_rules.py::test_a_surface_of_the_parameters_a_predicate_chose"),
    Fault("T9: resumed with other filters", "sweep/resume.py", '"filters", ', "", "tests/test_filters.py"),
    Fault("norm layers move", "core/directions/filters.py", 'not ("norm" in ignore and role.norm)', "True", "tests/test_directions.py"),
    Fault("frozen parameters move", "core/directions/filters.py", "return role.trainable", "return True", "tests/test_directions.py"),
    Fault("seed ignored", "core/directions/random.py", 'f"{seed}/{axis}/{name}"', 'f"0/{axis}/{name}"', "tests/test_directions.py"),
    Fault("both axes drawn alike", "core/directions/random.py", 'f"{seed}/{axis}/{name}"', 'f"{seed}/x/{name}"', "tests/test_directions.py"),
    Fault("running statistics stay behind on a line", "core/directions/direction.py", "for name in buffer_names(module):", "for name in ():", "tests/evaluate/test_batch_norm.py"),
    Fault("orthogonalized against the wrong length", "core/directions/direction.py", "/ against.norm**2", "/ against.norm", "tests/test_directions.py"),
    Fault("a weight dropped", "evaluate/weight_setter.py", "            if name in parts:\n                flat.as_strided", "            if name in parts and offset:\n                flat.as_strided", "tests/evaluate/test_engine.py::test_the_weights_measured_are_those_of_the_subspace"),
    Fault("a point begins where the one before ended", "evaluate/weight_setter.py", "source = self._origin\n", "source = self._flat\n", "tests/evaluate/test_weight_setter.py"),
    Fault("weights moved by tensor skip the second direction", "evaluate/weight_setter.py", "for coordinate, parts in zip(coordinates, self._parts, strict=True):", "for coordinate, parts in zip(coordinates[:1], self._parts[:1], strict=True):", "tests/evaluate/test_paths.py::test_every_way_agrees_with_a_plain_loop[offloaded-128-perceptron]"),
    Fault("several points moved by tensor share one memory", "evaluate/weight_setter.py", "stack.append(self._targets[name].clone())", "stack.append(self._targets[name])", "tests/evaluate/test_weight_setter.py"),
    Fault("the user's model itself is computed with", "evaluate/model_copy.py", "conversion.apply(copy_module(model),", "conversion.apply(model,", "tests/evaluate/test_engine.py::test_nothing_of_the_users_is_changed"),
    Fault("the model stays in training mode", "evaluate/model_copy.py", ".eval().requires_grad_(False)", ".requires_grad_(False)", "tests/evaluate/test_engine.py::test_dropout_and_batch_norm_are_in_eval_mode_even_if_the_model_trains"),
    Fault("batches unweighted", "problem/losses.py", "return sums.double() * size, torch.full_like(sums, size, dtype=torch.float64)", "return sums, torch.ones_like(sums)", "tests/evaluate/test_engine.py::test_losses_of_whole_batches"),
    Fault("a whole batch's own weight dropped", "problem/losses.py", "if sums.dim() == 0 and weights is None:", "if sums.dim() == 0:", "tests/evaluate/test_accumulator.py::test_a_whole_batch_has_the_weight_it_says"),
    Fault("a metric of some points keeps an earlier point's value", "evaluate/accumulator.py", "if results.keys() != self._kinds.keys():", "if not self._kinds:", "tests/evaluate/test_accumulator.py::test_a_metric_that_comes_and_goes_is_an_error tests/sweep/test_metrics.py::test_a_metric_of_some_points_is_an_error_that_says_where"),
    Fault("a metric of one rank is taken in", "sweep/point_worker.py", "sorted(measurement.estimates.keys() ^ set(keys))", "sorted(())", "tests/sweep/test_metrics.py::test_a_metric_of_one_rank_is_an_error_that_names_it"),
    Fault("weights by example forgotten", "evaluate/accumulator.py", "= 1.0 if weights is None else weights", "= 1.0", "tests/evaluate/test_statistics.py"),
    Fault("examples that are ignored count", "problem/losses.py", "all(mask is not None and bool(mask.all()) for mask in kept)", "True", "tests/problem/test_losses.py"),
    Fault("a sample without spread stops", "evaluate/statistics.py", "if spread <= _ROUNDINGS * unit * abs(value):", "if False:", "tests/evaluate/test_engine.py::test_a_sample_that_shows_no_spread_never_stops_short"),
    Fault("few effective examples are enough to stop", "evaluate/statistics.py", "now.effective >= FEWEST_EFFECTIVE and", "True and", "tests/evaluate/test_coverage.py::test_a_tolerances_error_covers_or_the_point_runs_on"),
    Fault("effective examples without their squares", "evaluate/statistics.py", "effective=squares * squares / fourths", "effective=squares / fourths", "tests/evaluate/test_statistics.py"),
    Fault("the first examples are taken for a random sample", "evaluate/sample.py", 'return self.size if "shuffled" in self.order else None', "return self.population", "tests/evaluate/test_engine.py::test_the_first_examples_are_no_random_sample"),
    Fault("an interval without width at 0 and 1", "core/intervals.py", "(share * (1 - share) + factor / 4)", "(share * (1 - share))", "tests/evaluate/test_statistics.py"),
    Fault("an interval without the finite population", "core/intervals.py", "m = n * (population - 1) / (population - drawn)", "m = n", "tests/evaluate/test_statistics.py::test_the_interval_of_a_fraction_is_wilsons"),
    Fault("a fraction with standard errors in the file", "sweep/resume.py", "means = [key for key in keys if key not in fractions]", "means = keys", "tests/sweep/test_errors.py"),
    Fault("errors told in units instead of shares", "measures/exactness.py", "np.divide(stderr, np.abs(values),", "np.divide(stderr, 1.0,", "tests/test_exactness.py"),
    Fault("errors that few examples carry are not flagged", "measures/exactness.py", "unsure = (effective < UNSURE_BELOW)", "unsure = (effective < 0)", "tests/test_exactness.py"),
    Fault("a band of a fraction is one error wide", "plotting/curves.py", "if key in surface.low:", "if False:", "tests/plotting/test_curves.py::test_a_fraction_has_a_band_of_its_interval"),
    Fault("a tolerance is not audited", "sweep/run.py", "sweep.audit(deadline, seconds)", "pass", "tests/sweep/test_tolerance_audit.py::test_what_no_sample_shows_is_found"),
    Fault("an audit that failed changes nothing", "sweep/tolerance_rounds.py", "return executor.on_root(lambda: audit.first_looks)", "return {}", "tests/sweep/test_tolerance_audit.py"),
    Fault("points that prove nothing end an audit", "sweep/tolerance_audit.py", "trusted = self.first_looks[split] == SMALLEST_LOOK or", "trusted = True or", "tests/sweep/test_tolerance_audit.py::test_spikes_that_are_others_at_each_point_are_found_too"),
    Fault("an audit's error is that for the whole split", "sweep/tolerance_audit.py", "math.sqrt((1 - n / size) / (1 - n / self._reach[split]))", "1.0", "tests/sweep/test_tolerance_audit.py::test_the_scores_are_value_minus_truth_over_error"),
    Fault("an audit without a limit", "sweep/tolerance_audit.py", "spent + extra <= room", "True", "tests/sweep/test_tolerance_audit.py::test_it_costs_no_more_than_a_tenth_of_the_run"),
    Fault("a point stored on all examples is measured again on fewer", "sweep/checks.py", "if objective.engine.tolerance else", "if False else", "tests/sweep/test_tolerance_audit.py"),
    Fault("standard error without the finite population", "evaluate/statistics.py", "(n - 1) * (1 - n / population))", "(n - 1))", "tests/evaluate/test_statistics.py"),
    Fault("a look at every batch", "evaluate/split_evaluator.py", "stop in stops and tolerance_met(", "tolerance_met(", "tests/evaluate/test_engine.py::test_a_tolerance_stops_on_the_doubling_schedule"),
    Fault("a tolerance looks at the examples in their original order", "sweep/setup.py", "options.tolerance > 0)", "False)", "tests/sweep/test_engines.py::test_with_a_tolerance_the_examples_come_in_one_random_order"),
    Fault("a NaN does not end its pass", "evaluate/split_evaluator.py", "if watch is not None and stop < size and watch", "if False and watch", "tests/evaluate/test_paths.py::test_a_nan_ends_its_pass_and_is_no_number_in_any_metric"),
    Fault("a NaN in the loss leaves other metrics numbers", "evaluate/accumulator.py", 'if math.isnan(found["loss"].value):', "if False:", "tests/evaluate/test_paths.py::test_a_nan_ends_its_pass_and_is_no_number_in_any_metric"),
    Fault("a NaN at one point ends the pass of all", "evaluate/split_evaluator.py", ".any(dim=-1).all()", ".any(dim=-1).any()", "tests/evaluate/test_paths.py::test_a_nan_in_one_lane_stays_there"),
    Fault("the loop by hand forgets the weights of examples", "benchmark.py", "below += last - first if weights is None else weights.sum().item()", "below += last - first", "tests/benchmarks/test_bench.py"),
    Fault("the loop by hand stays at the origin", "benchmark.py", "model.load_state_dict(plane.point(place), strict=False)", "pass", "tests/benchmarks/test_bench.py"),
    Fault("the benchmark divides upside down", "benchmark.py", "return [loop / engine for loop", "return [engine / loop for loop", "tests/benchmarks/test_bench.py"),
    Fault("batched lanes shifted by one", "evaluate/split_evaluator.py", "host[lane])", "host[lane - 1])", "tests/evaluate/test_paths.py::test_several_points_at_once_are_those_points"),
    Fault("streamed batches are of the wrong span", "evaluate/data_source.py", "self._form.of, self._held.batch(start, stop))", "self._form.of, self._held.batch(0, stop - start))", "tests/evaluate/test_paths.py::test_examples_that_fit_are_views_and_others_are_streamed"),
    Fault("an overwritten input is not noticed", "evaluate/data_source.py", "if self._versions() == self._seen:", "if True:", "tests/evaluate/test_paths.py::test_a_model_may_overwrite_its_input"),
    Fault("small steps are taken in bf16", "evaluate/engine.py", "return _ROUNDINGS * _ROUNDING", "return 1e-9 * _ROUNDING", "tests/evaluate/test_paths.py::test_steps_bfloat16_would_swallow_are_taken_in_fp32"),
    Fault("fp32 is computed in TF32", "evaluate/model_copy.py", '"high" if precision == "tf32" else "highest"', '"high"', "tests/evaluate/test_paths.py::test_the_settings_of_torch_come_back"),
    Fault("ragged batches are compiled too", "evaluate/model_copy.py", "whole = _batch_size(positional, named) == engine.batch_size", "whole = True", "tests/evaluate/test_paths.py::test_whole_batches_are_compiled_once_and_a_ragged_one_is_not"),
    Fault("torch gives up compiling the ninth model of a class", "evaluate/compilation.py", "torch._dynamo.config.patch(**_without_limit())", "torch._dynamo.config.patch({})", "tests/evaluate/test_compilation.py"),
    Fault("a user's compilations use up ours", "evaluate/compilation.py", "torch.compile(forward,", "torch.compile(plain,", "tests/evaluate/test_compilation.py"),
    Fault("activations in tuples are overlooked", "evaluate/model_copy.py", "isinstance(output, tuple | list)", "isinstance(output, list)", "tests/evaluate/test_model_copy.py"),
    Fault("the owner of a loss is copied", "problem/losses.py", "        moved = copy.copy(self)", "        moved = copy.deepcopy(self)", "tests/problem/test_losses.py::test_what_is_no_module_is_called_as_it_is"),
    Fault("points at once are taken whatever they give", "sweep/setup.py", "if not all(agree(", "if False and not all(agree(", "tests/sweep/test_engines.py::test_weights_that_cannot_be_replaced_are_noticed"),
    Fault("the engine of the file is not reused", "sweep/setup.py", "old.runs[-1] if old is not None and old.runs else {}", "{}", "tests/sweep/test_engines.py::test_an_engine_asked_for_is_stored_reused_and_right"),
    Fault("a halved batch is not recorded", "sweep/loop.py", "context.batch_size_asked)", "engine.batch_size or 1)", "tests/sweep/test_engines.py::test_a_batch_that_does_not_fit_is_halved_for_the_whole_run_and_recorded"),
    Fault("the audit compares a run with itself", "sweep/precision_audit.py", 'precision="fp32", at_most', "precision=None, at_most", "tests/sweep/test_engines.py::test_the_audit_finds_what_is_there"),
    Fault("the audit is drawn without the seed", "sweep/precision_audit.py", "default_rng(abs(plan.seed))", "default_rng(0)", "tests/sweep/test_engines.py::test_the_audit_finds_what_is_there"),
    Fault("the audit leaves out the origin", "sweep/precision_audit.py", "[origin, *(coarse[i] for i in sorted(chosen))]", "coarse[i] for i in sorted(chosen)", "tests/sweep/test_engines.py::test_the_audit_finds_what_is_there"),
    Fault("the audit uses all examples", "sweep/precision_audit.py", "at_most=used)", "at_most=None)", "tests/sweep/test_engines.py::test_the_audit_uses_the_examples_the_point_used"),
    Fault("the audit comes last", "sweep/blocks.py", "ordered = [*first, *(index for index in indices if index not in ahead)]", "ordered = [*(index for index in indices if index not in ahead), *first]", "tests/sweep/test_engines.py::test_a_run_further_off_than_allowed_ends_and_says_what_would_do"),
    Fault("time in the model counted twice", "sweep/rank_stats.py", "max(0.0, points - moving - model)", "max(0.0, points - moving)", "tests/sweep/test_engines.py::test_a_run_says_where_its_time_went"),
    Fault("recalibration keeps a part of the old statistics", "evaluate/batch_norm.py", "self._size / self._in_calls", "self._size / (self._in_calls + 1)", "tests/evaluate/test_recalibration.py"),
    Fault("a ragged batch weighs as much as a whole one", "evaluate/batch_norm.py", "        self._in_calls += self._size\n        self._layer.momentum = self._size / self._in_calls", "        self._in_calls += 1\n        self._layer.momentum = 1 / self._in_calls", "tests/evaluate/test_recalibration.py"),
    Fault("statistics of images added up one by one", "evaluate/batch_norm.py", "part.contiguous() if isinstance(part, Tensor)", "part if isinstance(part, Tensor)", "tests/evaluate/test_recalibration.py::test_statistics_of_images_are_as_exact_as_single_precision_allows"),
    Fault("a running variance may turn negative by default", "sweep/batch_norm_policy.py", "between and asked is None and (negative :=", "False and (negative :=", "tests/sweep/test_batch_norm_policy.py"),
    Fault("a point of a negative variance is measured all the same", "evaluate/weight_setter.py", "                target.fill_(torch.nan)", "                pass", "tests/evaluate/test_running_variances.py"),
    Fault("the interval of valid variances is of one layer alone", "evaluate/running_variances.py", "int(roots.argmax())", "0", "tests/evaluate/test_running_variances.py"),
    Fault("a barrier is told of a line that ends elsewhere", "measures/interpolation.py", 'return "bn_ends" in surface.attributes or', "return False and", "tests/sweep/test_batch_norm_policy.py"),
    Fault("what version 0.1.0 calls moved is another policy", "io/reading.py", '== "moved"', '== "frozen, moved"', "tests/sweep/test_batch_norm_policy.py"),
    Fault("class weights forgotten", "problem/losses.py", "            if class_weights is not None:", "            if False:", "tests/problem"),
    Fault("done mask inverted", "sweep/resume.py", "missing = ~np.logical_and", "missing = np.logical_and", "tests/test_acceptance.py tests/sweep"),
    Fault("a measured NaN counts as missing", "sweep/resume.py", "missing = ~np.logical_and.reduce([surface.done[key] for key in keys])", "missing = np.logical_or.reduce([np.isnan(surface.values[key]) for key in keys])", "tests/test_acceptance.py tests/sweep"),
    Fault("another model's file is resumed", "sweep/resume.py", 'check("model (weights)", ', 'check("", 0, 0), (', "tests/sweep"),
    Fault("faces are handed to matplotlib as a ragged list", "plotting/relief.py", "faces.corners()", "faces.polygons", "tests/plotting/test_relief.py::test_matplotlib_is_given_no_memory_to_fill"),
    Fault("old values shifted on a finer axis", "sweep/resume.py", "found.append(order[nearest])", "found.append(np.maximum(order[nearest] - 1, 0))", "tests/sweep/test_resume.py tests/sweep/test_parts.py"),
    Fault("last point of an axis left out", "core/grid.py", "np.linspace(float(start), float(stop), count)", "np.linspace(float(start), float(stop), count, endpoint=False)", "tests/test_grid.py"),
    Fault("points visited row by row", "core/grid.py", 'np.argsort(level, axis=None, kind="stable")', "range(level.size)", "tests/test_grid.py::test_the_origin_and_the_corners_come_first"),
    Fault("the picture of a partial surface is one level too fine", "core/surface.py", "next((part for part in finest_first if", "next((finer for finer, part in itertools.pairwise(finest_first) if", "tests/test_surface.py"),
    Fault("figures not transposed", "plotting/marks.py", "np.ma.masked_invalid(values).T", "np.ma.masked_invalid(values)", "tests/plotting"),
    Fault("import not transposed", "io/tomgoldstein.py", "array = raw.astype(np.float64)[()].T", "array = raw.astype(np.float64)[()]", "tests/io"),
    Fault("percent taken for fractions", "io/tomgoldstein.py", "percent = 100.0 if", "percent = 1.0 if", "tests/io"),
    Fault("basin radius without π", "measures/basin.py", "math.sqrt(size / math.pi)", "math.sqrt(size)", "tests/test_measures.py"),
    Fault("a basin narrower than a cell is told as a number", "measures/basin.py", "if resolved_part(nodes).any():", "if True:", "tests/measures/test_resolution.py"),
    Fault("sampling errors are taken for common to all points", "measures/noise.py", "if used.size and size and used.min() < size:", "if False:", "tests/measures/test_paired.py"),
    Fault("errors of differences forget what examples have in common", "measures/noise.py", "combined.var(axis=1, ddof=1)", "(flat[part] ** 2 * self._losses[chosen[part]].var(axis=2, ddof=1)).sum(axis=1)", "tests/measures/test_paired.py"),
    Fault("errors of differences without the finite population", "sweep/paired_errors.py", "1 / n - 1 / (self._sample.reach or n)", "1 / n", "tests/sweep/test_paired_runs.py"),
    Fault("every draw has the losses of the first", "sweep/paired_errors.py", "own = rows[:, k] if", "own = rows[:, 0] if", "tests/sweep/test_paired_runs.py::test_each_draw_has_its_own_errors"),
    Fault("losses lost with an earlier run count as zeros", "sweep/paired_errors.py", "        if gone:", "        if False:", "tests/sweep/test_paired_runs.py::test_a_resumed_run_has_lost_the_losses_of_earlier_points"),
    Fault("a ratio's losses are its sums", "evaluate/accumulator.py", "if weights is None:\n            return sums[..., places].float()", "if True:\n            return sums[..., places].float()", "tests/sweep/test_paired_runs.py::test_a_line_is_measured_as_by_loops_over_single_examples"),
    Fault("the lowest of many nodes passes for a minimum by luck", "measures/extrema.py", "NormalDist().cdf(-SIGNIFICANT) / n_nodes", "NormalDist().cdf(-SIGNIFICANT)", "tests/measures/test_paired.py"),
    Fault("the basin's level is not stored", "sweep/provenance.py", '        "basin_level": float(basin_level),\n', "", "tests/test_basin_level.py"),
    Fault("another basin level is gone on with", "sweep/resume.py", 'check("basin level", old.basin_level, new.basin_level)', "pass", "tests/test_basin_level.py"),
    Fault("a damaged shared script is taken for a whole one", "viewer/document.py", "        return path.read_bytes() == _bundle()", "        return path.exists()", "tests/viewer/test_document.py::test_a_shared_script_that_is_there_stays_and_a_damaged_one_is_written_again"),
    Fault("the shared script of the folder above is not seen", "viewer/document.py", 'f"../{name}" if _is_bundle(above / name) else name', "name", "tests/viewer/test_document.py::test_pages_share_one_script_beside_them_or_in_the_folder_above"),
    Fault("the page draws the edge at one nat", "viewer/parts/basin.js", "plane.origin[key] + plane.basin_level", "plane.origin[key] + 1", "tests/test_basin_level.py"),
    Fault("four neighbours are enough for a basin", "measures/resolution.py", "return np.asarray(blocks.all(axis=_last(nodes.ndim)))", "return np.asarray(blocks.sum(axis=_last(nodes.ndim)) >= 5)", "tests/measures/test_resolution.py"),
    Fault("a valley between the nodes has a bound", "measures/basin.py", 'if kind == "surface" and ((land.nodes', 'if False and ((land.nodes', "tests/measures/test_resolution.py"),
    Fault("the mixed derivative's noise is halved", "measures/curvature.py", "2 * v_x * v_y * corner", "v_x * v_y * corner", "tests/test_measures.py"),
    Fault("the origin is missed by a rounding", "core/grid.py", "    values[np.abs(values) < 1e-12 * max(abs(start), abs(stop))] = 0.0", "    pass", "tests/test_grid.py"),
    Fault("a model near the plane counts as in it", "sweep/located_models.py", "_IN_PLANE = 1e-5", "_IN_PLANE = 1e-1", "tests/sweep/test_self_check.py::test_a_model_slightly_out_of_the_plane_is_not_marked_as_lying_in_it"),
    Fault("a block is late when one of its points would be", "sweep/point_worker.py", "self.points_per_pass * self.slowest > deadline", "self.slowest > deadline", "tests/sweep/test_shares.py"),
    Fault("a NaN counts for the batch before its own", "evaluate/split_evaluator.py", "stop > int(wrong[0])", "stop >= int(wrong[0])", "tests/evaluate/test_paths.py::test_a_nan_ends_its_pass_with_the_batch_that_holds_it"),
    Fault("every rank takes all of a device's memory", "sweep/setup.py", " / n_sharing(mine, places)", "", "tests/sweep/test_shares.py"),
    Fault("links out of a file followed", "io/safe_hdf5.py", "if not isinstance(link, h5py.HardLink):", "if False:", "tests/misuse tests/io"),
    Fault("code in checkpoints run", "checkpoints/checkpoint.py", '"cpu", weights_only=True', '"cpu", weights_only=False', "tests/test_checkpoints.py"),
    Fault("items given back are lost", "parallel/schedule.py", "self._returned.extend(item for item in items if item in left)", "self._returned.extend(())", "tests/parallel/test_schedule.py"),
    Fault("a rank without time is handed items", "parallel/schedule.py", "if rank in self._dismissed or not", "if not", "tests/parallel/test_schedule.py"),
    Fault("a third hand-out behind the second", "parallel/schedule.py", "or held > 1 or", "or held > 2 or", "tests/parallel/test_schedule.py"),
    Fault("results of a hand-out the wrong way round", "parallel/coordinator.py", "zip(done, report.results, strict=True)", "zip(done[::-1], report.results, strict=True)", "tests/parallel/test_mpi.py::test_every_item_is_done_once_and_accounted_for"),
    Fault("what rank 0 gives back waits for a word", "parallel/coordinator.py", "            self._gave_back.set()", "            pass", "tests/parallel/test_mpi.py::test_what_rank_0_gives_back_when_all_others_are_idle_is_done_by_them"),
    Fault("results found before an error are lost", "parallel/mpi.py", "rest=found)", "rest={})", "tests/parallel/test_mpi.py::test_what_a_rank_had_of_a_hand_out_when_it_failed_is_taken_in"),
    Fault("a job that was stopped counts as silent", "parallel/coordinator.py", "if now - looked > _PAUSED:", "if False:", "tests/parallel/test_mpi.py::test_a_job_that_was_stopped_for_a_while_goes_on"),
    Fault("a slow point counts as silence", "parallel/coordinator.py", "max(_SILENCE, _SLOWER * self._slowest)", "_SILENCE", "tests/parallel/test_mpi.py::test_a_slow_item_is_no_silence_where_others_were_as_slow"),
    Fault("a silent rank goes by another's name", "parallel/coordinator.py", "{self._names[rank]} has been silent", "{self._names[0]} has been silent", "tests/parallel/test_mpi.py::test_a_silent_rank_is_given_up_by_name"),
    Fault("the traceback stays on its rank", "parallel/coordinator.py", '{report.error}", report.trace)', '{report.error}")', "tests/parallel/test_mpi.py::test_a_rank_that_raises_ends_the_job_with_its_traceback"),
    Fault("what only rank 0 can read is not sent", "parallel/executor.py", "if errors[0] is None and lacking:", "if False:", "tests/parallel/test_mpi.py::test_all_ranks_hear_the_same_and_meet_the_same_error"),
    Fault("a stream hands out what still grows", "sweep/run.py", "next(steps).copy(), False", "next(steps), False", "tests/sweep/test_stream.py::test_a_stream_ends_with_the_surface"),
    Fault("the coordinates of a function the wrong way round", "sweep/base.py", "zip(axes, units, strict=False)", "zip(axes, units.flip(0), strict=False)", "tests/sweep/test_function.py::test_values_are_the_functions_at_every_node"),
    Fault("Ctrl-C between two steps loses the run", "parallel/executor.py", "        steps.throw(error)\n", "", "tests/parallel/test_launch.py::test_what_interrupts_between_two_steps_ends_them_as_within_one"),
    Fault("a slow point is begun before the one behind it is on disk", "parallel/executor.py", "                task.heartbeat()\n", "", "tests/parallel/test_launch.py::test_what_is_behind_a_slow_item_is_on_disk_before_the_next"),
    Fault("a forking pool is taken", "parallel/pool.py", 'context.get_start_method() == "fork"', 'context.get_start_method() == "forks"', "tests/parallel/test_pool.py::test_what_cannot_be_used_is_refused"),
    Fault("the problem travels with every request", "parallel/pool.py", "if self._n_carrying < len(self._lacking):", "if True:", "tests/parallel/test_pool.py::test_the_problem_travels_once"),
    Fault("a worker's results before its error are lost", "parallel/pool_worker.py", "reply.error, reply.trace =", "reply.results, reply.error, reply.trace = [],", "tests/parallel/test_pool.py::test_results_before_an_error_are_taken_in"),
    Fault("a worker computes in whatever state its process is", "parallel/pool_worker.py", "with worker.computing():", "if True:", "tests/parallel/test_pool.py::test_the_callers_state_is_its_own_again"),
    Fault("a worker's traceback stays there", "parallel/pool.py", ", reply.trace) from ElsewhereError(reply.trace)", ")", "tests/parallel/test_pool.py::test_an_error_of_a_worker_is_a_line_and_the_run_goes_on_later"),
    Fault("a worker with other data computes along", "sweep/worker_setup.py", "compare_identities([self.identity, identity(plan, samples, calibration)])", "pass", "tests/parallel/test_pool.py::test_a_worker_that_is_not_like_the_root_is_refused"),
    Fault("a worker with other values computes along", "sweep/worker_setup.py", "if told := describe_difference", "if False and describe_difference", "tests/parallel/test_pool.py::test_a_worker_that_is_not_like_the_root_is_refused"),
    Fault("a worker brings no losses of examples", "sweep/worker_setup.py", "PairedErrors(problem, objective, samples)", "pass", "tests/parallel/test_pool.py::test_spawned_processes_give_the_bits_of_one"),
    Fault("workers look at few examples whatever the audit said", "sweep/loop.py", '"block", (self._first_looks,), self._make)', '"block", ({},), self._make)', "tests/sweep/test_tolerance_audit.py"),
    Fault("effective weights stay at home", "sweep/worker_setup.py", "model=plan.problem.model if named and plan.effective else None", "model=None", "tests/parallel/test_pool.py::test_effective_weights_travel_beside_the_import_string"),
    Fault("the ranks of a pool are taken for ranks", "parallel/launch.py", "if variable is None or shared is not None:", "if variable is None:", "tests/parallel/test_launch.py::test_the_ranks_of_a_pool_are_no_ranks"),
    Fault("an error names no rank", "parallel/remote_errors.py", "if rank and isinstance", "if False and isinstance", "tests/parallel/test_mpi.py::test_all_ranks_hear_the_same_and_meet_the_same_error"),
    Fault("every rank takes all cores", "parallel/mpi.py", "sum(1 / users.count(core) for core in mine)", "float(len(mine))", "tests/parallel/test_mpi.py::test_cores_are_shared_among_the_ranks_that_may_use_them"),
    Fault("ranks with threads of their own", "sweep/devices.py", "return min(executor.gather(", "return max(executor.gather(", "tests/sweep/test_devices.py"),
    Fault("all ranks of a host on its first GPU", "sweep/devices.py", "executor.local_rank % n_devices", "executor.local_rank // n_devices", "tests/sweep/test_devices.py"),
    Fault("efficiency of the slowest rank's time alone", "sweep/rank_stats.py", "sum(work.busy for work in ranks) / total", "sum(work.busy for work in ranks) / wall", "tests/sweep/test_rank_stats.py"),
    Fault("the first block belongs to no part", "sweep/blocks.py", "blocks[self.number - 1 :: self.n_parts]", "blocks[self.number :: self.n_parts]", "tests/sweep/test_parts.py::test_parts_share_the_blocks_out"),
    Fault("parts that differ by a thousandth agree", "sweep/merge_files.py", "_AGREEMENT = 1e-5", "_AGREEMENT = 1e-3", "tests/sweep/test_parts.py::test_overlapping_parts_have_to_agree"),
    Fault("the last part's values are taken", "sweep/merge_files.py", "new = measured & ~done", "new = measured", "tests/sweep/test_parts.py::test_overlapping_parts_have_to_agree"),
    Fault("a split's examples from a file whose values were not taken", "sweep/merge_files.py", "new_of[metric.split] |= taken", "new_of[metric.split] |= True", "tests/sweep/test_parts.py::test_each_split_keeps_its_examples_and_errors"),
    Fault("data of later parts are not compared", "sweep/merge_files.py", "self._data_from.keys() - self._first.data.keys()", "()", "tests/sweep/test_parts.py::test_data_that_only_later_files_hold_have_to_agree_too"),
    Fault("a merge keeps the runs of one part", "sweep/merge_files.py", "        self._runs += ", "        _ = ", "tests/sweep/test_parts.py::test_a_part_of_another_machine_is_told_of"),
    Fault("T28: what is no Exception passes from the user's code", "errors.py", "    except BaseException as error:\n        raise UserCodeError", "    except Exception as error:\n        raise UserCodeError", "tests/misuse/test_users_code.py"),
    Fault("T28: the user's lack of memory is not seen", "evaluate/memory.py", "if isinstance(error, UserCodeError) and error.__cause__ is not None:", "if False:", "tests/misuse/test_users_code.py"),
    Fault("T28: a loader that ends early counts as whole", "problem/data.py", "n_batches < len(loader)", "False", "tests/misuse/test_users_code.py"),
    Fault("C12: a loss of None is a loss", "problem/losses.py", "for part in (sums,) if weights is None else (sums, weights):", "for part in [part for part in (sums, weights) if part is not None]:", "tests/misuse/test_bad_problems.py"),
    Fault("T26: a file is read before its lock is taken", "sweep/run.py", "executor.on_root(lambda: held.enter_context(_reserved(options, progress.note)))", "pass", "tests/io/test_lock.py::test_two_in_one_process_are_told_so"),
    Fault("T26: a merge takes no lock", "sweep/merge_files.py", "held.enter_context(io.lock_for_writing(check_target(to, overwrite), progress.note))", "check_target(to, overwrite)", "tests/io/test_lock.py::test_a_second_writer_is_refused_before_anything_is_read"),
    Fault("C7: a sweep keeps plain readers out", "io/file_writer.py", 'h5py.File(self._place, "r+", locking=False)', 'h5py.File(self._place, "r+")', "tests/io/test_lock.py"),
    Fault("T26: a forked child keeps the lock of its parent", "io/lock.py", "    os.register_at_fork(after_in_child=_forget)", "    pass", "tests/io/test_lock.py::test_a_forked_child_does_not_outlive_its_parent_with_the_lock"),
    Fault("T26: a lock that its holder removed counts", "io/lock.py", "if _is_at(descriptor, lock):", "if True:", "tests/io/test_lock.py::test_a_lock_removed_while_one_waits_for_it_is_taken_anew"),
    Fault("T3: a loss that is blind to the weights passes", "sweep/self_check/check.py", "if blindness := describe_blindness(", "if False and (blindness := describe_blindness)(", "tests/sweep/test_self_check.py"),
    Fault("T4: the corner is not compared", "sweep/self_check/check.py", "        if corner not in seen:", "        if False:", "tests/sweep/test_self_check.py"),
    Fault("T4: nothing is compared after the last point", "sweep/self_check/check.py", "        for k in sorted(np.random", "        for k in () and sorted(np.random", "tests/sweep/test_self_check.py"),
    Fault("T4: the reference is not independent of the reduction by example", "reference/evaluation.py", "return by_criterion(model, loss, batch, size)", 'return {n: (float(s.double().sum()), float(size if w is None else w.double().sum()), False) for n, (s, w) in self._problem.loss(model, batch, size).items()}', "tests/sweep/test_self_check.py::test_what_engine_and_check_shared_once_is_checked"),
    Fault("what rounding explains is a hundred times too much", "sweep/allowance.py", "_SAFETY = 4.0", "_SAFETY = 400.0", "tests/sweep/test_self_check.py::test_the_allowance_from_both_sides"),
    Fault("T6: all floating tensors get the engine's type", "evaluate/precision.py", "        if dtype == self.main:", "        if dtype.is_floating_point:", "tests/evaluate/test_types.py"),
    Fault("T7: the caller's autocast leaks in", "sweep/isolation.py", "if torch.is_autocast_enabled(device):", "if False:", "tests/sweep/test_isolation.py"),
    Fault("T7: a run draws from the caller's generators", "sweep/isolation.py", "        stack.enter_context(_generators())\n", "", "tests/sweep/test_self_check.py::test_a_loss_that_draws_random_numbers_fails"),
    Fault("T12: the batch size of whole batches is forgotten", "sweep/provenance.py", "    if needs_batch_size:", "    if False:", "tests/sweep/test_self_check.py"),
    Fault("T12: whole batches are halved for want of memory", "sweep/setup.py", "        if not plan.problem.per_example:", "        if False:", "tests/sweep/test_self_check.py::test_whole_batches_are_not_halved_for_want_of_memory"),
    Fault("T17: a model whose loss is no number passes", "sweep/self_check/check.py", "if not math.isfinite(found.reference.losses[sample.split]):", "if False:", "tests/sweep/test_self_check.py"),
    Fault("T17: an example is named by its place in the sample", "sweep/self_check/diagnosis.py", "lost[0] if sample.indices is None else int(sample.indices[lost[0]])", "lost[0]", "tests/sweep/test_self_check.py::test_an_example_whose_loss_is_no_number_is_named"),
    Fault("T18: metrics of one name overwrite each other", "sweep/checks.py", "        if names[name] > 1:", "        if False:", "tests/sweep/test_self_check.py"),
    Fault("T21: ranks that compute otherwise pass", "sweep/checks.py", "if not agree(theirs[split], value, allowed * abs(value)):", "if False:", "tests/sweep/test_ranks_agree.py"),
    Fault("T22: data have the digest they had once", "problem/data.py", "return digest(_flatten(self.tensors))", "return self.__dict__.setdefault('once', digest(_flatten(self.tensors)))", "tests/sweep/test_self_check.py"),
    Fault("T22: the first node is not measured again", "sweep/self_check/check.py", "        self._check_first(surface, indices[0], keys)\n", "", "tests/sweep/test_self_check.py"),
    Fault("T23: a failed check is but a warning", "sweep/self_check/check.py", 'if failures and check == "raise":', "if False:", "tests/sweep/test_self_check.py"),
    Fault("the engine is built twice", "sweep/setup.py", "if self._built is not None and self._built.engine == engine:", "if False:", "tests/sweep/test_engines.py::test_the_engine_is_built_once"),
    Fault("T24: channels_last whatever the model does", "sweep/setup.py", "if engine.channels_last and self._has_images:", "if False:", "tests/evaluate/test_types.py"),
    Fault("T25: a rewrite keeps nothing of others", "sweep/result_writer.py", "keep=path if resumed else None)", "keep=None)", "tests/io/test_rewrite.py::test_an_interrupted_resume_keeps_it_too"),
    Fault("T25: the last rewrite keeps nothing of others", "io/file_writer.py", "write(surface, self._place, directions, keep=self._place)", "write(surface, self._place, directions)", "tests/io/test_rewrite.py::test_resuming_keeps_what_is_not_its_own"),
    Fault("T25: stale numbers stay", "io/writing.py", "put_attributes(numbers, told, owned=", "put_attributes(numbers, told, owned=[]) if True else dict(owned=", "tests/io/test_rewrite.py::test_what_is_ours_and_no_longer_true_goes"),
    Fault("T25: seconds of an earlier run overwritten", "sweep/result_writer.py", "[] if known else", "[] if False else", "tests/io/test_rewrite.py::test_seconds_of_points_measured_before_stay"),
    Fault("T25: packed arrays are written into", "io/image.py", "or old.chunks is not None:", "or False:", "tests/io/test_rewrite.py::test_a_packed_array_of_ours_is_unpacked_before_points_are_written_into_it"),
    Fault("T25: a link is followed out of the file", "io/image.py", "if has(group, name) and not (_is_within(group, name) and isinstance(group[name], h5py.Group)):", "if False:", "tests/io/test_rewrite.py::test_a_link_in_the_place_of_a_group_of_ours_leads_nowhere"),
    Fault("T25: a file of mode 600 is opened to all", "atomic.py", "temporary.chmod(stat.S_IMODE(before.st_mode) & 0o777)", "temporary.chmod(0o666 & ~_umask())", "tests/io/test_rewrite.py::test_the_mode_of_a_file_stays"),
    Fault("T25: a link to a file is replaced", "atomic.py", "    target = Path(os.path.realpath(path))\n", "    target = path\n", "tests/io/test_rewrite.py::test_a_link_to_a_file_stays_a_link"),
    Fault("T26: a file that was replaced is recorded into", "io/file_writer.py", "        self._check_place()\n        try:\n            for pending", "        try:\n            for pending", "tests/io/test_displaced.py::test_what_cannot_be_stored_is_stored_beside"),
    Fault("T26: what was written over is taken for ours", "io/file_writer.py", "        if not self._holds(surface):", "        if False:", "tests/io/test_displaced.py::test_a_copy_laid_over_it_is_noticed_in_the_end"),
    Fault("T26: HDF5 has the last word in another's file", "io/file_writer.py", "            os.dup2(nowhere, self._file.id.get_vfd_handle())\n", "", "tests/io/test_displaced.py::test_what_cannot_be_stored_is_stored_beside"),
    Fault("T26: a file changed since it was read is written", "sweep/result_writer.py", "            io.check_untouched(path)\n", "", "tests/io/test_displaced.py::test_a_file_that_others_touch_before_the_first_point_is_left_alone"),
    Fault("T29: a run that lost its file ends well", "sweep/result_writer.py", "            if self._displaced:", "            if False:", "tests/io/test_displaced.py::test_what_cannot_be_stored_is_stored_beside"),
    Fault("T29: a disk full at the end is wrong usage", "io/file_writer.py", "            raise RunError(\n", "            raise InputError(\n", "tests/io/test_displaced.py::test_a_disk_that_fills_up_before_the_last_rewrite_keeps_every_value"),
    Fault("C2: a rank's error is told with its traceback", "parallel/remote_errors.py", "    if _traces_hidden:\n", "    if False:\n", "tests/parallel/test_failures.py::test_a_rank_that_raises_ends_the_sweep_while_rank_0_is_deep_in_a_point"),
    Fault("C5: a signal that was swallowed counts as heeded", "parallel/signals.py", "if not on_abort.left.wait(on_abort.patience):", "if not _heard.wait(on_abort.patience):", "tests/misuse/test_stubborn.py"),
    Fault("C5: a swallowed signal waits for the deadline", "sweep/point_worker.py", "        check_ended()\n", "", "tests/misuse/test_stubborn.py"),
    Fault("C6: a lost terminal ends a run without a word", "parallel/signals.py", "numbers.append(signal.SIGHUP)", "pass", "tests/misuse/test_stubborn.py"),
    Fault("C6: nohup is not heeded", "parallel/signals.py", "signal.getsignal(signal.SIGHUP) is signal.SIG_DFL", "True", "tests/misuse/test_stubborn.py"),
    Fault("C5: who ends a worker ends the run", "parallel/signals.py", "os.register_at_fork(after_in_child=_forget)", "pass", "tests/misuse/test_stubborn.py"),
    Fault("C14: a result that is lost is no failure", "cli/main.py", "    return code or 1\n", "    return code\n", "tests/misuse/test_streams.py"),
    Fault("T29: any trouble with standard output is a failure", "cli/main.py", "return _printed(out, code) if printed else code", "return _printed(out, code)", "tests/misuse/test_streams.py"),
    Fault("T29: a run fails as it cannot say so", "progress.py", "Guarded(sys.stderr)", "sys.stderr", "tests/misuse/test_streams.py::test_in_python_a_run_says_what_it_can"),
    Fault("C3: a digit is a number", "parallel/launch.py", "return int(environment[name])", 'return int(environment[name].replace("²", "2"))', "tests/misuse/test_launchers.py"),
    Fault("C3: matplotlib's environment hinders figures", "plotting/backend.py", 'os.environ.pop("MPLBACKEND", None) if', "None if", "tests/plotting/test_backend.py"),
    Fault("T27: a seed that is no whole number is drawn from", "sweep/seeds.py", "number = operator.index(seed)", "number = seed", "tests/sweep/test_seeds.py::test_what_is_no_seed_is_refused_before_anything_is_measured"),
    Fault("T27: a seed may be named twice", "sweep/seeds.py", "        if number in seen:", "        if False:", "tests/sweep/test_seeds.py::test_lists_that_are_none_are_refused_before_anything_is_measured"),
    Fault("T27: digests of draws are not read back", "io/reading.py", 'if draws is not None and has(draws, "sha256"):', "if False:", "tests/sweep/test_seeds.py::test_each_draw_is_stored_and_read_back"),
    Fault("T27: draws are not compared", "sweep/resume.py", 'yield f"direction of seed {seed}", first[seed], second[seed]', "yield '', 0, 0", "tests/sweep/test_seeds.py::test_a_draw_that_is_another_direction_is_refused"),
    Fault("T30: one length for all draws", "sweep/plan.py", '"norm": [direction.norm for direction in directions]', '"norm": [directions[0].norm for direction in directions]', "tests/sweep/test_seeds.py::test_each_draw_has_its_own_length"),
    Fault("T30: the logarithm of a mesh is another than a figure's", "io/vtk_mesh.py", "np.log10(height)", "np.log(height)", "tests/io/test_export.py"),
    Fault("C4: a checkpoint is unpacked however much it inflates", "checkpoints/checkpoint.py", "    _check_inflation(path)\n", "", "tests/misuse/test_bad_checkpoints.py"),
    Fault("C14: a package that cannot be loaded is a traceback", "../scripts/entry/landscape_command/__init__.py", "    except BaseException as error:\n", "    except ValueError as error:\n", "tests/misuse/test_entry.py"),
    Fault("T29: a file takes the place of a closed stream", "../scripts/entry/landscape_command/__init__.py", "    _open_streams()\n", "", "tests/misuse/test_entry.py"),
    Fault("C14: an axis whose points are one in the weights' type", "sweep/run.py", "(sizes > 0) & (sizes < limits.tiny)", "(sizes > 0) & (sizes < 0)", "tests/misuse/test_bad_options.py"),
    Fault("a slash at the end of a name is lost", "cli/command.py", "if out is None else out  # a slash", "if out is None else Path(out)  # a slash", "tests/misuse/test_bad_outputs.py::test_name_that_is_none"),
    Fault("C9: what merges files loads torch", "sweep/resume.py", "if TYPE_CHECKING:  # merging files needs no torch", "if True:", "tests/test_light.py"),
    Fault("C9: the command line loads torch", "cli/command.py", "if TYPE_CHECKING:\n", "if True:\n", "tests/test_light.py"),
    Fault("an option's value is not checked in Python", "declaration.py", "parameter.checked(value))", "value)", "tests/test_declaration.py tests/sweep/test_options.py"),
    Fault("an option that is none is refused without the nearest", "declaration.py", "{did_you_mean(stranger, declared)}", "", "tests/test_declaration.py"),
    Fault("a signature without the options", "declaration.py", "        call.__signature__ = ", "        call.other = ", "tests/test_declaration.py"),
    Fault("the default is not told of", "declaration.py", 'f" (default: {told})" if told', 'f" (default: {told})" if False', "tests/test_declaration.py"),
    Fault("the command line's default is not Python's", "cli/parser.py", "None if empty else parameter.default", "None", "tests/test_declaration.py"),
    Fault("an empty text is a file's name", "cli/parser.py", "    if not text:", "    if False:", "tests/misuse/test_bad_options.py::test_bad_option"),
    Fault("a split without a name", "sweep/options.py", "if not words or not all(words):", "if False:", "tests/sweep/test_options.py"),
    Fault("C14: a value with a sign is taken for an option", "cli/parser.py", "(_SIGNED.match(word) and", "(False and", "tests/misuse/test_bad_options.py"),
    Fault("C14: what the user's code prints is in the JSON", "cli/main.py", "with result_apart() if machines else", "with nullcontext() if machines else", "tests/misuse/test_talk.py"),
    Fault("existing files overwritten", "atomic.py", "    if not overwrite:", "    if False:", "tests/misuse/test_bad_outputs.py"),
)  # fmt: skip


SECONDS = 90.0  # for --change
LATELY = 12 * 3600  # seconds before the last commit, in which files count as changed
SAMPLE = 5


def plant(fault: Fault, folder: Path) -> str | None:
    """Apply a fault to the copy in `folder`; the original text, or None where the fault does not apply any more."""
    path = folder / "landscape" / fault.file
    text = path.read_text() if path.exists() else ""
    if text.count(fault.right) < 1:
        return None
    path.write_text(text.replace(fault.right, fault.wrong, 1))
    return text


def copy_checkout(folder: Path) -> None:
    """What the tests need of the checkout."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in ("landscape", "tests", "scripts"):
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    for part in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / part, folder / part)


def start(tests: Sequence[str], folder: Path, log: Path) -> int:
    """Begin some tests in a copy, as a child of this process; its number."""
    child = os.fork()
    if child:
        return child
    code = 3
    try:
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.chdir(folder)
        sys.path[:0] = [str(folder)]
        os.environ |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        import pytest

        code = int(pytest.main(["-x", "-q", "-m", "", "-p", "no:cacheprovider", *tests]))
    finally:
        sys.stdout.flush()
        os._exit(code)


def is_red(code: int, log: Path) -> bool:
    """Whether tests failed, from their exit code; a fault may keep them from being collected, which is as good.

    Raises:
        SystemExit: when pytest could not run at all.
    """
    if code not in (0, 1, 2):
        raise SystemExit(f"pytest could not run:\n{log.read_text()[-2000:]}")
    return code != 0


def lately_changed() -> set[str]:
    """The files of the package that commits of the last hours changed, by their names within it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    until = int(git("show", "-s", "--format=%ct", "HEAD")) - LATELY
    base = git("rev-list", "-1", f"--before={until}", "HEAD") or git("rev-list", "--max-parents=0", "HEAD").splitlines()[-1]
    names = git("diff", "--name-only", base, "HEAD", "--", "landscape").splitlines()
    return {name.removeprefix("landscape/") for name in names}


def of_the_change() -> list[Fault]:
    """Five faults chosen by the commit's hash, then those in files that changed, in an order of its own for each commit."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    draw = random.Random(hashlib.sha256(commit.encode()).digest())
    shuffled = draw.sample(FAULTS, len(FAULTS))
    changed = lately_changed()
    return [*shuffled[:SAMPLE], *(fault for fault in shuffled[SAMPLE:] if fault.file in changed)]


def tried(faults: Sequence[Fault], folders: Sequence[Path], until: float) -> Iterator[tuple[Fault, str, float]]:
    """Try faults, as many at once as there are copies; each with what came of it: noticed, unnoticed, stale."""
    waiting, running = list(faults), dict[int, tuple[Fault, Path, str, float]]()
    free = list(folders)
    while waiting or running:
        while waiting and free and time.monotonic() < until:
            fault, folder = waiting.pop(0), free.pop()
            text = plant(fault, folder)
            if text is None:
                free.append(folder)
                yield fault, "stale", 0.0
                continue
            running[start(fault.tests.split(), folder, folder / "log")] = fault, folder, text, time.monotonic()
        if not running:
            return
        child, status = os.wait()
        fault, folder, text, began = running.pop(child)
        red = is_red(os.waitstatus_to_exitcode(status), folder / "log")
        (folder / "landscape" / fault.file).write_text(text)
        free.append(folder)
        yield fault, "noticed" if red else "unnoticed", time.monotonic() - began


def load_libraries() -> None:
    """What every child needs: imported once, before they part."""
    import h5py, hypothesis, matplotlib, numpy, pytest, torch  # noqa: E401, F401, I001

    torch.set_num_threads(1)


def main(words: list[str]) -> int:
    """Plant, test and revert each fault; the number that went unnoticed decides the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD", help="faults whose name contains one of these; all without one")
    parser.add_argument(
        "--change", action="store_true", help=f"those of the last changes and a few more, in {SECONDS:.0f} s at most"
    )
    options = parser.parse_args(words)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    chosen = (
        of_the_change() if options.change else [f for f in FAULTS if not options.words or any(w in f.name for w in options.words)]
    )
    load_libraries()
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(max(1, min(4, os.cpu_count() or 1)))]
        for folder in folders:
            copy_checkout(folder)
        if not options.change:  # there the tests themselves have just been run
            tests = sorted({test for fault in chosen for test in fault.tests.split()})
            child = start(tests, folders[0], folders[0] / "log")
            if is_red(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), folders[0] / "log"):
                print((folders[0] / "log").read_text()[-3000:])
                print("red without a fault")
                return 1
        until = time.monotonic() + (SECONDS - 15 if options.change else float("inf"))  # what is begun then is finished
        bad = n_tried = 0
        for fault, outcome, seconds in tried(chosen, folders, until):
            print(f"{outcome:<10} {seconds:5.0f} s  {fault.name}", flush=True)
            bad, n_tried = bad + (outcome != "noticed"), n_tried + 1
    print(
        f"{n_tried - bad} of {n_tried} noticed"
        + (f"; {len(chosen) - n_tried} not tried in the time" if n_tried < len(chosen) else "")
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
