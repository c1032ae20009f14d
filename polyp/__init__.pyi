from . import course as course
from . import data as data
from . import model as model
from . import run as run
from .config import Config as Config
from .config import changed as changed
from .config import check_parameters as check_parameters
from .config import configure as configure
from .data import PolypDataset as PolypDataset
from .data import find_dataset as find_dataset
from .data import open_data as open_data
from .data import open_part as open_part
from .data import read_image as read_image
from .data import read_sequences as read_sequences
from .errors import DataError as DataError
from .errors import UsageError as UsageError
from .run import fit as fit
from .run import load as load
from .run import load_model as load_model
from .run import new_model as new_model
from .run import predict_probs as predict_probs
from .run import score as score
from .run import train as train
from .run import validate as validate

__version__: str
