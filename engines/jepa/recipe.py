"""The fields that `engines.jepa.training` reads, and what is asked for in them without effect."""

from engines.jepa.fields import JepaBlock, StepsBlock
from engines.training.supervised_fields import SupervisedRecipe

_OF_STEPS = ("horizon", "target", "readout")


class JepaRecipe(SupervisedRecipe):
    """Supervised fine-tuning with a loss on embeddings beside it."""

    steps: StepsBlock = StepsBlock()
    """How solutions are cut into steps."""
    jepa: JepaBlock = JepaBlock()
    """What predicts what, and how much that counts."""

    def remarks(self) -> list[str]:
        """Options that the mode, the control or another option leaves without effect."""
        block, given = self.jepa, _changed(self.jepa)
        remarks = [*super().remarks()]
        if block.mode == "regular":
            unused = given - {"mode", "panel_steps"}
        elif block.mode in ("text_code", "stp"):
            unused = given & {*_OF_STEPS, *(["predictors"] if block.mode == "stp" else [])}
        elif block.mode == "monitor":
            unused = given & {"target_grad", "lambda_", "lambda_warmup_steps"}
        else:
            unused = set()
        for name in sorted(unused):
            remarks.append(f"jepa.{name.rstrip('_')}: has no effect with `mode: {block.mode}`")
        if block.predictor != "tokens" and "predictors" in given - unused:
            remarks.append(f"jepa.predictors: has no effect with `predictor: {block.predictor}`")
        if block.distance != "infonce" and "temperature" in given - unused:
            remarks.append(f"jepa.temperature: has no effect with `distance: {block.distance}`")
        if block.target_grad != "ema" and "ema_momentum" in given - unused:
            remarks.append(f"jepa.ema_momentum: has no effect with `target_grad: {block.target_grad}`")
        if block.mode in ("regular", "text_code", "stp") and block.control == "random_boundary":
            remarks.append(f"jepa.control: `random_boundary` has no effect with `mode: {block.mode}`")
        if block.control == "shuffle" and self.per_device_train_batch_size == 1:
            remarks.append("jepa.control: `shuffle` needs other rows in the pass, and its batches hold one")
        if block.distance == "infonce" and self.per_device_train_batch_size == 1 and block.mode != "steps":
            remarks.append(
                "jepa.distance: `infonce` tells a target from those of other rows in the pass, which holds one"
            )
        if "lambda_" in given - unused and block.lambda_ == 0:
            remarks.append(
                "jepa.lambda: 0 does all the work and gives it no weight, as `control: same_compute` does"
            )
        if block.control == "same_compute" and "lambda_" in given - unused:
            remarks.append(
                "jepa.lambda: has no effect with `control: same_compute`, which gives it no weight"
            )
        if self.packing:
            remarks.append("packing: has no effect here; rows are packed with their own predictions alone")
        return remarks


def _changed(block: JepaBlock) -> set[str]:
    """The fields that differ from their defaults: a run reads its recipe with every field written out."""
    return {name for name, field in JepaBlock.model_fields.items() if getattr(block, name) != field.default}
