from .maps import VALUES as VALUES
from .measures import Settings as Settings
from .measures import measure_frame as measure_frame
from .paired import Paired as Paired
from .referee import Scores as Scores
from .referee import score as score
