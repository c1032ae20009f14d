"""Every figure that a notebook or a run folder shows.

Colours are from Okabe and Ito's colour-blind-safe palette; the two that meet in a figure also differ in
lightness, so that they part in greyscale. Functions return a matplotlib `Figure` and touch no global state;
`show` displays one.
"""

from polyp.course.figures.data import of_hundred, sizes_and_places, split_strips
from polyp.course.figures.frames import frames_with_masks, mask_close_up, picture_grid, tiles
from polyp.course.figures.networks import (
    build_order,
    effective_fields,
    node_costs,
    node_grids,
    stride_windows,
)
from polyp.course.figures.predicted import (
    error_maps,
    flip_disagreement,
    gallery,
    map_to_mask,
    prediction_steps,
    predictions,
)
from polyp.course.figures.scores import (
    bootstrap_histograms,
    dice_against,
    dots,
    failure_bars,
    grouped_intervals,
    mistake_costs,
    paired_scores,
    ranked_bars,
    scores_by_video,
    sequence_scores,
)
from polyp.course.figures.style import BLUE, GREEN, LIGHT_BLUE, ORANGE, PINK, outline, show, to_png
from polyp.course.figures.thresholds import (
    precision_recall,
    probability_histograms,
    reliability,
    threshold_curves,
    threshold_view,
)
from polyp.course.figures.training import (
    curves_by_minutes,
    learning_curve,
    line,
    log_lines,
    loss_gradients,
    two_lines,
)
from polyp.run.pictures import comparison, curves
