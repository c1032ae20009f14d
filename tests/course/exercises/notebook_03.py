import numpy as np
import torch

from polyp.course.exercises.notebook_03 import (
    check_feeds,
    check_needed,
    check_receptive_field,
    check_wide_unet,
)


def feeds(i, j, below=True, bottom=False):
    """The wiring of UNet++, with and without the usual slips."""
    if j == 0:
        return [(i - 1, 0)] if i > 0 or bottom else []
    return [(i, k) for k in range(j)] + ([(i + 1, j - 1)] if below else [])


def walk(feeds, node, visit=lambda name, feeds: name in feeds):
    found, to_visit = set(), [node]
    while to_visit:
        name = to_visit.pop()
        if visit(name, feeds) and name not in found:
            found.add(name)
            to_visit += feeds.get(name, [])
    return found


def field(layers, start=1):
    size, jump = start, 1
    for kernel, stride in layers:
        jump *= stride
        size += (kernel - 1) * jump
    return size


WRONG = {
    check_feeds: [
        ("return a list of (row, step) pairs", lambda i, j: None),
        ("it reads the frame, and no node", lambda i, j: feeds(i, j, bottom=True)),
        (
            "(0, 1): you return [(0, 0)], expected [(0, 0), (1, 0)]",
            lambda i, j: feeds(i, j, below=False),
        ),
        ("expected [(0, 0), (0, 1), (1, 1)]", lambda i, j: feeds(i, j)[-2:]),
        ("your code stopped with TypeError", lambda i, j: [i, j]),
        ("your code stopped with TypeError", 3),
    ],
    check_needed: [
        ("return a set of names; for 'a' of {'a': ['frame']", lambda feeds, node: None),
        ("you give 5, expected a set of names", lambda feeds, node: 5),
        ("holds the picture itself", lambda feeds, node: walk(feeds, node, lambda name, feeds: True)),
        ("'a'], 'd': ['b'], 'e': ['d', 'a']} you miss ['a']", lambda feeds, node: {node}),
        ("you miss ['b']", lambda feeds, node: {node, *feeds[node]} - {"frame"}),
        (
            "you also run ['b', 'd', 'e']",
            lambda feeds, node: set(feeds) if node == "c" else walk(feeds, node),
        ),
        (
            "your function changed what it was given",
            lambda feeds, node: (walk(feeds, node), feeds.clear())[0],
        ),
    ],
    check_receptive_field: [
        ("return a whole number", lambda layers: None),
        ("after a stride of 2", lambda layers: 1 + sum(kernel - 1 for kernel, _ in layers)),
        ("([(2, 2)]): you return 3, expected 2", field),
        ("([]): you return 0, expected 1", lambda layers: field(layers, start=0)),
    ],
    check_wide_unet: [
        ("fill in 'widths'", {"widths": None, "share": None}),
        ("expected five whole numbers", {"widths": 32, "share": 0.4}),
        ("you give 'half', expected share to be a number", {"widths": (1, 2, 3, 4, 5), "share": "half"}),
        ("expected five positive whole numbers", {"widths": (32, 64, 128, 256), "share": 0.4}),
        ("expected five positive whole numbers", {"widths": (32.0, 64, 128, 256, 512), "share": 0.4}),
        ("expected five positive whole numbers", {"widths": (0, 0, 0, 0, 0), "share": 0.4}),
        ("1 is not twice 1", {"widths": (1, 1, 1, 1, 1000), "share": 0.4}),
        ("120 is not twice 100", {"widths": (100, 120, 140, 280, 500), "share": 1.29}),
        ("come within 5 %", {"widths": (32, 64, 128, 256, 512), "share": 0.4}),
        ("this U-Net needs", {"widths": (35, 70, 140, 280, 560), "share": 1.0}),
    ],
}


SHARE = 0.482  # of the work of UNet++ that a U-Net with these widths needs
ACCEPTED = {
    check_feeds: [
        feeds,
        lambda i, j: {(np.int64(row), np.int64(step)) for row, step in feeds(i, j)},
        lambda i, j: [list(node) for node in reversed(feeds(i, j))],
    ],
    check_needed: [walk, lambda feeds, node: sorted(walk(feeds, node))],
    check_receptive_field: [
        lambda layers: (
            sum((k - 1) * np.prod([s for _, s in layers[:n]]) for n, (k, _) in enumerate(layers)) + 1
        ),
    ],
    check_wide_unet: [
        {"widths": [35 * 2**i for i in range(5)], "share": SHARE},
        {"widths": np.array([35, 70, 140, 280, 560]), "share": np.float32(SHARE)},
        {"widths": tuple(35 * np.int64(2) ** i for i in range(5)), "share": torch.tensor(SHARE)},
    ],
}
