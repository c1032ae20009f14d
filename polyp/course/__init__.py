"""What teaches, draws, measures and writes up: exercises, figures, experiments, results, the report."""

try:
    import lazy_loader
except ImportError:  # a broken installation: `python -m polyp.course.environment` says what is missing
    lazy_loader = None

if lazy_loader:
    __getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
