"""The figures of the lessons. A simple chart that only one lesson needs is drawn there, in plain matplotlib.

    show                  any figure, with a description for those who cannot see it
    flipbook              figures under a slider, or played as a film; works without a kernel
    BLUE ... PINK         the colours
    outline, show_frame   on axes: the border of a mask; a frame

    frames_with_masks     frames in a row, each with its mask's outline
    picture_grid          pictures in rows, each with a title
    sheet, frame_line     pictures of any size, with border lines and the outlines of up to two masks
    tiles                 pictures and feature maps of any size in a row
    split_strips          which frame of which video is in which part

    u_shape               a U-Net with the size of every block's output
    wiring                which block reads which, found by running the network
    fill_page, level_page pages of flipbooks: the grid as it fills; what a level needs and draws
    field_page            another: what one pixel's answer depends on
    node_grids            U-Nets and UNet++s as grids of blocks

    mask_grids            small masks, pixel by pixel
    outcome_grid          every pixel's outcome in a small mask
    score_fractions       IoU, Dice, precision and recall as areas over areas
    mistake_page, threshold_page
                          pages of flipbooks: a mistake and its scores; a threshold and its scores

    predictions           one frame, several predictions
    comparison            several frames of one size, one prediction each; of any size: `sheet`
    error_maps            every pixel's outcome
    map_to_mask           probabilities, the mask above a threshold, and the truth

    curves                loss and scores by epoch
    threshold_curves      Dice, precision and recall by threshold
    bootstrap_histograms  two ways to resample a test set

    conventions           one set of masks, scored in many ways
    hospital_matrix       trained on which, tested on which
    operating_curve       polyps found against clean frames marked

What draws a whole picture returns a matplotlib `Figure` and touches no global state. Colours are from Okabe
and Ito's colour-blind-safe palette; two that meet in a figure also differ in lightness, and so in greyscale.
"""

from polyp.course.figures.blocks import field_page, fill_page, level_page, node_grids, u_shape, wiring
from polyp.course.figures.flipbook import flipbook
from polyp.course.figures.frames import frames_with_masks, picture_grid, split_strips, tiles
from polyp.course.figures.hospitals import conventions, hospital_matrix, operating_curve
from polyp.course.figures.metrics import (
    mask_grids,
    mistake_page,
    outcome_grid,
    score_fractions,
    threshold_page,
)
from polyp.course.figures.predicted import error_maps, map_to_mask, predictions
from polyp.course.figures.scores import bootstrap_histograms, threshold_curves
from polyp.course.figures.sheets import frame_line, sheet
from polyp.course.figures.style import BLUE, GREEN, LIGHT_BLUE, ORANGE, PINK, outline, show, show_frame
from polyp.run.pictures import comparison, curves
