"""What the curves of a run say, by rules that are stated with the answer."""

import pandas as pd

RISE = 0.1  # of the validation loss above its lowest, as a share of it
GAIN = 0.01  # of Dice, in the last tenth of the epochs
GAP = 0.15  # of IoU, training above validation


def read_curves(log: pd.DataFrame, best: int) -> list[str]:
    """A few sentences on the curves, each with its rule.

    Args:
        log: the run's, with columns loss, iou, val_loss, val_iou, val_dice and one row per epoch.
        best: the epoch that was kept, from 1.
    """
    if log["val_loss"].isna().all():
        return [
            "The run had no validation frames (refit), so the curves cannot show whether the network learnt "
            "its training frames by heart."
        ]
    if len(log) == 1:
        return ["One epoch makes no curve: there is nothing to read from it."]
    found = [_overfitting(log) or _end(log)]
    kept = log.iloc[best - 1]
    gap = kept["iou"] - kept["val_iou"]
    if gap > GAP:
        found.append(
            f"In epoch {best} the IoU is {kept['iou']:.2f} on training frames and {kept['val_iou']:.2f} on "
            f"validation frames. A gap above {GAP} suggests that more varied frames, or stronger "
            "augmentation, may help more than longer training."
        )
    return found


def _overfitting(log: pd.DataFrame) -> str:
    """That the validation loss rises while the training loss falls; empty if it does not."""
    lowest = int(log["val_loss"].idxmin())
    last = max(1, len(log) // 10)
    end, least = log["val_loss"].tail(last).mean(), log["val_loss"][lowest]
    falls = log["loss"].tail(last).mean() < log["loss"][lowest]
    if not (falls and end > (1 + RISE) * least):
        return ""
    return (
        f"The validation loss was lowest in epoch {lowest + 1} ({least:.3f}) and ended at {end:.3f}, more "
        f"than {RISE:.0%} above, while the training loss went on falling: a sign of overfitting since then. "
        "The weights kept are those of the best Dice, which may come later."
    )


def _end(log: pd.DataFrame) -> str:
    """Whether the last tenth of the epochs still brought something."""
    last = max(1, len(log) // 10)
    gain = log["val_dice"].tail(last).max() - log["val_dice"].head(-last).max()
    tenth = "the last epoch" if last == 1 else f"the last {last} epochs"
    if pd.isna(gain):
        return "The validation Dice is not defined in every epoch, so there is no trend to read."
    if gain > GAIN:
        return (
            f"The validation Dice still rose by {gain:.3f} in {tenth} (more than {GAIN}), and the validation "
            "loss shows no overfitting: more epochs may help."
        )
    return (
        f"No sign of overfitting (the validation loss did not end {RISE:.0%} above its lowest while the "
        f"training loss fell), and {tenth} brought no more than {GAIN} of Dice: more epochs alone "
        "may not help."
    )
