"""Polyp segmentation in colonoscopy frames: the package behind the course.

The names that everybody needs can be imported from here, the others from the four rooms: `polyp.data` (frames
and masks), `polyp.model` (networks, losses, metrics), `polyp.run` (train, validate, predict) and
`polyp.course` (exercises, figures, experiments). `__init__.pyi` lists them; each is loaded on first use.
"""

try:
    import lazy_loader
except ImportError:  # a broken installation: `python -m polyp.course.environment` says what is missing
    lazy_loader = None

__version__ = "0.2.0"

if lazy_loader:
    __getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
