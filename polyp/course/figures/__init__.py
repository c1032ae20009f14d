"""The figures of the lessons. A simple chart that only one lesson needs is drawn there, in plain matplotlib.

    show                  any figure, with a description for those who cannot see it
    BLUE ... PINK         the colours
    outline, show_frame   on axes: the border of a mask; a frame

    frames_with_masks     frames in a row, each with its mask's outline
    picture_grid          pictures in rows, each with a title
    tiles                 pictures and feature maps of any size in a row
    split_strips          which frame of which video is in which part

    node_grids            U-Nets and UNet++s as grids of blocks
    build_order           the order in which UNet++'s nodes are built, and what each reads

    predictions           one frame, several predictions
    comparison, gallery   several frames, one prediction each: of one size, of any size
    error_maps            every pixel's outcome
    map_to_mask           probabilities, the mask above a threshold, and the truth

    curves                loss and scores by epoch
    threshold_curves      Dice, precision and recall by threshold
    bootstrap_histograms  two ways to resample a test set

All but `show`, `outline` and `show_frame` return a matplotlib `Figure` and touch no global state. Colours are
from Okabe and Ito's colour-blind-safe palette; two that meet in a figure also differ in lightness, and so in
greyscale.
"""

from polyp.course.figures.frames import frames_with_masks as frames_with_masks
from polyp.course.figures.frames import picture_grid as picture_grid
from polyp.course.figures.frames import split_strips as split_strips
from polyp.course.figures.frames import tiles as tiles
from polyp.course.figures.networks import build_order as build_order
from polyp.course.figures.networks import node_grids as node_grids
from polyp.course.figures.predicted import error_maps as error_maps
from polyp.course.figures.predicted import gallery as gallery
from polyp.course.figures.predicted import map_to_mask as map_to_mask
from polyp.course.figures.predicted import predictions as predictions
from polyp.course.figures.scores import bootstrap_histograms as bootstrap_histograms
from polyp.course.figures.scores import threshold_curves as threshold_curves
from polyp.course.figures.style import BLUE as BLUE
from polyp.course.figures.style import GREEN as GREEN
from polyp.course.figures.style import LIGHT_BLUE as LIGHT_BLUE
from polyp.course.figures.style import ORANGE as ORANGE
from polyp.course.figures.style import PINK as PINK
from polyp.course.figures.style import outline as outline
from polyp.course.figures.style import show as show
from polyp.course.figures.style import show_frame as show_frame
from polyp.run.pictures import comparison as comparison
from polyp.run.pictures import curves as curves
