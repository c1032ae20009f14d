"""What every result file says of a finished run, whatever was then scored."""

from typing import Any

import pandas as pd

from polyp.config import Config
from polyp.model.network import SegmentationNetwork
from polyp.run import checkpoint
from polyp.run.folder import RunFolder
from polyp.run.hardware import to_device


def open_finished(folder: RunFolder) -> tuple[SegmentationNetwork, Config, dict[str, Any]]:
    """A run's network at its best epoch, on its device; its configuration; and the facts for its result.

    Returns:
        the facts are config, data, versions and machine (that trained it), minutes (of training), parameters,
        epoch (the best) and curve (the log, one list per column), all plain JSON values.

    Raises:
        DataError: the run has not ended.
    """
    folder.metrics()  # says so if the run has not ended
    config, log = folder.config(), folder.log()
    model, metadata = checkpoint.load_model(folder.best)
    model = to_device(model, config.device)
    facts = {
        "config": config.to_dict(),
        "data": metadata["data"],
        "versions": metadata["versions"],
        "machine": metadata["machine"],
        "minutes": round(float(log["seconds"].sum()) / 60, 1),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "epoch": metadata["scores"]["epoch"],
        "curve": lists(log),
    }
    return model, config, facts


def lists(table: pd.DataFrame) -> dict[str, list]:
    """One list per column, with None for NaN, which JSON does not have."""
    table = table.round(6)
    return {name: [None if pd.isna(v) else v for v in table[name].tolist()] for name in table}
